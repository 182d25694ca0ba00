package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// guarded is the agreement of twin. Its collections, with writer and readers:
//
//	guarded.in      vendor   igci, bureau   and the bureau's team, by a letter, up to AMBER and three types
//	guarded.in2     rival    igci           nothing to do with the bureau
const guarded = heading + `
id      = "guarded"
title   = "Guarded"
` + article + `
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[party]]
article = "1"
org  = "vendor"
role = "provider"
[[party]]
article = "1"
org  = "rival"
role = "provider"
[[party]]
article = "1"
org  = "bureau"
role = "bureau"
[[flow]]
article = "1"
name = "in"
from = ["vendor"]
to   = ["igci", "bureau"]
stix_versions = ["2.0", "2.1"]
[[flow]]
article = "1"
name = "in2"
from = ["rival"]
to   = ["igci"]
[handling]
article  = "1"
tlp_max  = { in = "red", in2 = "red" }
unmarked = { in = "default:green", in2 = "default:green" }
red_recipients = ["bureau:chief"]
[personal_data]
article   = "1"
forbidden = ["email-addr"]
on_find   = "quarantine"
[retention]
article = "1"
keep    = "P1D"
counted = "valid_until"
`

const guardedLetter = `
format  = "exchange-agreement/1"
kind    = "reader-letter"
version = 1
id      = "guarded-letter"
title   = "Letter for the team"
` + article + `
[[party]]
article = "1"
org  = "bureau"
role = "bureau"
[[participant]]
article = "1"
role  = "reader"
kind  = "soc"
orgs  = ["team"]
under = "guarded"
[[flow]]
article = "1"
name = "in"
from = ["bureau"]
to   = ["each"]
object_types = ["indicator", "identity"]
[handling]
article = "1"
tlp_max = { in = "amber" }
`

// readers of guarded.in. The tests hide objects from all of them.
var readers = []string{"bureau/soc", "bureau/firewall", "team/soc"}

// guardedWorld is an exchange under these two agreements.
func guardedWorld(w *world) {
	w.admit = func(d *exchange.Directory) error {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
		orgs := map[string]string{"igci": "international-body", "vendor": "private-vendor", "rival": "private-vendor", "bureau": "national-bureau", "team": "soc"}
		if err := enrol(d, orgs,
			exchange.Account{Org: "igci", Name: "desk"}, exchange.Account{Org: "vendor", Name: "feed"}, exchange.Account{Org: "rival", Name: "feed"},
			exchange.Account{Org: "bureau", Name: "soc"}, exchange.Account{Org: "bureau", Name: "chief", Person: true},
			exchange.Account{Org: "bureau", Name: "firewall", Action: "block"}, exchange.Account{Org: "bureau", Name: "elastic", For: "elastic"}, exchange.Account{Org: "team", Name: "soc"}); err != nil {
			return err
		}
		return deposit(d, guarded, guardedLetter)
	}
}

// valid is the member that retention counts from: the object is kept until a day
// after it, from the times of this world.
func valid(until time.Time) string {
	return `"valid_until":"` + until.UTC().Format("2006-01-02T15:04:05Z") + `"`
}

// hiddenFrom lists changes that are hidden from some readers of the exchange, each made
// by one party at one time.
var hiddenFrom = []struct {
	name    string
	readers []string
	do      func(w *world, c string)
}{
	{"other objects, RED", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(51, 0, marked(red)), address(52, marked(red)), old(53, 0, marked(red)))
	}},
	{"most of what there is, RED", readers, func(w *world, c string) {
		var many []string
		for n := range 200 {
			many = append(many, indicator(1000+n, 0, marked(red)))
		}
		w.as("vendor/feed").push(c, many...)
	}},
	{"a newer version, RED", readers, func(w *world, c string) { w.as("vendor/feed").push(c, indicator(1, 9, marked(red))) }},
	{"an older version, RED", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(5, 0, marked(red)), old(5, 0, marked(red)))
	}},
	{"versions on both sides, RED", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(3, 2, marked(red)), indicator(3, 9, marked(red)), old(3, 5, marked(red)))
	}},
	{"a part, RED", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(54, 0, marked(green), `"name":"n"`, `"granular_markings":[{"marking_ref":"`+red+`","selectors":["name"]}]`))
	}},
	{"a bond to something hidden", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(55, 0, marked(red)), object("relationship", id("relationship", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`,
			`"modified":"`+stamp(0)+`"`, `"relationship_type":"related-to"`, `"source_ref":"`+id("indicator", 1)+`"`, `"target_ref":"`+id("indicator", 55)+`"`))
	}},
	{"something revoked, RED", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(56, 0, marked(red)))
		w.as("vendor/feed").push(c, indicator(56, 1, marked(red), `"revoked":true`))
	}},
	{"for search alone", []string{"bureau/firewall"}, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(57, 0, markedAs("green", "pap:red")), indicator(1, 8, markedAs("green", "pap:amber")))
	}},
	{"above AMBER", []string{"team/soc"}, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(58, 0, marked(amberStrict)), indicator(1, 7, marked(amberStrict)))
	}},
	{"of types not in the letter", []string{"team/soc"}, func(w *world, c string) {
		w.as("vendor/feed").push(c, address(59), object("malware", id("malware", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`, `"is_family":false`))
	}},
	{"the same ids in another collection", readers, func(w *world, _ string) {
		w.as("rival/feed").push(w.collection("guarded.in2"), indicator(1, 3), indicator(60, 0), address(1))
	}},
	{"past its retention", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(61, 0, valid(noon.Add(-20*time.Hour))), indicator(1, 6, valid(noon.Add(-20*time.Hour))))
	}},
	{"in quarantine", readers, func(w *world, c string) {
		if s := w.as("vendor/feed").push(c, object("email-addr", id("email-addr", 1), `"spec_version":"2.1"`, `"value":"a@example.org"`)); s.FailureCount != 1 {
			w.t.Errorf("%+v", s)
		}
	}},
	{"refused", readers, func(w *world, c string) { w.as("vendor/feed").push(c, `{"type":"indicator"}`) }},
	{"deleted", readers, func(w *world, c string) {
		w.as("vendor/feed").push(c, indicator(62, 0), address(63), indicator(1, 5))
		for _, gone := range []string{id("indicator", 62) + "/", id("ipv4-addr", 63) + "/", id("indicator", 1) + "/?match[version]=" + stamp(5)} {
			w.as("vendor/feed").delete(c + "objects/" + gone).want(200)
		}
	}},
	{"sent again", readers, func(w *world, c string) { w.as("vendor/feed").push(c, indicator(1, 0), indicator(2, 0, marked(green))) }},
	{"rehearsed", readers, func(w *world, c string) {
		w.as("vendor/feed").do("POST", c+"objects/?x_dry_run=true", envelopeOf(indicator(64, 0))).want(202)
	}},
	{"read by others", readers, func(w *world, c string) {
		w.as("igci/desk").objects(c, "limit=2")
		w.as("bureau/chief").manifest(c, "")
	}},
}

// A refusal is recorded after its answer is sent, so the time of the answer does not
// reveal whether a collection is hidden or does not exist, nor how busy the record is.
func TestAnswerDoesNotWaitForTheRecordOfARefusal(t *testing.T) {
	for name, tt := range map[string]struct {
		exchange func(*world)
		refused  func(*world)
	}{
		"hidden collection": {func(*world) {}, func(w *world) {
			w.as("stranger/lone").get(w.collection("sharing.reports") + "objects/").refused(404)
		}},
		"push beyond a quota": {limitedWorld(), func(w *world) {
			w.as("vendor/feed").do("POST", w.collection("limited.in")+"objects/", envelopeOf(indicators(1, 5)...)).refused(413)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			recording, release := make(chan struct{}, 1), make(chan struct{})
			w := newWorld(t, tt.exchange, func(w *world) {
				w.recordTime = func() time.Time {
					select {
					case recording <- struct{}{}:
					default:
					}
					<-release
					return noon
				}
			})
			defer close(release)
			tt.refused(w)
			select {
			case <-recording:
			case <-time.After(answerTimeout):
				t.Error("the refusal is not recorded")
			}
		})
	}
}

// Two exchanges take the same pushes at the same times. One of them holds a further
// object, added at another time. A reader who may not see it gets the same bytes from
// both, whatever it asks: objects, order, counts, dates, more, next and every header.
//
// An object that arrives in the same millisecond as a hidden one is not covered: the
// dates of a collection are strictly increasing, so its date_added is a millisecond
// late. A reader that knows the time of the push can notice this, but cannot tell a
// hidden object from one that was deleted since, or from the end of a bulk load.
func TestWhatIsHiddenChangesNoByteOfAnyAnswer(t *testing.T) {
	plain := twin(t, nil)
	want := map[string][]string{}
	for _, reader := range readers {
		want[reader] = plain.interview(reader)
	}
	for _, hidden := range hiddenFrom {
		t.Run(hidden.name, func(t *testing.T) {
			full := twin(t, hidden.do)
			for _, reader := range hidden.readers {
				for i, got := range full.interview(reader) {
					if got != want[reader][i] {
						t.Fatalf("%s can tell them apart: it gets\n%s\nin place of\n%s", reader, got, want[reader][i])
					}
				}
			}
		})
	}
}

// Readers who may see the further objects do see them: the two exchanges differ.
func TestWhatIsHiddenFromSomeIsThereForOthers(t *testing.T) {
	plain := twin(t, nil).interview("bureau/chief")
	for _, hidden := range hiddenFrom[:11] {
		if full := twin(t, hidden.do).interview("bureau/chief"); slices.Equal(plain, full) {
			t.Errorf("%s: the chief sees nothing of it", hidden.name)
		}
	}
}

// twin is an exchange in which the vendor pushes now and then. hidden is called in
// between, to add the further objects.
func twin(t *testing.T, hidden func(*world, string)) *world {
	w := newWorld(t, guardedWorld)
	c := w.collection("guarded.in")
	vendor := w.as("vendor/feed")
	for i, push := range [][]string{
		{indicator(1, 0), indicator(2, 0, marked(green)), object("identity", id("identity", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`, `"name":"n"`, marked(green))},
		{indicator(1, 1), address(1, marked(green)), old(5, 1)},
		{indicator(3, 4), indicator(4, 0, marked(amber)), indicator(5, 3)},
	} {
		if status := vendor.push(c, push...); status.FailureCount > 0 {
			t.Fatalf("%+v", status.Failures)
		}
		w.clock.move(time.Second)
		if hidden != nil && i == 1 {
			hidden(w, c)
		}
		w.clock.move(time.Second)
	}
	w.clock.move(4 * time.Hour) // past the retention of some
	return w
}

// interview asks every endpoint as the account and returns all answers. It follows the
// cursors that the answers hold.
func (w *world) interview(account string) (answers []string) {
	a, c := w.as(account), w.collection("guarded.in")
	ask := func(list, query string) {
		for target := list + "?" + query; target != ""; {
			page := a.get(target)
			answers = append(answers, target+"\n"+page.fingerprint())
			_, rest, more := strings.Cut(string(page.body), `"next":"`)
			if target = ""; more {
				next, _, _ := strings.Cut(rest, `"`)
				target = list + "?limit=1&next=" + next
			}
		}
	}
	for _, path := range []string{"/igci/", "/igci/collections/", "/igci/x-handling/", c, "/igci/collections/guarded.in2/"} {
		ask(path, "")
	}
	after := "added_after=" + taxii.FormatTime(noon.Add(time.Second+time.Millisecond/2))
	ids := "match[id]=" + id("indicator", 1) + "," + id("indicator", 3) + "," + id("indicator", 5) + "," + id("indicator", 51) + "," + id("ipv4-addr", 59) + "," + id("indicator", 62) + "," + id("ipv4-addr", 1)
	for _, list := range []string{c + "objects/", c + "manifest/"} {
		for _, query := range []string{
			"", "limit=1", "limit=1000&match[version]=all", "match[version]=all&limit=1", "match[version]=first", "match[version]=last", "match[version]=first,last&limit=2",
			"match[version]=" + stamp(9) + "," + stamp(1), "match[spec_version]=2.0", "match[spec_version]=2.0,2.1&match[version]=all", "match[spec_version]=2.1",
			"match[type]=indicator&limit=2", "match[type]=indicator,ipv4-addr,malware&match[version]=all", "match[type]=identity", "match[type]=email-addr",
			ids, ids + "&match[version]=all&limit=1", after, after + "&limit=1&match[version]=all", "added_after=2100-01-01T00:00:00Z", "limit=0",
		} {
			ask(list, query)
		}
	}
	var objects []string
	for _, n := range []int{1, 2, 3, 4, 5, 51, 54, 55, 57, 58, 61, 62, 64} {
		objects = append(objects, id("indicator", n))
	}
	for _, object := range append(objects, id("relationship", 1), id("malware", 1), id("email-addr", 1), id("ipv4-addr", 1)) {
		for _, query := range []string{"", "match[version]=all&limit=1", "match[version]=first", "match[spec_version]=2.0,2.1", after} {
			ask(c+"objects/"+object+"/", query)
		}
		ask(c+"objects/"+object+"/versions/", "limit=1")
	}
	return answers
}
