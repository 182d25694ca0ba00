package agreement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"comity/taxii"
)

// Problem is one thing wrong with a file.
type Problem struct {
	File    string
	Line    int    // 1-based, 0 if the whole file is meant
	Article string // the article the block carries out, "" if none
	Warning bool   // the file may be used all the same
	Msg     string // the fault, and how to mend it
}

// String writes the problem on one line: "dea.toml:54: article 4: …".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Article != "" {
		fmt.Fprintf(&b, "article %s: ", p.Article)
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Problems are in the order of file and line, with at most maxProblems of one file.
type Problems []Problem

// maxProblems bounds the problems of one file. An author does not mend more at once, and
// each message may name many organisations.
const maxProblems = 100

// full tells whether the list may not grow any more.
func (ps Problems) full() bool { return len(ps) > maxProblems }

// cut ends a full list with the message that there are more problems.
func (ps Problems) cut(file string) Problems {
	if !ps.full() {
		return ps
	}
	return append(ps[:maxProblems:maxProblems], Problem{File: file, Msg: "there are more problems: mend these first"})
}

// Errors are the problems that are not warnings.
func (ps Problems) Errors() Problems { return ps.only(false) }

// Warnings are the problems that do not prevent the use of a file.
func (ps Problems) Warnings() Problems { return ps.only(true) }

func (ps Problems) only(warning bool) Problems {
	var some Problems
	for _, p := range ps {
		if p.Warning == warning {
			some = append(some, p)
		}
	}
	return some
}

// Err is nil if there are only warnings, else a [taxii.Error] with code
// Invalid that has one line per error.
func (ps Problems) Err() error {
	var lines []string
	for _, p := range ps.Errors() {
		lines = append(lines, p.String())
	}
	if lines == nil {
		return nil
	}
	return taxii.Errorf(taxii.Invalid, "%s", strings.Join(lines, "\n"))
}

// atLine tells whether there is a problem on a line.
func (ps Problems) atLine(line int) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Line == line })
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(p, q Problem) int {
		return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line))
	})
}
