package custody_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
)

func TestTransitionsAreToldToEveryPartyAndToTheRecord(t *testing.T) {
	w := newWorld(t)
	act := func(kind exchange.ActKind) {
		w.amend(func(d *exchange.Directory) {
			d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: kind, At: w.now(), Reason: "a test"})
		})
		w.must(w.custody.AnnounceTransitions(w.Context()))
		w.must(w.custody.AnnounceTransitions(w.Context())) // twice tells nobody twice
		w.move(time.Hour)
	}
	act(exchange.Suspend)
	if _, err := w.grant("fir", "pool.post.fir", exchange.Read); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("suspended, and fir reads: %v", err)
	}
	act(exchange.Reinstate)
	const centre = "identity--00000000-0000-4000-8000-000000000001"
	for _, org := range []string{"fir", "elm", "ncb-ph"} {
		// While the agreement was suspended there was nowhere to tell it.
		equal(w, org, w.post(org), []string{"Agreement pool: in force " + centre})
	}
	var states []string
	for _, e := range w.entries(audit.Agreement) {
		states = append(states, e.Text)
	}
	equal(w, "record", states, []string{"suspended", "in force"})
	w.clock.Store(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	w.must(w.custody.AnnounceTransitions(w.Context()))
	if e := w.entries(audit.Agreement); e[len(e)-1].Text != "ended" || e[len(e)-1].Article != "1" {
		t.Errorf("the end is recorded as %+v", e[len(e)-1])
	}
}

// A party gets the centre's identity with notices. When the centre has another name, the
// next notice brings a new version of its identity.
func TestANoticeBringsTheIdentityOfTheCentre(t *testing.T) {
	w := newWorld(t)
	announce := func(kind exchange.ActKind, change func(*exchange.Organisation)) {
		w.move(time.Hour)
		w.amend(func(d *exchange.Directory) {
			d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: kind, At: w.now(), Reason: "a test"})
			change(d.Organisations["igci"])
		})
		w.must(w.custody.AnnounceTransitions(w.Context()))
	}
	names := func() (names []string) {
		for _, o := range w.fetch("fir", "pool.post.fir", taxii.Match{Types: []string{"identity"}, Versions: taxii.Versioning{All: true}}) {
			_, rest, _ := strings.Cut(o, `"modified":"`)
			modified, rest, _ := strings.Cut(rest, `"`)
			_, rest, _ = strings.Cut(rest, `"name":"`)
			name, rest, _ := strings.Cut(rest, `"`)
			if !strings.Contains(rest, `"contact_information":"desk@igci.example"`) {
				t.Errorf("no contact in %s", o)
			}
			names = append(names, modified+" "+name)
		}
		return names
	}
	announce(exchange.Suspend, func(o *exchange.Organisation) { o.Contact = "desk@igci.example" })
	announce(exchange.Reinstate, func(*exchange.Organisation) {})
	equal(w, "identity", names(), []string{"2026-06-01T12:00:00.000Z The igci"})
	announce(exchange.Suspend, func(o *exchange.Organisation) { o.Name, o.Renamed = "Hub", w.now() })
	announce(exchange.Reinstate, func(*exchange.Organisation) {})
	equal(w, "identity", names(), []string{"2026-06-01T12:00:00.000Z The igci", "2026-06-01T15:00:00.000Z Hub"})
}

func TestWithdrawalTakesTheDataAndTellsThoseWhoGotIt(t *testing.T) {
	w := newWorld(t)
	address := `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"}`
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""), indicator("fir", 2, ""), address)
	w.push("elm", "pool.intel.elm", indicator("elm", 3, ""), indicator("fir", 1, ""), address) // 1 is a relay
	w.move(time.Minute)
	w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{IDs: []string{string(idOf(2))}})
	w.fetch("ncb-ph", "pool.intel.elm", taxii.Match{Types: []string{"indicator"}})
	w.fetch("fir", "pool.intel.fir", taxii.Match{})
	before, err := w.grant("fir", "pool.intel.fir", exchange.Write)
	w.must(err)

	certificate, err := w.custody.Withdraw(w.Context(), "operator", "pool", "fir", "notice of 1 June")
	w.must(err)
	if err := certificate.Verify(); err != nil || certificate.Records != 4 || certificate.Article != "7" {
		t.Errorf("certificate %+v: %v", certificate, err)
	}
	equal(w, "what elm has left", ids(w.fetch("ncb-ph", "pool.intel.elm", taxii.Match{})),
		[]stix.ID{idOf(3), "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"})
	if n, err := w.store.Count(w.Context(), before.ID()); n != 0 || err != nil {
		t.Errorf("fir has %d records left, %v", n, err)
	}
	equal(w, "recalls", w.post("ncb-ph"), []string{"Recall " + string(idOf(2)) + "," + string(idOf(1))})
	equal(w, "recalls of elm, who relayed and read nothing", w.post("elm"), nil)
	if _, err := w.grant("fir", "pool.intel.fir", exchange.Write); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("fir may still push: %v", err)
	}

	// What was withdrawn is refused, from whomever it comes; an address of one's own
	// is not, nor anything else.
	got := w.push("elm", "pool.intel.elm", indicator("fir", 1, ""), address)
	if len(got) != 1 || !strings.Contains(got[0], string(idOf(1))) || strings.Contains(got[0], "ipv4-addr") {
		t.Errorf("the relay pushed again: %v", got)
	}
	w.amend(func(d *exchange.Directory) {
		d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: exchange.Reinstate, At: w.now(), Party: "fir"})
		clear(d.Shut)
	})
	w.must(w.store.Unblock(w.Context(), custody.BlockReason("pool", "fir")))
	if got := w.push("fir", "pool.intel.fir", indicator("fir", 2, "")); got != nil {
		t.Errorf("reinstated, and refused: %v", got)
	}
}

func TestWithdrawalFromOneAgreementLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	w.deposit(noon, strings.Replace(pool, `id = "pool"`, `id = "club"`, 1))
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	w.push("fir", "club.intel.fir", indicator("fir", 1, ""), indicator("fir", 2, ""))
	w.push("elm", "pool.intel.elm", indicator("fir", 2, "")) // a relay goes wherever it is
	c, err := w.custody.Withdraw(w.Context(), "operator", "club", "fir", "notice")
	w.must(err)
	if c.Records != 3 {
		t.Errorf("%d records went, want two of its own and a relay", c.Records)
	}
	equal(w, "under the agreement that stays", ids(w.fetch("fir", "pool.intel.fir", taxii.Match{})), []stix.ID{idOf(1)})
}

func TestNoByteOfWithdrawnDataIsLeftAfterCompaction(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""), `{"type":"indicator","id":"secret-fir-of-the-sender"}`)
	w.push("elm", "pool.intel.elm", indicator("elm", 3, ""))
	_, err := w.custody.Withdraw(w.Context(), "operator", "pool", "fir", "notice")
	w.must(err)
	w.must(w.store.Close())
	w.must(bolt.Compact(context.Background(), w.dir, 0, nil))
	file, err := os.ReadFile(filepath.Join(w.dir, bolt.FileName))
	w.must(err)
	if bytes.Contains(file, []byte("secret-fir")) || !bytes.Contains(file, []byte("secret-elm")) {
		t.Error("the file holds what was withdrawn, or lacks what was not")
	}
	w.open()
	w.must(w.store.Check(w.Context(), nil, func(fault string) { t.Error(fault) }))
}

func TestAWithdrawalThatWasKilledGoesOn(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{})
	ctx, kill := context.WithCancel(w.Context())
	kill()
	if _, err := w.custody.Withdraw(ctx, "operator", "pool", "fir", "notice"); err == nil {
		t.Fatal("nothing was killed")
	}
	w.amend(func(d *exchange.Directory) { // as far as a kill may have let it come
		d.Agreements["pool"].Acts = []exchange.Act{{Kind: exchange.Withdraw, At: w.now(), Party: "fir"}}
	})
	c, err := w.custody.Withdraw(w.Context(), "operator", "pool", "fir", "notice")
	w.must(err)
	if c.Records != 1 {
		t.Errorf("%d records went the second time", c.Records)
	}
	equal(w, "recalls", w.post("ncb-ph"), []string{"Recall " + string(idOf(1))})
}

func TestRevocationTakesTheOlderVersions(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{})
	w.move(time.Minute)
	revoked := strings.Replace(indicator("fir", 1, `,"revoked":true`), `"modified":"2026-05-01`, `"modified":"2026-05-02`, 1)
	w.push("fir", "pool.intel.fir", revoked)
	equal(w, "all versions", w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{Versions: taxii.Versioning{All: true}}), []string{revoked})
	equal(w, "recalls", w.post("ncb-ph"), []string{"Recall " + string(idOf(1))})
}

func TestPurgeShowsWhatItTakesAndTakesThat(t *testing.T) {
	w := newWorld(t)
	seen := func(day string) string { return `,"last_seen":"2026-` + day + `T06:00:00Z"` }
	w.push("fir", "pool.intel.fir", infrastructure(1, seen("05-25")), infrastructure(2, seen("06-20")), infrastructure(3, ""))
	w.move(4 * 24 * time.Hour) // 5 June, noon: ten days after 25 May have passed
	equal(w, "what is seen", ids(w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{})), []stix.ID{infraID(2), infraID(3)})
	due, err := w.custody.Due(w.Context(), w.now())
	w.must(err)
	if len(due) != 1 || due[0].Records != 1 || due[0].Collection != "pool.intel.fir" || due[0].Article != "5" || !due[0].Day.Equal(time.Date(2026, 6, 4, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("due: %+v", due)
	}
	n, err := w.custody.Purge(w.Context(), "operator", "")
	if n != 1 || err != nil {
		t.Errorf("%d purged, %v", n, err)
	}
	e := w.entries(audit.Purge)
	if len(e) != 1 || e[0].Count != 1 || e[0].Article != "5" || len(e[0].Subjects) != 1 || e[0].Subjects[0].Digest == "" {
		t.Errorf("entries %+v", e)
	}
	if due, err := w.custody.Due(w.Context(), w.now()); len(due) != 0 || err != nil {
		t.Errorf("still due: %+v, %v", due, err)
	}
}

// runOnce starts the service, and stops it when it has done all that is due.
func (w *world) runOnce() {
	w.Helper()
	w.must(w.custody.Begin(w.Context(), store.Process{}))
	signed := len(w.entries(audit.Checkpoint))
	ctx, stop := context.WithCancel(w.Context())
	ended := make(chan error)
	go func() { ended <- w.custody.Run(ctx) }()
	for len(w.entries(audit.Checkpoint)) == signed {
		time.Sleep(time.Millisecond) // it is done last
	}
	stop()
	w.must(<-ended)
}

func (w *world) count(alias string) int64 {
	w.Helper()
	g, err := w.grant("ncb-ph", alias, exchange.Read)
	w.must(err)
	n, err := w.store.Count(w.Context(), g.ID())
	w.must(err)
	return n
}

// What ends on a day is out of sight at once, and out of the store once that day is
// over.
func TestAServerPurgesWhatEndedOnTheDaysBefore(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", infrastructure(1, `,"last_seen":"2026-05-25T06:00:00Z"`), infrastructure(2, ""))
	for days, want := range []int64{2, 2, 2, 2, 1} { // until 4 June
		if w.runOnce(); w.count("pool.intel.fir") != want {
			t.Errorf("%d records after %d days, want %d", w.count("pool.intel.fir"), days, want)
		}
		w.move(24 * time.Hour)
	}
}

// By a wrong clock everything is past its retention.
func TestAServerWhoseClockIsFarAheadPurgesNothing(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", infrastructure(1, `,"last_seen":"2026-05-25T06:00:00Z"`))
	w.move(100 * 24 * time.Hour)
	for range 2 { // also when it is started again
		if w.runOnce(); w.count("pool.intel.fir") != 1 {
			t.Fatal("it was purged")
		}
	}
	if n, err := w.custody.Purge(w.Context(), "operator", ""); n != 1 || err != nil {
		t.Errorf("by hand: %d purged, %v", n, err)
	}
	w.push("fir", "pool.intel.fir", infrastructure(2, `,"last_seen":"2026-09-01T06:00:00Z"`))
	w.move(20 * 24 * time.Hour)
	if w.runOnce(); w.count("pool.intel.fir") != 0 {
		t.Error("nothing is purged although the operator has purged by hand")
	}
}

func TestCheckpointsReachTheWitness(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	signed, err := w.custody.Checkpoint(w.Context())
	w.must(err)
	got := w.fetch("fir", "pool.post.fir", taxii.Match{Types: []string{"note"}})
	found, err := audit.ParseCheckpoints(strings.NewReader("[" + strings.Join(got, ",") + "]"))
	if err != nil || len(found) != 1 || found[0] != signed || found[0].Check() != nil {
		t.Errorf("the witness has %v, %v; the centre signed %v", found, err, signed)
	}
	equal(w, "elm, no witness", w.post("elm"), nil)
}

func ids(objects []string) []stix.ID {
	var list []stix.ID
	for _, o := range objects {
		object, err := stix.NewObject([]byte(o))
		if err != nil {
			panic(err)
		}
		list = append(list, object.ID)
	}
	return list
}

func infraID(n int) stix.ID {
	return stix.ID(strings.Replace(string(idOf(n)), "indicator", "infrastructure", 1))
}

func infrastructure(n int, more string) string {
	return `{"type":"infrastructure","spec_version":"2.1","id":"` + string(infraID(n)) + `","created":"2026-05-31T00:00:00.000Z","modified":"2026-05-31T00:00:00.000Z","name":"a server","infrastructure_types":["command-and-control"]` + more + `}`
}
