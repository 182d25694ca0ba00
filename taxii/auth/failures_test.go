package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// from is r as it comes from another address.
func from(r *http.Request, address string) *http.Request {
	r.RemoteAddr = address
	return r
}

// took is how long the answer to r takes.
func took(w *world, r *http.Request) time.Duration {
	start := time.Now()
	w.Authenticate(r)
	return time.Since(start)
}

func TestRepeatedFailuresAreAnsweredLate(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		wrong := func() *http.Request { return from(bearer("wrong"), "192.0.2.1:1000") }
		for i := range 10 {
			if got := took(w, wrong()); got != 0 {
				t.Errorf("failure %d took %v, want an answer at once", i+1, got)
			}
		}
		for i := range 3 {
			if got := took(w, wrong()); got != time.Second {
				t.Errorf("failure %d took %v, want a second", 11+i, got)
			}
		}
		if got := took(w, from(bearer("wrong"), "192.0.2.1:2000")); got != time.Second {
			t.Errorf("from another port it took %v, want a second", got)
		}
		if got := took(w, from(bearer("wrong"), "[2001:db8::1]:1000")); got != 0 {
			t.Errorf("from another address it took %v, want an answer at once", got)
		}
		if got := took(w, from(with("", ""), "192.0.2.1:1000")); got != 0 {
			t.Errorf("without credentials it took %v: that is a question, not a guess", got)
		}
		if got := took(w, from(bearer(w.token), "192.0.2.1:1000")); got != 0 {
			t.Errorf("with the right token it took %v: nobody is locked out", got)
		}
		time.Sleep(time.Minute)
		if got := took(w, wrong()); got != 0 {
			t.Errorf("after a minute's rest it took %v, want an answer at once", got)
		}
	})
}

// A client with an IPv6 network does not get a free burst with each of its addresses.
func TestFailuresOfOneIPv6NetworkAreCountedTogether(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 10 {
			took(w, from(bearer("wrong"), fmt.Sprintf("[2001:db8::%x]:1", i)))
		}
		for address, want := range map[string]time.Duration{"[2001:db8::ffff]:1": time.Second, "[2001:db8:0:1::1]:1": 0, "192.0.2.1:1": 0} {
			if got := took(w, from(bearer("wrong"), address)); got != want {
				t.Errorf("from %s it took %v, want %v", address, got, want)
			}
		}
	})
}

// An account is guarded against guesses from everywhere, and stays open to a client
// whose password is remembered, which counted once.
func TestGuessesAtOneAccountAreCountedTogether(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if got := took(w, basic("acme/feed", password)); got != 0 {
			t.Fatalf("the right password took %v", got)
		}
		for i := range 12 {
			user := "acme/feed"
			if i%2 == 0 {
				user = "ACME/Feed"
			}
			got := took(w, from(basic(user, "guess"), fmt.Sprintf("192.0.2.%d:1", i)))
			if want := time.Duration(i/9) * time.Second; i < 11 && got != want {
				t.Errorf("guess %d took %v, want %v", i+1, got, want)
			}
		}
		if got := took(w, from(basic("acme/person", "guess"), "192.0.2.99:1")); got != 0 {
			t.Errorf("a guess at another account took %v", got)
		}
		if got := took(w, from(basic("acme/feed", password), "192.0.2.3:1")); got != 0 {
			t.Errorf("the right password took %v after the guesses", got)
		}
	})
}

// The right password of a disabled account counts as a guess, each time: otherwise a
// quick refusal would tell that it is right.
func TestRightPasswordOfADisabledAccountIsAGuess(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		took(w, basic("acme/feed", password)) // and is remembered
		w.amend(func(d *exchange.Directory) { d.Accounts["acme/feed"].Disabled = true })
		for range 9 {
			took(w, basic("acme/feed", password))
		}
		if got := took(w, basic("acme/feed", password)); got != time.Second {
			t.Errorf("the right password took %v, want the second that a wrong one takes", got)
		}
	})
}

func TestAFloodWaitsFiveSecondsAndLeavesNoDebt(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var flood sync.WaitGroup
		for range 500 {
			flood.Go(func() {
				if got := took(w, from(bearer("wrong"), "192.0.2.1:1")); got > 5*time.Second {
					t.Errorf("took %v, want five seconds at most", got)
				}
			})
		}
		flood.Wait()
		time.Sleep(time.Minute)
		if got := took(w, from(bearer("wrong"), "192.0.2.1:1")); got != 0 {
			t.Errorf("after a minute's rest it took %v: the flood left a debt", got)
		}
	})
}

// A flood of guesses, from one address at many accounts and from many addresses at one,
// takes little of the processor, so a first login elsewhere does not wait.
func TestFirstLoginDoesNotWaitForTheGuessesOfOthers(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const seconds = 10
		ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
		defer cancel()
		var flood sync.WaitGroup
		var hashed atomic.Int32
		guess := func(user, address string) {
			for ctx.Err() == nil {
				_, _, err := w.Authenticate(from(basic(user, "guess"), address).WithContext(ctx))
				if taxii.CodeOf(err) == taxii.Unauthorized {
					hashed.Add(1)
				}
				time.Sleep(time.Second)
			}
		}
		for i := range 300 {
			flood.Go(func() { guess(fmt.Sprint("acme/a", i), "192.0.2.1:1") })
			flood.Go(func() { guess("acme/feed", fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255)) })
		}
		time.Sleep(seconds * time.Second / 2)
		start := time.Now()
		if _, _, err := w.Authenticate(from(basic("acme/person", password), "192.0.2.2:1")); err != nil || time.Since(start) > 0 {
			t.Errorf("a first login waits %v: %v", time.Since(start), err)
		}
		flood.Wait()
		if n := hashed.Load(); n > 2*(10+seconds) {
			t.Errorf("%d guesses were hashed in %d seconds, want the free 10 and one a second, of the address and of the account", n, seconds)
		}
	})
}

func TestWhoHangsUpIsNotWaitedFor(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 10 {
			took(w, bearer("wrong"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got := took(w, bearer("wrong").WithContext(ctx)); got != time.Millisecond {
			t.Errorf("took %v, want the millisecond that the caller waited", got)
		}
	})
}

// Failures are counted by address and user, and neither many nor long names fill the
// memory.
func TestFailuresAreRememberedInLittleMemory(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		for i := range 8 {
			took(w, from(basic(strings.Repeat("x", 4<<20)+fmt.Sprint(i), "x"), fmt.Sprintf("192.0.2.%d:1", i)))
		}
		if got := heap() - before; got > 8<<20 {
			t.Errorf("%d bytes held for 8 long names", got)
		}
		before = heap()
		for i := range 50_000 {
			took(w, from(bearer("wrong"), fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)))
		}
		if got := heap() - before; got > 8<<20 {
			t.Errorf("%d bytes held for 50,000 addresses", got)
		}
		runtime.KeepAlive(w)
	})
}
