package feed

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	stixfeed "comity/stix/feed"
)

// summary is what a new process needs of a listing so that it does not work out all entries again
// before its first answer. It has no value of an entry, so a withdrawal need not look for it.
type summary struct {
	Program  string // that wrote it: another one may select indicators in another way
	Question string // what the feed asks of its collections
	Parts    []partSummary

	At      time.Time // the entries are those of this moment
	Until   time.Time // the next moment at which they may change by themselves
	Sum     sum       // of all entries
	Counts  counts
	LeftOut map[stixfeed.Reason]int
}

// partSummary identifies the indicators of one collection from which the entries were worked out.
type partSummary struct {
	View     string // of the collection
	Records  sum    // of all records
	Selected int    // number of indicators that the question selects
}

// summaryPrefix begins the names of the files of summaries. Tables have hexadecimal names.
const summaryPrefix = "list-"

// summaryFile is the name of the file of a listing; "" if there is no folder for it.
func (s *Service) summaryFile(key listingKey) string {
	if s.config.Dir == "" || key.feed == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(key.feed + " " + string(key.family)))
	return filepath.Join(s.config.Dir, summaryPrefix+hex.EncodeToString(digest[:12]))
}

// String identifies a question among those that the same program asks.
func (q *question) String() string { return fmt.Sprint(q.def.digest, q.terms) }

// summary sums up a listing. ok is false if it is not up to date with its parts.
func (l *listing) summary() (s summary, ok bool) {
	s = summary{
		Program: program(), Question: l.question.String(), At: l.entries.at, Until: l.horizon,
		Sum: l.sum, Counts: l.entries.counts, LeftOut: l.leftOut,
	}
	if len(l.edges) > 0 {
		s.Until = l.edges[0].at
	}
	for _, p := range l.parts {
		if p.position != p.now.position() {
			return s, false
		}
		s.Parts = append(s.Parts, partSummary{p.index.view, p.now.sum, p.selected})
	}
	return s, !l.stale
}

// resume makes a listing from its summary. It is nil if the summary is of another question, of
// indicators that the indexes do not know to have had, or of a time that is over or yet to come.
func (s *summary) resume(q question, parts []*part, now time.Time) *listing {
	if s.Program != program() || s.Question != q.String() || len(s.Parts) != len(parts) || now.Before(s.At) || !now.Before(s.Until) {
		return nil
	}
	l := &listing{
		question: q, parts: parts, entries: &EntryList{question: q, at: s.At, counts: s.Counts, checkNever: true},
		sum: s.Sum, horizon: s.Until, leftOut: s.LeftOut, updated: s.At, unknown: true,
	}
	l.tag = l.newTag()
	for i, p := range parts {
		var ok bool
		if p.position, ok = p.now.positionOf(s.Parts[i].Records); !ok || p.index.view != s.Parts[i].View {
			return nil
		}
		p.selected = s.Parts[i].Selected
		l.entries.sources = append(l.entries.sources, p.now.rows)
	}
	return l
}

// positionOf is the position in the changes at which the records had a sum; ok is false if that is
// not known.
func (c *content) positionOf(records sum) (position int, ok bool) {
	at := c.sum
	for i := len(c.changes); ; i-- {
		if at == records {
			return c.dropped + i, true
		}
		if i == 0 || len(c.changes)-i > maxTouched {
			return 0, false
		}
		at.subtract(c.changes[i-1].after.sum())
		at.add(c.changes[i-1].before.sum())
	}
}

// resume is the listing of a former process; nil if none is of use.
func (s *Service) resume(key listingKey, q question, parts []*part, now time.Time) *listing {
	content, err := os.ReadFile(s.summaryFile(key))
	if err != nil {
		return nil
	}
	var former summary
	if content, err = readBlock(content); err != nil || json.Unmarshal(content, &former) != nil {
		return nil
	}
	return former.resume(q, parts, now)
}

// writeSummaries writes the summaries of the listings that have changed. One that is being worked
// out is left to the next call.
func (s *Service) writeSummaries() error {
	s.mu.Lock()
	listings := maps.Clone(s.listings)
	s.mu.Unlock()
	for key, kept := range listings {
		file := s.summaryFile(key)
		if file == "" || !kept.tryAcquire() {
			continue
		}
		l, changed := kept.listing, false
		var next summary
		if l != nil && l.entries != kept.summed {
			if next, changed = l.summary(); changed {
				kept.summed = l.entries
			}
		}
		kept.release()
		if !changed {
			continue
		}
		if err := next.write(file); err != nil {
			return fmt.Errorf("write the summary of a feed: %w", err)
		}
	}
	return nil
}

// write writes a summary into a file in the place of the one before. It is not forced to the disk:
// what a failure of the power leaves is found damaged.
func (s *summary) write(name string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	file, err := createTable(filepath.Dir(name), name)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	writeBlock(out, content)
	if err := out.Flush(); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}
