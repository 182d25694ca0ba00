package store

import (
	"context"
	"iter"

	"comity/taxii/audit"
)

// Links are the links of the audit chain with numbers greater than after, in order. They
// are read in parts, as they are needed. An error is the last element.
func Links(ctx context.Context, s AuditLog, after uint64) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for {
			links, err := s.Entries(ctx, after, 1000)
			if err != nil {
				yield(audit.Link{}, err)
				return
			}
			if len(links) == 0 {
				return
			}
			for _, l := range links {
				if !yield(l, nil) {
					return
				}
				after = l.Number
			}
		}
	}
}
