package feed

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Page describes a feed to its subscriber and to the operator.
type Page struct {
	ID          string                  `json:"id"`
	Account     string                  `json:"account"`
	Use         string                  `json:"use"`
	URL         string                  `json:"url,omitempty"` // a path if there is no server
	Collections []string                `json:"collections"`   // aliases of those that it reads now
	Version     string                  `json:"version,omitempty"`
	Entries     map[string]int          `json:"entries"`        // by kind
	LeftOut     map[stixfeed.Reason]int `json:"left_out"`       // indicators, and values that are not listed
	Days        []DayChanges            `json:"days,omitempty"` // the last seven, today first; none for a preview
	HoldSeconds int64                   `json:"hold_seconds,omitempty"`
	Expires     time.Time               `json:"credentials_expire,omitzero"` // those that the page was read with; for the operator the first of the account
	Files       []File                  `json:"files,omitempty"`
	Webhook     *WebhookPage            `json:"webhook,omitempty"`
	Pulls       []Pull                  `json:"pulls,omitempty"`    // the last of each file since the start of the server
	Streams     int                     `json:"streams"`            // of events, open now
	Failures    map[string]int          `json:"failures,omitempty"` // requests of the last 24 hours that failed, by status
	Agents      []Agent                 `json:"agents,omitempty"`   // the programs that have read it, the first ones first
	Sample      []Sample                `json:"sample,omitempty"`   // of a preview: the first entries
	Problem     string                  `json:"problem,omitempty"`
}

// Sample is one entry, with the indicators behind it.
type Sample struct {
	Kind  string    `json:"kind"`
	Value string    `json:"value"`
	IDs   []stix.ID `json:"ids"`
}

// File is one file of a feed.
type File struct {
	URL       string `json:"url"`
	MediaType string `json:"media_type"`
	Reader    string `json:"reader"` // the product or the kind of tool that it is for
}

// Pull is the last request for a file.
type Pull struct {
	File   string    `json:"file"` // "axfr" or "ixfr" for a transfer of the zone
	Time   time.Time `json:"time"`
	Status int       `json:"status"` // of HTTP; 0 for a transfer
	Bytes  int64     `json:"bytes"`
	Agent  string    `json:"user_agent,omitempty"`

	LeftOut map[stixfeed.Reason]int `json:"left_out,omitempty"` // entries that the file lacks
}

// Describe describes a feed of an account, with its files. A feed that cannot be read at
// present has a Problem. The error is NotFound if there is none.
func (s *Service) Describe(ctx context.Context, p exchange.Principal, id string) (*Page, error) {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.openAny(ctx, p, id)
	if code := taxii.CodeOf(err); err != nil && code != taxii.Forbidden && code != taxii.Unavailable {
		return nil, err
	}
	page := &Page{ID: id, Account: p.Account}
	if err != nil {
		var problem *taxii.Error // its cause is not for the reader
		errors.As(err, &problem)
		page.Problem = problem.Msg
	} else {
		defer a.Close()
		page.describe(a)
		page.URL = s.urlOf(snapshot.Policy, id)
		page.Files = a.files(page.URL)
		if p.Token == "" {
			page.Expires = expiryOfAny(snapshot.Directory, p.Account, s.now())
		}
	}
	if page.Webhook, err = s.describeReceiver(ctx, p.Account, id); err != nil {
		return nil, err
	}
	key := exchange.FeedKey(p.Account, id)
	if page.Days, err = s.lastDays(ctx, key); err != nil {
		return nil, err
	}
	if page.Agents, err = s.agents(ctx, key); err != nil {
		return nil, err
	}
	s.figures.describe(key, page, s.now())
	return page, nil
}

// openAny opens a feed in the first family that is allowed.
func (s *Service) openAny(ctx context.Context, p exchange.Principal, id string) (a *Answer, err error) {
	for _, family := range families {
		if a, err = s.open(ctx, p, id, family); taxii.CodeOf(err) != taxii.Forbidden {
			return a, err
		}
	}
	return nil, err
}

// Preview describes a feed of an account that nobody has added. The errors are those of
// [Service.Open].
func (s *Service) Preview(ctx context.Context, p exchange.Principal, def *Definition) (*Page, error) {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if err := Allowed(snapshot.Policy, p, def, s.now()); err != nil {
		return nil, err
	}
	family, err := familyOfAny(grants(snapshot.Policy, p, def, s.now()), def.Use)
	if err != nil {
		return nil, err
	}
	a, err := s.answer(ctx, snapshot.Policy, p, def, listingKey{family: family}, nil, nil)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	page := &Page{ID: def.ID, Account: p.Account}
	page.describe(a)
	for e := range a.Entries.All() {
		if len(page.Sample) == previewed {
			break
		}
		page.Sample = append(page.Sample, Sample{e.Kind.String(), e.Text, e.IDs})
	}
	return page, nil
}

// previewed is the number of entries that a preview shows.
const previewed = 20

// describe fills in what an answer says.
func (p *Page) describe(a *Answer) {
	p.Use, p.LeftOut, p.Version = a.Definition.Use, maps.Clone(a.LeftOut), taxii.FormatTime(a.Version)
	p.Expires = a.Expires
	p.HoldSeconds = int64(a.Hold / time.Second)
	maps.DeleteFunc(p.LeftOut, func(_ stixfeed.Reason, n int) bool { return n == 0 })
	p.Collections, p.Entries = []string{}, map[string]int{}
	for _, d := range a.pages {
		p.Collections = append(p.Collections, d.grant.Collection().Alias)
	}
	for kind, n := range a.Entries.counts {
		if n > 0 {
			p.Entries[stixfeed.Kind(kind).String()] = n
		}
	}
}

// files lists the files that the feed may be read as. Those of single kinds come first.
func (a *Answer) files(base string) (files []File) {
	for _, f := range stixfeed.Formats() {
		if _, err := allow(a.readable, a.Definition.Use, familyOf(&f)); err != nil || a.Definition.allows(&f) != nil {
			continue
		}
		var names []string
		for kind := range (f.Kinds & a.Definition.kinds).All() {
			names = append(names, kind.String())
		}
		if f.Mixed && len(names) > 0 {
			names = []string{"all"}
		}
		for _, name := range names {
			files = append(files, File{base + name + "." + f.Ext, f.Media, f.Reader})
		}
	}
	if _, err := allow(a.readable, a.Definition.Use, MISP); err == nil {
		files = append(files, File{base + "misp/manifest.json", "application/json", "MISP"})
	}
	return files
}

// getFeed answers with the page of one feed.
func (h *handler) getFeed(w *response, r *http.Request, c *caller) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	page, err := h.Describe(ctx, c.Principal, c.path["feed"])
	if err != nil {
		return err
	}
	c.feed = page.ID
	return writeJSON(w, page)
}

// getFeeds answers with the feeds of the caller.
func (h *handler) getFeeds(w *response, r *http.Request, c *caller) error {
	snapshot, err := h.current.Snapshot(r.Context())
	if err != nil {
		return err
	}
	type row struct {
		ID  string `json:"id"`
		Use string `json:"use"`
		URL string `json:"url"`
	}
	rows := []row{}
	for _, key := range slices.Sorted(maps.Keys(snapshot.Directory.Feeds)) {
		if f := snapshot.Directory.Feeds[key]; f.Account == c.Account {
			rows = append(rows, row{f.ID, f.Use, h.urlOf(snapshot.Policy, f.ID)})
		}
	}
	return writeJSON(w, map[string]any{"feeds": rows})
}
