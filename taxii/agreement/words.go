package agreement

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"comity/stix"
)

// enumerate joins a list for a sentence: "a, b and c".
func enumerate(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// spaced replaces the hyphens in words of a file by spaces: "fused only" for
// "fused-only".
func spaced(words ...string) []string {
	var ss []string
	for _, w := range words {
		ss = append(ss, strings.ReplaceAll(w, "-", " "))
	}
	return ss
}

// phrases replaces words of a file by their meanings, and those without one by
// [spaced].
func phrases(meaning map[string]string, words ...string) []string {
	var ss []string
	for _, w := range words {
		if m, ok := meaning[w]; ok {
			ss = append(ss, m)
		} else {
			ss = append(ss, spaced(w)...)
		}
	}
	return ss
}

func tlpWords(t stix.TLP) string { return "TLP:" + strings.ToUpper(t.String()) }

// instant writes a time for a sentence; it leaves out the hour if that is midnight.
func instant(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return day(t)
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

// grouped writes a number with a comma every three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size writes a number of bytes in the greatest unit that divides it.
func size(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return grouped(n/u.bytes) + " " + u.name
		}
	}
	return grouped(n) + " bytes"
}

// words writes a duration for a sentence: "2 years", "1 hour".
func (d Duration) words() string {
	var parts []string
	for _, p := range []struct {
		n    int
		unit string
	}{
		{d.years, "year"}, {d.months, "month"}, {d.days, "day"},
		{int(d.clock / time.Hour), "hour"}, {int(d.clock / time.Minute % 60), "minute"}, {int(d.clock / time.Second % 60), "second"},
	} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.unit)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", p.n, p.unit))
		}
	}
	return enumerate(parts)
}

// words are phrases for the limits that are set: "500 pushes a day".
func (q Quota) words() []string {
	var ss []string
	for _, l := range []struct {
		n    int64
		text string
	}{
		{q.PushesPerDay, grouped(q.PushesPerDay) + " pushes a day"},
		{q.ObjectsPerPush, grouped(q.ObjectsPerPush) + " objects in a push"},
		{q.BytesPerPush, size(q.BytesPerPush) + " in a push"},
		{q.ObjectsHeld, grouped(q.ObjectsHeld) + " objects held"},
	} {
		if l.n > 0 {
			ss = append(ss, l.text)
		}
	}
	return ss
}

// wrap breaks a paragraph into lines of at most width characters. A longer word gets a line
// of its own.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
