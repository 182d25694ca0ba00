package bolt_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
)

// crashDir names the folder in the environment of a child.
const crashDir = "COMITY_CRASH_DIR"

// TestCrash kills a process that writes, a hundred times in the same folder. Every
// acknowledged push is there afterwards, and the file has no fault.
func TestCrash(t *testing.T) {
	if os.Getenv(crashDir) != "" {
		crashChild(t)
		return
	}
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	acknowledged := map[string]string{} // push -> its numbers
	var last time.Time
	for round := range rounds {
		lines := crash(t, dir, round)
		for _, line := range lines {
			id, numbers, ok := strings.Cut(line, " ")
			if !ok {
				t.Fatalf("the child says %q", line)
			}
			acknowledged[id] = numbers
		}
		last = survived(t, dir, lines, last)
	}
	if len(acknowledged) < rounds {
		t.Fatalf("%d pushes acknowledged in %d rounds: the children were killed too early", len(acknowledged), rounds)
	}
	var all []string
	for id, numbers := range acknowledged {
		all = append(all, id+" "+numbers)
	}
	survived(t, dir, all, last.Add(-time.Millisecond))
	t.Logf("%d pushes acknowledged, last date %s", len(acknowledged), last)
}

// crash runs a child for a moment and kills it. It returns the complete lines of the child,
// which name the acknowledged pushes.
func crash(t *testing.T, dir string, round int) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, "COMITY_CRASH_ROUND="+strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	go func() {
		<-started
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		_ = cmd.Process.Kill()
	}()
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a line without an end was not said
		}
		if line = strings.TrimSpace(line); line == "open" {
			close(started)
		} else {
			lines = append(lines, line)
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v, %v", err, lines)
	}
	return lines
}

// survived tests that the folder has every acknowledged push, and returns the last date.
func survived(t *testing.T, dir string, lines []string, before time.Time) time.Time {
	t.Helper()
	s := open(t, dir)
	defer s.Close()
	check(t, s) // the audit chain, too
	entered := map[string]int{}
	for after := uint64(0); ; {
		links, err := s.Entries(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(links) == 0 {
			break
		}
		for _, link := range links {
			e, err := link.Entry()
			if err != nil {
				t.Fatal(err)
			}
			entered[e.Text], after = e.Count, link.Number
		}
	}
	for _, line := range lines {
		id, numbers, _ := strings.Cut(line, " ")
		q := store.Query{Limit: 1000}
		for n := range strings.SplitSeq(numbers, ",") {
			number, err := strconv.Atoi(n)
			if err != nil {
				t.Fatalf("the child says %q", line)
			}
			q.IDs = append(q.IDs, string(indicator(number, 1).Object.ID))
		}
		if entered[id] != len(q.IDs) {
			t.Errorf("push %s has a line of %d objects", line, entered[id])
		}
		head, err := s.Status(t.Context(), "", uuid.MustParse(id))
		if err != nil || head.Stored != len(q.IDs) {
			t.Errorf("push %s: %+v, %v", line, head, err)
		}
		if page, err := s.Scan(t.Context(), grant, q); err != nil || page.Len() != len(q.IDs) {
			t.Errorf("push %s is lost: %v", line, err)
		}
	}
	page, err := s.Manifest(t.Context(), grant, store.Query{After: before, Limit: 1 << 20, Match: taxii.Match{Versions: taxii.Versioning{All: true}}})
	if err != nil {
		t.Fatal(err)
	}
	last := before
	for _, r := range page.Records {
		if !r.DateAdded.After(last) {
			t.Errorf("%s was added %s, after %s", r.ID, r.DateAdded, last)
		}
		last = r.DateAdded
	}
	return last
}

// crashChild writes until it is killed, and prints each acknowledged push.
func crashChild(t *testing.T) {
	round, err := strconv.Atoi(os.Getenv("COMITY_CRASH_ROUND"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, os.Getenv(crashDir))
	fmt.Println("open")
	var mu sync.Mutex // guards stdout and next
	next := round * 1_000_000
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				mu.Lock()
				n := 1 + next%7
				list := items(next, n)
				first := next
				next += n
				mu.Unlock()
				// Versions and deletions are under way, too.
				sub, err := push(context.Background(), s, list...)
				if err != nil {
					t.Error(err)
					return
				}
				numbers := make([]string, n)
				for i := range numbers {
					numbers[i] = strconv.Itoa(first + i)
				}
				mu.Lock()
				fmt.Println(sub.ID, strings.Join(numbers, ","))
				mu.Unlock()
				extra := indicator(first+900_000, 1)
				if _, err := push(context.Background(), s, indicator(first, 2), extra); err != nil {
					t.Error(err)
					return
				}
				if _, err := remove(context.Background(), s, store.Query{Match: taxii.Match{IDs: []string{string(extra.Object.ID)}, Versions: taxii.Versioning{All: true}}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
