package feed_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// Names in the environment.
const (
	killDir   = "COMITY_KILL_DIR"   // folder of a child
	killEpoch = "COMITY_KILL_EPOCH" // when the test began, in µs since 1970
	killRound = "COMITY_KILL_ROUND" // number of a child
	kills     = "COMITY_KILLS"      // how many children are killed
)

// A server is killed while it takes pushes, removes records and answers, over and over in the
// same folder. Its feed goes on as one that was never interrupted: no version is older than one
// before, nothing that was removed comes back, and it has the entries of a feed made now.
func TestAKilledServerGoesOnWithItsFeeds(t *testing.T) {
	if os.Getenv(killDir) != "" {
		serveUntilKilled(t)
		return
	}
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv(kills)); err == nil {
		rounds = n
	}
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	epoch := time.Now()
	version, removed, pushed := int64(0), map[string]bool{}, 0
	for round := range rounds {
		w.must(w.store.Close())
		for _, line := range killed(t, w.dir, epoch, round) {
			what, value, _ := strings.Cut(line, " ")
			switch what {
			case "version":
				at, err := strconv.ParseInt(value, 10, 64)
				if w.must(err); at < version {
					t.Fatalf("round %d: version %d after %d", round, at, version)
				}
				version = at
			case "removed":
				removed[value] = true
			case "pushed":
				pushed++
				delete(removed, value)
			}
		}
		w.reopen(epoch)
		a := w.open()
		fresh := feed.New(w.store, exchange.NewCurrent(w.store), w.recorder, centreKey, feed.Config{}, w.now, w.log())
		kept := w.feeds
		w.feeds = fresh
		made := w.open()
		if got, want := text(a), text(made); got != want || a.Tag != made.Tag {
			t.Fatalf("round %d: it has %s, and one made now %s", round, got, want)
		}
		w.feeds = kept
		if at := a.Version.UnixMicro(); at < version {
			t.Fatalf("round %d: version %d after %d", round, at, version)
		} else {
			version = at
		}
		for e := range a.Entries.All() {
			if removed[e.Text] {
				t.Fatalf("round %d: %s was removed, and is listed", round, e.Text)
			}
		}
	}
	if pushed < rounds {
		t.Errorf("%d pushes in %d rounds", pushed, rounds)
	}
}

// reopen opens the store of a server that was killed.
func (w *world) reopen(epoch time.Time) {
	w.Helper()
	w.clock.Store(noon.Add(time.Since(epoch)).UnixMicro())
	var err error
	w.store, err = bolt.Open(w.dir, w.now, w.log(), 0)
	w.must(err)
	w.serve()
}

// killed runs a child for a moment, kills it, and returns the complete lines that it printed.
func killed(t *testing.T, dir string, epoch time.Time, round int) (lines []string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestAKilledServerGoesOnWithItsFeeds$")
	child.Env = append(os.Environ(), killDir+"="+dir, killEpoch+"="+strconv.FormatInt(epoch.UnixMicro(), 10), killRound+"="+strconv.Itoa(round))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.N(20) // lines
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a line without an end was not said
		}
		if lines = append(lines, strings.TrimSpace(line)); len(lines) == after {
			time.AfterFunc(rand.N(30*time.Millisecond), func() { child.Process.Kill() })
		}
	}
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v, %v", err, lines)
	}
	return lines
}

// serveUntilKilled pushes, removes and pulls, and prints what was done.
func serveUntilKilled(t *testing.T) {
	micros, err := strconv.ParseInt(os.Getenv(killEpoch), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.UnixMicro(micros)
	w := &world{TB: t, dir: os.Getenv(killDir)}
	w.config.Dir = filepath.Join(w.dir, "feeds")
	w.reopen(epoch)
	go func() {
		for {
			w.feeds.CatchUp(t.Context())
			w.feeds.WriteTables(t.Context())
		}
	}()
	round, _ := strconv.Atoi(os.Getenv(killRound))
	for i := 0; ; i++ {
		w.clock.Store(noon.Add(time.Since(epoch)).UnixMicro())
		n := round*1000 + i
		value := fmt.Sprintf("203.%d.%d.%d", n>>16, n>>8&255, n&255)
		w.push("fir", indicator(n, address(value), ""))
		fmt.Println("pushed", value)
		switch i % 4 {
		case 1:
			w.remove("fir", n, "")
			fmt.Println("removed", value)
		case 3:
			if last := len(w.dates("fir")) - 1; last < 999 { // it lists so many at most
				w.erase("fir", audit.Purge, last)
				fmt.Println("removed", value)
			}
		}
		fmt.Println("version", w.open().Version.UnixMicro())
	}
}
