package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// ledger is a store that only records, and fails when told to.
type ledger struct {
	mu      sync.Mutex
	entries []audit.Entry
	fail    error
}

func (l *ledger) commit(_ context.Context, entries ...audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail == nil {
		l.entries = append(l.entries, entries...)
	}
	return l.fail
}

// told are the entries so far, shortly.
func (l *ledger) told() (short []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		s := fmt.Sprintf("%s %s %d", e.Act, e.Account, e.Count)
		if e.From != nil {
			s += fmt.Sprintf(" %d-%d", int(e.From.Sub(noon).Seconds()), int(e.To.Sub(noon).Seconds()))
		}
		if e.Text != "" {
			s += " " + e.Text
		}
		short = append(short, s)
	}
	return short
}

// exclusive runs f while the scans of a collection are held up.
func exclusive(ctx context.Context, r *audit.Recorder, collection uuid.UUID, f func() error) error {
	release, err := r.Hold(ctx, collection)
	if err != nil {
		return err
	}
	defer release()
	return f()
}

func recorder(l *ledger) *audit.Recorder {
	return audit.New(l.commit, func() time.Time { return noon }, slog.New(slog.DiscardHandler))
}

// page delivers the records added from first to last, asked for after from.
func page(t testing.TB, r *audit.Recorder, g exchange.Grant, from, first, last, n int) {
	t.Helper()
	if err := r.Deliver(g, taxii.Match{}, audit.Page{After: after(from), First: after(first), Last: after(last), Count: n, HighWater: after(last)}); err != nil {
		t.Fatal(err)
	}
}

func flushed(t *testing.T, r *audit.Recorder, l *ledger, want ...string) {
	t.Helper()
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, l.told()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFailingCommitKeepsEverythingInOrder(t *testing.T) {
	l := ledger{fail: errors.New("disk full")}
	r := recorder(&l)
	page(t, r, grant(t, "a", 0), 0, 1, 2, 1)
	if err := r.Flush(t.Context()); !errors.Is(err, l.fail) {
		t.Fatalf("got %v", err)
	}
	page(t, r, grant(t, "b", 0), 0, 1, 2, 1)
	if err := r.Flush(t.Context()); err == nil || r.Waiting() != 2 {
		t.Fatalf("%v, %d waiting", err, r.Waiting())
	}
	page(t, r, grant(t, "b", 0), 2, 3, 4, 1)
	l.fail = nil
	flushed(t, r, &l, "delivery a 1 1-2", "delivery b 2 1-4")
	if r.Waiting() != 0 {
		t.Errorf("%d waiting", r.Waiting())
	}
}

// Rather no page than one that is not on record.
func TestDeliverRefusesWhenTooMuchWaits(t *testing.T) {
	l := ledger{fail: errors.New("disk full")}
	r := recorder(&l)
	g := grant(t, "a", 0)
	for i := range 100_000 {
		page(t, r, g, 10*i, 10*i+1, 10*i+2, 1)
	}
	deliver := func() error {
		return r.Deliver(g, taxii.Match{}, audit.Page{After: after(-10), First: after(-9), Last: after(-8), Count: 1})
	}
	if err := deliver(); taxii.CodeOf(err) != taxii.Unavailable || r.Waiting() != 100_000 {
		t.Fatalf("%v, %d waiting", err, r.Waiting())
	}
	l.fail = nil
	if err := deliver(); err != nil || len(l.entries) != 100_000 || r.Waiting() != 1 {
		t.Fatalf("%v, %d on record, %d waiting", err, len(l.entries), r.Waiting())
	}
}

func TestHoldReturnsOnceWhatIsUnderWayIsOnRecord(t *testing.T) {
	var l ledger
	r := recorder(&l)
	g := grant(t, "a", 0)
	done := r.Reading(g.ID()) // a scan is under way
	ran := make(chan error)
	go func() {
		ran <- exclusive(t.Context(), r, g.ID(), func() error {
			if len(l.told()) != 1 {
				return errors.New("f ran before the delivery was on record")
			}
			return nil
		})
	}()
	time.Sleep(10 * time.Millisecond) // long enough for Hold to be wrong
	page(t, r, g, 0, 1, 2, 1)
	done()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	l.fail = errors.New("disk full")
	page(t, r, g, 2, 3, 4, 1)
	err := exclusive(t.Context(), r, g.ID(), func() error { t.Error("f ran without the record"); return nil })
	if !errors.Is(err, l.fail) {
		t.Errorf("got %v", err)
	}
}

// Readers poll a collection that is emptied meanwhile: whatever they got is on
// record before it is removed.
func TestNothingDeliveredIsRemovedUnrecorded(t *testing.T) {
	var l ledger
	r := recorder(&l)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	var first, delivered atomic.Int64 // the collection holds the records from first on
	var readers sync.WaitGroup
	for i := range 4 {
		g := grant(t, fmt.Sprint("reader-", i), 0)
		readers.Go(func() {
			for range 300 {
				done := r.Reading(g.ID())
				at := int(first.Load())
				if err := r.Deliver(g, taxii.Match{}, audit.Page{After: after(at - 1), First: after(at), Last: after(at), Count: 1}); err != nil {
					t.Error(err)
				}
				delivered.Add(1)
				done()
				r.Refuse(g.Principal(), "igci", "c", "", "", "no")
			}
		})
	}
	for range 50 {
		err := exclusive(ctx, r, grant(t, "reader-0", 0).ID(), func() error {
			l.mu.Lock()
			defer l.mu.Unlock()
			var recorded int64
			for _, e := range l.entries {
				if e.Act == audit.Delivery {
					recorded += int64(e.Count)
				}
			}
			if recorded != delivered.Load() {
				return fmt.Errorf("%d delivered, %d on record", delivered.Load(), recorded)
			}
			first.Add(1)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
	stop()
	if err := <-ended; err != nil || r.Waiting() != 0 {
		t.Errorf("%v, %d waiting at the end", err, r.Waiting())
	}
}

func TestFlushDoesNotHoldUpDeliver(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	r := audit.New(func(context.Context, ...audit.Entry) error { close(began); <-release; return nil },
		func() time.Time { return noon }, slog.New(slog.DiscardHandler))
	g := grant(t, "a", 0)
	page(t, r, g, 0, 1, 2, 1)
	flushed := make(chan error)
	go func() { flushed <- r.Flush(t.Context()) }()
	<-began
	page(t, r, g, 2, 3, 4, 1) // while the commit is under way
	close(release)
	if err := <-flushed; err != nil || r.Waiting() != 1 {
		t.Errorf("%v, %d waiting", err, r.Waiting())
	}
}

// A client that gets something new each minute is on record at once, and then once an
// hour with all it got: neither it nor what others do before makes more entries.
func TestAClientThatPollsAllDayIsAnEntryAnHour(t *testing.T) {
	var l ledger
	now := noon
	r := audit.New(l.commit, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	a := grant(t, "a", 0)
	for minute := range 3 * 60 {
		page(t, r, a, minute, minute+1, minute+1, 1)
		if err := audit.FlushDue(r, t.Context()); err != nil {
			t.Fatal(err)
		}
		if minute == 90 {
			other := exchange.Operator([16]byte{1})
			if err := exclusive(t.Context(), r, other.ID(), func() error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Minute)
	}
	flushed(t, r, &l, "delivery a 1 1-1", "delivery a 60 2-61", "delivery a 60 62-121", "delivery a 59 122-180")
}

// A removal that gives up waiting for a scan holds up nobody.
func TestHoldEndsWithItsContext(t *testing.T) {
	r := recorder(&ledger{})
	g := grant(t, "a", 0)
	done := r.Reading(g.ID()) // a scan that hangs
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if release, err := r.Hold(ctx, g.ID()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v, release: %v", err, release != nil)
	}
	r.Reading(g.ID())()
	done()
	if err := exclusive(t.Context(), r, g.ID(), func() error { return nil }); err != nil {
		t.Error(err)
	}
}
