package client

import (
	"fmt"
	"strconv"
	"strings"

	"comity/stix"
	"comity/taxii"
)

// join gives the verdicts of a status to the objects of its push, which have these indexes
// in outcomes.
func join(s taxii.Status, indexes []int, outcomes []Outcome) {
	type name struct{ id, version string }
	named := map[name][]int{}
	ids := map[string][]int{}
	for _, i := range indexes {
		o := &outcomes[i]
		key := name{o.ID, instant(o.Version)}
		named[key] = append(named[key], i)
		ids[o.ID] = append(ids[o.ID], i)
	}
	give := func(details []taxii.StatusDetail, verdict string) (given int) {
		for _, d := range details {
			list := named[name{d.ID, instant(d.Version)}]
			if list == nil {
				list = ids[d.ID] // some servers leave the version out, or give another one
			}
			if n, ok := strings.CutPrefix(d.ID, "objects/"); ok && list == nil { // an object without an id
				if at, err := strconv.Atoi(n); err == nil && at >= 0 && at < len(indexes) {
					list = indexes[at : at+1]
				}
			}
			for _, i := range list {
				if o := &outcomes[i]; o.Verdict == "" {
					o.Verdict, o.Message = verdict, stix.Shorten(d.Message, maxText)
					given++
					break
				}
			}
		}
		return given
	}
	refused := give(s.Failures, Refused) + give(s.SomeFailures, Refused)
	pending := give(s.Pendings, Pending)
	left := len(indexes) - refused - pending - give(s.Successes, Accepted)
	rest, message := Accepted, ""
	switch {
	case refused < s.FailureCount && left == s.FailureCount-refused:
		rest, message = Refused, "the server gives no reason"
	case refused < s.FailureCount:
		rest, message = Unknown, fmt.Sprintf("the server refused %d objects and does not say which", s.FailureCount-refused)
	case pending < s.PendingCount || s.Status == "pending":
		rest, message = Pending, "the server has not decided yet"
	}
	for _, i := range indexes {
		if o := &outcomes[i]; o.Verdict == "" {
			o.Verdict, o.Message = rest, message
		}
	}
}

// instant spells a version so that two spellings of one instant are equal.
func instant(version string) string {
	if t, err := taxii.ParseTime(version); err == nil {
		return formatDate(t)
	}
	return version
}
