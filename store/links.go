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

// LastEntry is the last entry of the audit chain, and the head of the chain; zero if there is
// no entry.
func LastEntry(ctx context.Context, s AuditLog) (e audit.Entry, head audit.Head, err error) {
	if head, err = s.ChainHead(ctx); err != nil || head.Number == 0 {
		return e, head, err
	}
	links, err := s.Entries(ctx, head.Number-1, 1)
	if err != nil {
		return e, head, err
	}
	if len(links) == 0 {
		return e, head, Damaged("the audit chain has no entry %d", head.Number)
	}
	e, err = links[0].Entry()
	return e, head, err
}
