package agreement

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"comity/stix"
)

// limit is one term that can be compared with the same term of another agreement, and
// changed.
type limit struct {
	block string // in the file
	key   string // in the block; if it ends in ".*", the file has a value for each flow
	order order
	value any      // pointer into Terms
	words []string // the values of a string or bool, lowest rank first
}

type order int

const (
	unordered order = iota // no value is stricter
	lower                  // the lower value is stricter
	higher                 // the higher value is stricter
	fewer                  // fewer names are stricter
	ofAll                  // fewer names are stricter, and nil means all
	more                   // more names are stricter
)

// limits are the terms that a child agreement takes from its parent one by one, if it does
// not set them itself.
func (t *Terms) limits() []limit {
	return append([]limit{
		{"purpose", "categories", fewer, &t.Purposes, nil},
		{"purpose", "excluded", more, &t.Excluded, nil},
		{"flow", "object_types", ofAll, &t.Types, nil},
		{"flow", "require", more, &t.Require, nil},
		{"flow", "withhold", more, &t.Withhold, nil},
		{"flow", "about", lower, &t.About, []string{"own-contributions"}},
		{"flow", "writer_reads", lower, &t.WriterReads, []string{"none", "own"}},
		{"flow", "owner_deletes", lower, &t.OwnerDeletes, []string{"false", "true"}},
		{"flow", "stix_versions", fewer, &t.STIXVersions, nil},
		{"flow", "unknown_types", lower, &t.UnknownTypes, []string{Reject, Accept}},
		{"flow", "refuse_custom", higher, &t.RefuseCustom, []string{"false", "true"}},
		{"flow", "loose_urls", lower, &t.LooseURLs, []string{"false", "true"}},
		{"flow", "new_uuids", lower, &t.NewUUIDs, []string{"false", "true"}},
		{"handling", "tlp_max.*", lower, &t.Max, nil},
		{"handling", "tlp_floor.*", higher, &t.Floor, nil},
		{"handling", "pap_max.*", lower, &t.PAPMax, []string{"clear", "green", "amber", "red"}},
		{"handling", "unmarked.*", higher, &t.Unmarked, nil},
		{"handling", "unmarked_observables", unordered, &t.UnmarkedObservables, nil},
		{"handling", "unknown_marking", lower, &t.UnknownMarking, []string{AsRed, Ignore}},
		{"handling", "granular", lower, &t.Granular, []string{WithholdObject, Derive}},
		{"handling", "red_recipients", fewer, &t.RedRecipients, nil},
		{"quota", "pushes_per_day", lower, &t.Quota.PushesPerDay, nil},
		{"quota", "objects_per_push", lower, &t.Quota.ObjectsPerPush, nil},
		{"quota", "bytes_per_push", lower, &t.Quota.BytesPerPush, nil},
		{"quota", "objects_held", lower, &t.Quota.ObjectsHeld, nil},
	}, t.Feeds.limits()...)
}

// find is the block of the agreement that sets the limit, nil if there is none, and the
// limit's key in it.
func (l limit) find(a *Agreement, f *Flow) (*Block, string) {
	key := strings.Replace(l.key, "*", f.Name, 1)
	switch {
	case l.block == "flow":
		return &f.Block, key
	case l.block == "purpose" && a.Kind == Operation:
		return a.block("scope"), strings.Replace(key, "categories", "purpose", 1)
	}
	return a.block(l.block), key
}

// clauseKey is the limit's key in [Terms].By.
func (l limit) clauseKey() string {
	switch l.block {
	case "purpose", "flow", "handling", "quota", "feeds":
		return strings.TrimSuffix(l.key, ".*")
	}
	return l.block
}

// set gives the limit the value of m.
func (l limit) set(m limit) {
	reflect.ValueOf(l.value).Elem().Set(reflect.ValueOf(m.value).Elem())
}

// loosen makes the limit no stricter than m.
func (l limit) loosen(m limit) {
	names, ok := l.value.(*[]string)
	if !ok {
		if l.wider(m) == "" {
			l.set(m)
		}
		return
	}
	others := *m.value.(*[]string)
	switch {
	case l.order == more:
		*names = shared(*names, others)
	case l.order == ofAll && (*names == nil || others == nil):
		*names = nil
	default:
		*names = append(slices.Clone(*names), missing(others, *names)...)
	}
}

// tighten makes the limit no wider than m, and tells whether it was.
func (l limit) tighten(m limit) bool {
	if l.wider(m) == "" {
		return false
	}
	names, ok := l.value.(*[]string)
	if !ok || l.order == ofAll && *names == nil {
		l.set(m)
		return true
	}
	others := *m.value.(*[]string)
	if l.order == more {
		*names = append(slices.Clone(*names), missing(others, *names)...)
	} else {
		*names = shared(*names, others)
	}
	return true
}

// wider describes the difference if the limit is wider than m, such as "red > amber", "adds
// tool" or "drops tlp"; "" if it is not wider.
func (l limit) wider(m limit) string {
	if names, ok := l.value.(*[]string); ok {
		mine, theirs := *names, *m.value.(*[]string)
		switch {
		case l.order == more:
			return listed("drops", missing(theirs, mine))
		case l.order == ofAll && theirs == nil:
			return ""
		case l.order == ofAll && mine == nil:
			return "adds all types"
		}
		return listed("adds", missing(mine, theirs))
	}
	mine, theirs := l.rank(), m.rank()
	switch {
	case l.order == lower && mine > theirs:
		return fmt.Sprintf("%s > %s", l, m)
	case l.order == higher && mine < theirs:
		return fmt.Sprintf("%s < %s", l, m)
	}
	return ""
}

func listed(verb string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return verb + " " + strings.Join(names, ", ")
}

// missing are the names that are not among others, and shared are those that are.
func missing(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return slices.Contains(others, s) })
}

func shared(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return !slices.Contains(others, s) })
}

// strictest is the rank of a value that refuses everything.
const strictest = math.MaxInt64

// rank is the order of the value among those of its term.
func (l limit) rank() int64 {
	switch v := l.value.(type) {
	case *stix.TLP:
		return int64(*v)
	case **stix.TLP:
		if *v == nil {
			return strictest
		}
		return int64(**v)
	case *LeavesAs:
		if v.Never {
			return strictest
		}
		return int64(v.TLP)
	case *int64:
		if *v == 0 && l.order == lower {
			return math.MaxInt64 // no limit
		}
		return *v
	case *Duration:
		if v.IsZero() || v.seconds() > mostKept {
			return mostKept
		}
		return v.seconds()
	}
	if i := slices.Index(l.words, l.String()); i >= 0 {
		return int64(i)
	}
	return int64(len(l.words)) // an unknown word is the loosest
}

// String is the value in the form of a file.
func (l limit) String() string {
	switch v := l.value.(type) {
	case *bool:
		if *v {
			return l.words[1]
		}
		return l.words[0]
	case **stix.TLP:
		return Unmarked{*v}.String()
	}
	return fmt.Sprint(reflect.ValueOf(l.value).Elem().Interface())
}
