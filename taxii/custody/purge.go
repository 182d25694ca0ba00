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

// maxSilence is how far beyond the last line of the audit record the clock may be when
// a server starts. Beyond that it may be wrong, and by a wrong clock everything is past
// its retention.
const maxSilence = 30 * 24 * time.Hour

// purgeHeld is the document that is there while the server purges nothing by itself.
const purgeHeld = "custody/purge-held"

// holdPurge keeps the server from purging by itself if it starts a long time after the
// last line of the audit record. [Service.Purge] ends that.
func (s *Service) holdPurge(ctx context.Context) error {
	head, err := s.store.ChainHead(ctx)
	if err != nil || head.Number == 0 {
		return err
	}
	last, err := s.store.Entries(ctx, head.Number-1, 1)
	if err != nil {
		return err
	}
	e, err := last[0].Entry()
	if err != nil || s.now().Sub(e.Time) <= maxSilence {
		return err
	}
	return s.store.AmendDocument(ctx, purgeHeld, func([]byte) ([]byte, []audit.Entry, error) {
		return []byte(taxii.FormatTime(e.Time)), nil, nil
	})
}

// Purge removes what is past its retention, and says how many records that were.
// They have been out of sight from that second on already. by is who asked for it, as
// the audit record names it: that the clock is right is for them to know.
func (s *Service) Purge(ctx context.Context, by string) (int, error) {
	if err := s.store.AmendDocument(ctx, purgeHeld, func([]byte) ([]byte, []audit.Entry, error) { return nil, nil, nil }); err != nil {
		return 0, err
	}
	return s.purge(ctx, by, s.now())
}

// purgeDays removes what ended on days that are over (UTC): so a collection is read
// once a day at most, and only if something ended in it.
func (s *Service) purgeDays(ctx context.Context) error {
	held, err := s.store.Document(ctx, purgeHeld)
	if err != nil {
		return err
	}
	if held != nil {
		s.log.Warn("nothing is purged, since the clock was far beyond the last line of the audit record when the server started; if the clock is right, run comity purge --now", "last", string(held), "now", s.now().UTC())
		return nil
	}
	_, err = s.purge(ctx, "comity", s.now().UTC().Truncate(24*time.Hour).Add(-1))
	return err
}

// purge removes what is past its retention at a time.
func (s *Service) purge(ctx context.Context, by string, now time.Time) (purged int, err error) {
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
