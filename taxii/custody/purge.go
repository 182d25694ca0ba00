package custody

import (
	"context"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Due counts the records of one collection whose retention ends on one day.
type Due struct {
	Collection string    `json:"collection"` // alias
	Agreement  string    `json:"agreement"`
	Article    string    `json:"article"` // on retention; "" if the server's own limit of five years applies
	Day        time.Time `json:"day"`
	Records    int64     `json:"records"`
}

// Due lists the records that a purge at that time would remove, by collection and day.
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

// maxSilence is how far beyond the last line of the audit record the clock may be when
// a server starts. Beyond that it may be wrong, and by a wrong clock everything is past
// its retention.
const maxSilence = 30 * 24 * time.Hour

// purgeHeld names the document that exists while the server purges nothing by itself.
const purgeHeld = "custody/purge-held"

// holdPurge keeps the server from purging by itself, until [Service.Purge] is called,
// if it starts a long time after the last line of the audit record.
func (s *Service) holdPurge(ctx context.Context, last time.Time) error {
	if s.now().Sub(last) <= maxSilence {
		return nil
	}
	return s.store.AmendDocument(ctx, purgeHeld, func([]byte) ([]byte, []audit.Entry, error) {
		return []byte(taxii.FormatTime(last)), nil, nil
	})
}

// Purge removes the records that are past their retention, and returns their number.
// No party has seen them since that moment. by is the actor who asked for it, as the
// audit record names it, and who answers for the clock being right; why is its reason, "" for
// none.
func (s *Service) Purge(ctx context.Context, by, why string) (int, error) {
	if err := s.store.AmendDocument(ctx, purgeHeld, func([]byte) ([]byte, []audit.Entry, error) { return nil, nil, nil }); err != nil {
		return 0, err
	}
	return s.purge(ctx, by, why, s.now())
}

// purgeDays removes the records whose retention ended on days that are over (UTC). So
// a collection is read once a day at most, and only if there is something to remove.
func (s *Service) purgeDays(ctx context.Context) error {
	held, err := s.store.Document(ctx, purgeHeld)
	if err != nil {
		return err
	}
	if held != nil {
		s.log.Warn("nothing is purged, since the clock was far beyond the last line of the audit record when the server started; if the clock is right, run comity purge --now", "last", string(held), "now", s.now().UTC())
		return nil
	}
	_, err = s.purge(ctx, "comity", "", s.now().UTC().Truncate(24*time.Hour).Add(-1))
	return err
}

// purge removes the records that are past their retention at a time.
func (s *Service) purge(ctx context.Context, by, why string, now time.Time) (purged int, err error) {
	p, _, err := s.policy(ctx)
	if err != nil {
		return 0, err
	}
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
		c, ok := p.Collection(d.Collection.String(), s.now())
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
		if why != "" {
			entry.Text += ": " + why
		}
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
