package auth_test

import (
	"context"
	"errors"
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
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

func TestPasswordsAreKeptAsArgon2id(t *testing.T) {
	a, b := mustHash(password), mustHash(password)
	if a == b {
		t.Error("two accounts with one password show it: the salt is missing")
	}
	if !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(a, password) {
		t.Errorf("hash %s, want argon2id of 19 MiB in two passes", a)
	}
}

func TestAShortPasswordIsNotSet(t *testing.T) {
	for password, taken := range map[string]bool{"": false, "x": false, "1234567": false, "パスワード日本": false, "パスワードは日本": true, "12345678": true} {
		if _, err := auth.HashPassword(password); (err == nil) != taken || err != nil && taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("%q: %v, taken is to be %t", password, err, taken)
		}
	}
}

func TestADamagedHashOpensNothing(t *testing.T) {
	w := newWorld(t)
	for _, damaged := range []string{"", "x", "$$$$$", hash()[:20], strings.Replace(hash(), "t=2", "t=1", 1), strings.Replace(hash(), "argon2id", "argon2i", 1), hash() + "x"} {
		w.amend(func(d *exchange.Directory) { d.Accounts["acme/person"].Password = damaged })
		for _, secret := range []string{password, "", damaged} {
			if _, _, err := w.Authenticate(basic("acme/person", secret)); err == nil {
				t.Errorf("hash %q lets %q in", damaged, secret)
			}
		}
		w.Authenticator = auth.New(exchange.NewCurrent(w.source), time.Now, keyHeader)
	}
}

// pays tells whether a request costs one computation of argon2id, by the
// memory that takes.
func pays(w *world, r *http.Request) (paid, in bool) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := w.Authenticate(r)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc-before.TotalAlloc > 16<<20, err == nil
}

// A poller does not cost a computation of argon2id at each poll. A guess always costs
// one, whether the account exists or not.
func TestARightPasswordIsRememberedForMinutes(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		steps := []struct {
			name     string
			wait     time.Duration
			r        *http.Request
			paid, in bool
		}{
			{"the first time", 0, basic("acme/feed", password), true, true},
			{"soon again", 0, basic("acme/feed", password), false, true},
			{"just in time", 5*time.Minute - 1, basic("acme/feed", password), false, true},
			{"too late", 1, basic("acme/feed", password), true, true},
			{"and again", 0, basic("acme/feed", password), false, true},
			{"another account with the same hash", 0, basic("acme/person", password), false, true},
			{"a wrong password", 0, basic("acme/feed", "x"), true, false},
			{"the same wrong password", 0, basic("acme/feed", "x"), true, false},
			{"an account without password", 0, basic("acme/bare", password), true, false},
			{"an account that does not exist", 0, basic("acme/nobody", password), true, false},
			{"and once more", 0, basic("acme/nobody", password), true, false},
			{"a token", 0, bearer(w.token), false, true},
			{"a token as password", 0, basic("acme/feed", w.token), false, true},
		}
		for _, s := range steps {
			time.Sleep(s.wait)
			if paid, in := pays(w, s.r); paid != s.paid || in != s.in {
				t.Errorf("%s: paid %t, let in %t; want %t, %t", s.name, paid, in, s.paid, s.in)
			}
		}
	})
}

func TestAChangedPasswordIsForgottenAtOnce(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		if _, _, err := w.Authenticate(basic("acme/person", password)); err != nil {
			t.Fatal(err)
		}
	}
	changed := mustHash("a new one")
	w.amend(func(d *exchange.Directory) { d.Accounts["acme/person"].Password = changed })
	if _, _, err := w.Authenticate(basic("acme/person", password)); err == nil {
		t.Error("the old password is let in")
	}
	if _, _, err := w.Authenticate(basic("acme/person", "a new one")); err != nil {
		t.Errorf("the new password: %v", err)
	}
	w.amend(func(d *exchange.Directory) { d.Accounts["acme/person"].Password = "" })
	if _, _, err := w.Authenticate(basic("acme/person", "a new one")); err == nil {
		t.Error("the password is let in after it was taken away")
	}
	if _, _, err := w.Authenticate(basic("acme/feed", password)); err != nil {
		t.Errorf("somebody else's password: %v", err)
	}
}

func TestWhoHangsUpGivesItsTurnBack(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if _, _, err := w.Authenticate(basic("acme/feed", "x").WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who hung up is refused for %v", err)
		}
	}
	if _, _, err := w.Authenticate(basic("acme/feed", password)); err != nil {
		t.Errorf("callers who hung up are counted: %v", err)
	}
}

// Wrong passwords wait before they are hashed, so guesses neither take the processor
// nor keep a token or a remembered password waiting.
func TestGuessesWaitBeforeTheyAreHashed(t *testing.T) {
	hash()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, _, err := w.Authenticate(from(basic("acme/person", password), "192.0.2.2:1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var guesses sync.WaitGroup
		var hashed atomic.Int32
		for i := range 200 {
			guesses.Go(func() {
				w.Authenticate(from(basic("acme/feed", fmt.Sprint("guess ", i)), "192.0.2.1:1").WithContext(ctx))
				if ctx.Err() == nil {
					hashed.Add(1)
				}
			})
		}
		for name, r := range map[string]*http.Request{
			"token": from(bearer(w.token), "192.0.2.1:1"), "token as password": from(basic("x", w.token), "192.0.2.1:1"), "remembered password": basic("acme/person", password),
		} {
			if _, _, err := w.Authenticate(r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		synctest.Wait() // until all others wait
		if n := hashed.Load(); n != 10 {
			t.Errorf("%d passwords were hashed at once, want the free 10", n)
		}
		cancel()
		guesses.Wait()
	})
}

// A bounded number of passwords waits to be hashed, from however many addresses and
// for however many accounts they come.
func TestHashesAreBounded(t *testing.T) {
	w := newWorld(t)
	var tries sync.WaitGroup
	var busy atomic.Int32
	for i := range 300 {
		tries.Go(func() {
			_, _, err := w.Authenticate(from(basic(fmt.Sprint("acme/a", i), "x"), fmt.Sprintf("192.0.%d.%d:1", i/200, i%200)))
			if taxii.CodeOf(err) == taxii.TooMany {
				busy.Add(1)
			}
		})
	}
	tries.Wait()
	if n := busy.Load(); n < 100 {
		t.Errorf("%d of 300 were told to come back", n)
	}
}
