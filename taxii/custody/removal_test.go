package custody_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// delete takes indicator n back for fir.
func (w *world) delete(ctx context.Context, n int) (int, error) {
	w.Helper()
	g, err := w.grant("fir", "pool.intel.fir", exchange.Open)
	w.must(err)
	return w.custody.Delete(ctx, g, store.Query{Match: taxii.Match{IDs: []string{string(idOf(n))}, Versions: taxii.Versioning{All: true}}})
}

// poll reads a collection for ncb-ph as a server would, and says how many objects
// it got.
func (w *world) poll(alias string) int {
	g, err := w.grant("ncb-ph", alias, exchange.Read)
	if err != nil {
		w.Error(err)
		return 0
	}
	page, err := w.custody.Scan(w.Context(), g, store.Query{Limit: 1000})
	if err != nil {
		w.Error(err)
		return 0
	}
	return page.Len()
}

// A holder is not asked to delete what another server, which hangs, keeps in the collection.
func TestNobodyIsNotifiedOfARemovalThatCannotBegin(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	w.poll("pool.intel.fir")
	w.store.beforeExclusive = func() error { return taxii.Errorf(taxii.Unavailable, "a server does not let its readers end") }
	if _, err := w.delete(t.Context(), 1); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := len(w.entries(audit.Notice)); n > 0 {
		t.Errorf("%d were notified", n)
	}
	w.store.beforeExclusive = nil
	if n, err := w.delete(t.Context(), 1); n != 1 || err != nil || len(w.entries(audit.Notice)) != 1 {
		t.Errorf("%d deleted, %v, %d notified", n, err, len(w.entries(audit.Notice)))
	}
}

func TestADeletionHoldsUpThoseWhoPollItsCollectionAndOnlyWhileItCommits(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""), indicator("fir", 2, ""))
	w.push("elm", "pool.intel.elm", indicator("elm", 3, ""))
	w.poll("pool.intel.fir")
	// While holders are looked for and told, everybody polls.
	first := true
	look := func() {
		if first {
			first = false
			if w.poll("pool.intel.fir") != 2 || w.poll("pool.intel.elm") != 1 {
				t.Error("a poll got the wrong objects")
			}
		}
	}
	w.store.beforeHolders = look
	told := 0
	w.store.beforeAppend = func() { told++; first = true; look() }
	removing, release := make(chan struct{}), make(chan struct{})
	w.store.beforeRemove = func([]time.Time) { close(removing); <-release }
	deleted := make(chan error, 1)
	go func() { _, err := w.delete(context.Background(), 1); deleted <- err }()
	<-removing
	w.store.beforeHolders, w.store.beforeAppend = nil, nil
	if told == 0 || w.poll("pool.intel.elm") != 1 {
		t.Error("another collection cannot be polled while the deletion commits")
	}
	got := make(chan int, 1)
	go func() { got <- w.poll("pool.intel.fir") }()
	select {
	case n := <-got:
		t.Errorf("%d objects were polled while one of them was removed", n)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if err, n := <-deleted, <-got; err != nil || n != 1 {
		t.Errorf("%v, and then %d objects", err, n)
	}
}

// Who gets an object while others are told to delete it is told, too.
func TestWhoPollsDuringARecallIsTold(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	polled := false
	w.store.beforeRecord = func(e audit.Entry) {
		if e.Act == audit.Notice && !polled { // of the recall from igci
			polled = true
			w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{})
		}
	}
	w.fetch("igci", "pool.intel.fir", taxii.Match{})
	if n, err := w.delete(w.Context(), 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	equal(w, "ncb-ph", w.post("ncb-ph"), []string{"Recall " + string(idOf(1))})
}

// Whoever polls again and again cannot put off a removal: in the end late holders are
// notified while nobody can poll the collection.
func TestARemovalIsNotPutOffByThosePolling(t *testing.T) {
	w := newWorld(t)
	var named []string
	for n := 1; n <= 5; n++ {
		w.push("fir", "pool.intel.fir", indicator("fir", n, ""))
		named = append(named, string(idOf(n)))
	}
	get := func(org string, n int) {
		w.fetch(org, "pool.intel.fir", taxii.Match{IDs: []string{string(idOf(n))}})
	}
	notices, got := 0, make(chan int, 1)
	w.store.beforeRecord = func(e audit.Entry) {
		if e.Act != audit.Notice {
			return
		}
		if notices++; notices < 4 {
			get("ncb-ph", notices+1)
			return
		}
		go func() { got <- w.poll("pool.intel.fir") }()
		select {
		case n := <-got:
			t.Errorf("%d objects were polled before notice %d", n, notices)
			got <- n
		case <-time.After(20 * time.Millisecond):
		}
	}
	get("igci", 1)
	g, err := w.grant("fir", "pool.intel.fir", exchange.Delete)
	w.must(err)
	if n, err := w.custody.Delete(w.Context(), g, store.Query{Match: taxii.Match{IDs: named}}); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if n := <-got; notices != 4 || n != 0 {
		t.Errorf("%d notices, and %d objects were polled after the removal", notices, n)
	}
}

// What was begun to be told is done, although the client has left: nobody is asked to
// delete what is still there.
func TestADeletionOnceBegunIsFinished(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{})
	ctx, leave := context.WithCancel(w.Context())
	w.store.beforeAppend = leave // as the notice is written
	if n, err := w.delete(ctx, 1); n != 1 || err != nil || ctx.Err() == nil {
		t.Errorf("%d, %v", n, err)
	}
	equal(w, "ncb-ph", w.post("ncb-ph"), []string{"Recall " + string(idOf(1))})
	equal(w, "left", w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{}), nil)
}

// An object of many versions is deleted in parts, so that those who poll wait for
// one part at most. A version that arrives meanwhile is not part of it.
func TestADeletionOfManyVersionsIsMadeInParts(t *testing.T) {
	w := newWorld(t)
	version := func(n int) string {
		modified := time.Date(2026, 5, 1, 0, 0, 0, n*int(time.Millisecond), time.UTC).Format("2006-01-02T15:04:05.000Z")
		return strings.Replace(indicator("fir", 1, ""), `"modified":"2026-05-01T00:00:00.000Z"`, fmt.Sprintf(`"modified":%q`, modified), 1)
	}
	var versions []string
	for n := range 2500 {
		versions = append(versions, version(n))
	}
	w.push("fir", "pool.intel.fir", versions...)
	var parts []int
	w.store.beforeRemove = func(dates []time.Time) {
		if parts = append(parts, len(dates)); len(parts) == 1 {
			w.push("fir", "pool.intel.fir", version(9999))
		}
	}
	if n, err := w.delete(w.Context(), 1); n != 2500 || err != nil {
		t.Fatal(n, err)
	}
	equal(w, "parts", parts, []int{1000, 1000, 500})
	if left := w.fetch("ncb-ph", "pool.intel.fir", taxii.Match{Versions: taxii.Versioning{All: true}}); len(left) != 1 {
		t.Errorf("%d versions are left", len(left))
	}
}

func TestADeletionIsOnRecordWithItsObjects(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""), indicator("fir", 2, ""))
	if _, err := w.delete(w.Context(), 1); err != nil {
		t.Fatal(err)
	}
	list := w.entries(audit.Deletion)
	if len(list) != 1 || list[0].Account != "fir/feed" || list[0].Org != "fir" || list[0].Agreement != "pool" || list[0].Article != "3" || list[0].Count != 1 ||
		len(list[0].Subjects) != 1 || stix.ID(list[0].Subjects[0].ID) != idOf(1) || len(list[0].Subjects[0].Digest) != 64 {
		t.Errorf("%+v", list)
	}
}

func TestDeletionsAreLimited(t *testing.T) {
	w := newWorld(t)
	w.push("fir", "pool.intel.fir", indicator("fir", 1, ""))
	var err error
	for n := 0; n < 1000 && taxii.CodeOf(err) != taxii.TooMany; n++ {
		_, err = w.delete(w.Context(), 2) // which is not there
	}
	if taxii.CodeOf(err) != taxii.TooMany {
		t.Fatal(err)
	}
	w.move(time.Second)
	if n, err := w.delete(w.Context(), 1); n != 1 || err != nil {
		t.Errorf("a second later: %d, %v", n, err)
	}
}

// Of an object that an organisation got as RED and otherwise too, two notices are sent:
// those in the organisation who may not see RED learn of it from the other one.
func TestARecallReachesThoseWhoMayNotSeeRed(t *testing.T) {
	w := newWorld(t)
	w.deposit(noon, strings.NewReplacer(`id = "pool"`, `id = "club"`, `intel = "amber+strict"`, `intel = "red"`, `intel = "default:green"`, `intel = "default:red"`,
		`article = "4"`+"\n", `article = "4"`+"\n"+`red_recipients = ["ncb-ph:head"]`+"\n").Replace(pool))
	w.push("fir", "club.intel.fir", indicator("fir", 1, ""))
	w.push("elm", "pool.intel.elm", indicator("fir", 1, ""))
	w.move(time.Minute)
	newest, err := w.current.Snapshot(w.Context())
	w.must(err)
	read := func(alias string, match taxii.Match) int {
		t.Helper()
		head := exchange.Principal{Account: "ncb-ph/head", Org: "ncb-ph", Person: true, Purposes: exchange.Purposes, Action: "search"}
		g, err := newest.Policy.Decide(head, alias, exchange.Read, w.now())
		w.must(err)
		page, err := w.custody.Scan(w.Context(), g, store.Query{Match: match, Limit: 1000})
		w.must(err)
		return page.Len()
	}
	if n := read("club.intel.fir", taxii.Match{}); n != 1 {
		t.Fatalf("the head got %d RED objects", n)
	}
	w.fetch("ncb-ph", "pool.intel.elm", taxii.Match{})
	_, err = w.custody.Withdraw(w.Context(), "operator", "club", "fir", "notice")
	w.must(err)
	if n := len(w.fetch("ncb-ph", "club.post.ph", taxii.Match{Types: []string{"note"}})); n != 1 {
		t.Errorf("a service of ncb-ph finds %d notices, want the one that is not RED", n)
	}
	sent := 0
	for _, e := range w.entries(audit.Notice) {
		if e.Org == "ncb-ph" && strings.HasPrefix(e.Text, "recall") {
			sent++
		}
	}
	if sent != 2 {
		t.Errorf("%d notices were sent to ncb-ph, want two", sent)
	}
}
