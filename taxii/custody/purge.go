package custody

import (
	"context"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Due is what a purge will take of one collection, by the day its retention ends.
type Due struct {
	Collection string    `json:"collection"` // alias
	Agreement  string    `json:"agreement"`
	Article    string    `json:"article"` // on keeping; "" if only the five years of the server stand behind it
	Day        time.Time `json:"day"`
	Records    int64     `json:"records"`
}

// Due lists what is to go before that time, by collection and day.
func (s *Service) Due(ctx context.Context, before time.Time) ([]Due, error) {
	p, _, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	due, err := s.store.Due(ctx, before)
	if err != nil {
		return nil, err
	}
	list := []Due{}
	for _, d := range due {
		row := Due{Collection: d.Collection.String(), Day: d.Day, Records: d.Count}
		if c, ok := p.Collection(row.Collection, s.now()); ok {
			by := c.Terms.By["retention"]
			row.Collection, row.Agreement, row.Article = c.Alias, by.Agreement, by.Article
		}
		list = append(list, row)
	}
	return list, nil
}

// Purge removes what is past its retention, and says how many records that were.
// They have been out of sight from that second on already. by is who asked for it, as
// the audit record names it.
func (s *Service) Purge(ctx context.Context, by string) (purged int, err error) {
	p, _, err := s.policy(ctx)
	if err != nil {
		return 0, err
	}
	now := s.now()
	due, err := s.store.Due(ctx, now)
	if err != nil {
		return 0, err
	}
	done := map[string]bool{}
	for _, d := range due {
		if done[d.Collection.String()] {
			continue
		}
		done[d.Collection.String()] = true
		c, ok := p.Collection(d.Collection.String(), now)
		if !ok {
			c = &exchange.Collection{ID: d.Collection} // its flow is gone; its data is not
		}
		s.log.Info("purge", "collection", c.Alias, "day", d.Day, "records", d.Count)
		old := newRemoval(c)
		if err := s.each(ctx, c, all(), func(o *stix.Object, detail store.Detail) error {
			if until := detail.Handling.Until; until == 0 || int64(until) > now.Unix() {
				return nil
			}
			return old.add(o, detail)
		}); err != nil {
			return purged, err
		}
		clause := c.Terms.By["retention"]
		entry := audit.Entry{Act: audit.Purge, Account: by, Org: p.Centre().ID, Agreement: clause.Agreement, Article: clause.Article, Text: "past its retention"}
		if c.Writer != "" {
			entry.Parties = []string{c.Writer}
		}
		if err := s.remove(ctx, old, store.Block{}, entry); err != nil {
			return purged, err
		}
		purged += len(old.dates)
	}
	return purged, nil
}
