package feed_test

import (
	"fmt"
	"maps"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// Whatever was pushed and removed, whenever the process began anew and whatever became of its
// files, a feed that followed all along has the entries, the tag and the counts of one that is
// made now.
func TestAFeedThatFollowsIsAFeedMadeNow(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, "[feeds]\narticle = \"4\"\nmin_confidence = 10\n")
		w.subscribe("block", "block", "never_block = [\"203.0.114.4\"]\n[query]\nmax_age = \"P100D\"\n[entries]\nmay_be_empty = true\nlifetime = { ipv4 = \"P60D\" }\n")
		modified := map[int]int{}
		for range rapid.IntRange(3, 12).Draw(r, "steps") {
			n := rapid.IntRange(0, 5).Draw(r, "indicator")
			vendor := []string{"fir", "elm"}[n%2]
			switch rapid.IntRange(0, 8).Draw(r, "step") {
			case 0, 1, 2:
				modified[n] += rapid.SampledFrom([]int{1, 1, 1, 5}).Draw(r, "modified")
				at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, modified[n])
				if at.After(w.now()) {
					continue
				}
				more := rapid.SampledFrom([]string{
					`,"confidence":50`, `,"confidence":50`, `,"confidence":5`, "", `,"revoked":true`, `,"confidence":60,"indicator_types":["benign"]`,
					`,"confidence":70,"valid_until":"2026-07-01T00:00:00Z"`, `,"confidence":70,"valid_until":"2026-06-01T12:20:00Z"`,
					`,"confidence":80,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`,
				}).Draw(r, "more")
				value := rapid.IntRange(1, 4).Draw(r, "value")
				w.tryPush(vendor, indicatorAt(n, address(fmt.Sprintf("203.0.114.%d", value)), at.Format("2006-01-02T15:04:05.000Z"), more))
			case 3:
				w.remove(vendor, n, "")
			case 4:
				by := rapid.SampledFrom([]time.Duration{15 * time.Minute, 24 * time.Hour}).Draw(r, "by")
				w.move(time.Duration(rapid.IntRange(1, 40).Draw(r, "times")) * by)
			case 5:
				w.write()
				continue
			case 6:
				if rapid.Bool().Draw(r, "ended") { // or else killed
					w.write()
				}
				w.restart()
			case 7:
				if dates := w.dates(vendor); len(dates) > 0 {
					w.erase(vendor, rapid.SampledFrom([]audit.Act{audit.Withdrawal, audit.Purge, audit.Deletion}).Draw(r, "act"), rapid.IntRange(0, len(dates)-1).Draw(r, "n"))
				}
			case 8:
				for _, name := range w.files() {
					damage(r, w, name)
				}
			}
			compare(r, w)
		}
	})
}

// damage cuts a file off or changes a byte of it. The next process finds it so.
func damage(r *rapid.T, w *world, name string) {
	content, err := os.ReadFile(name)
	w.must(err)
	at := rapid.IntRange(0, len(content)).Draw(r, "at")
	if at == len(content) || rapid.Bool().Draw(r, "cut") {
		content = content[:at]
	} else {
		content[at]++
	}
	w.must(os.Remove(name)) // this process goes on with the old one
	w.must(os.WriteFile(name, content, 0o600))
}

// compare compares the feed with one that is made now.
func compare(r rapid.TB, w *world) {
	fresh := feed.New(w.store, exchange.NewCurrent(w.store), w.recorder, centreKey, feed.Config{}, w.now, w.log())
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	var answers []*feed.Answer
	for _, s := range []*feed.Service{w.feeds, fresh} {
		a, err := s.Open(w.Context(), p, "f-block", feed.List)
		if err != nil {
			r.Fatal(err)
		}
		a.Close()
		answers = append(answers, a)
	}
	followed, made := answers[0], answers[1]
	if text(followed) != text(made) || followed.Tag != made.Tag {
		r.Fatalf("at %s it has %s, and one made now %s", taxii.FormatTime(w.now()), text(followed), text(made))
	}
}

// text is what an answer has, to compare and to show.
func text(a *feed.Answer) string {
	s := ""
	for e := range a.Entries.All() {
		s += fmt.Sprintf("%s %v %d %s; ", e.Text, e.IDs, e.Confidence, e.Until)
	}
	leftOut := maps.Clone(a.LeftOut)
	maps.DeleteFunc(leftOut, func(_ stixfeed.Reason, n int) bool { return n == 0 })
	return s + fmt.Sprint(leftOut)
}
