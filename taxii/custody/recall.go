package custody

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Holding is what one collection has of an object, with the accounts that got it, as the
// audit record says.
type Holding struct {
	Collection string         `json:"collection"` // alias
	Writer     string         `json:"writer"`
	Records    int            `json:"records"` // versions of the object
	Derived    bool           `json:"derived"` // an operation of the centre made it: it follows what it rests on
	Holders    []store.Holder `json:"holders"`
}

// Flush commits the deliveries and refusals that the recorders of all processes still
// gather, so that the audit record is complete.
func (s *Service) Flush(ctx context.Context) error {
	return s.store.Exclusive(ctx, uuid.Nil, func(context.Context) error { return nil })
}

// Scan reads a page for an account outside TAXII, and puts it on record as
// delivered.
func (s *Service) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	defer s.recorder.Reading(g.ID())()
	page, err := s.store.Scan(ctx, g, q)
	if err != nil {
		return nil, err
	}
	if err := s.recorder.Deliver(g, audit.Narrow(q.Match, page.IDs), audit.Page{After: q.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater}); err != nil {
		return nil, err
	}
	return page, s.recorder.Flush(ctx, g.ID())
}

// Preview lists the holders of an object, and notifies nobody: each recorded query
// is asked again as of its time.
func (s *Service) Preview(ctx context.Context, id stix.ID) ([]Holding, error) {
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	p, _, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.everywhere(ctx, p, id)
	if err != nil {
		return nil, err
	}
	list := []Holding{}
	for _, there := range found {
		c := there.collection
		holders, err := s.store.Holders(ctx, c.ID, there.dates, 0)
		if err != nil {
			return nil, err
		}
		holders = slices.DeleteFunc(holders, func(h store.Holder) bool { return h.Org == c.Writer })
		list = append(list, Holding{c.Alias, c.Writer, len(there.dates), s.derived(p, c), holders})
	}
	return list, nil
}

// everywhere is the removal of an object from each collection that holds it.
func (s *Service) everywhere(ctx context.Context, p *exchange.Policy, id stix.ID) (list []*removal, err error) {
	for _, c := range p.Collections(s.now()) {
		r, err := s.allOf(ctx, c, []stix.ID{id})
		if err != nil {
			return nil, err
		}
		if len(r.dates) > 0 {
			list = append(list, r)
		}
	}
	return list, nil
}

// Loss is what a recall takes back.
type Loss struct {
	Collections, Records int
	Organisations        int // that are asked to delete the object
}

// LossOf counts what a recall of an object takes back.
func LossOf(list []Holding) (l Loss) {
	orgs := map[string]bool{}
	for _, h := range list {
		if h.Derived {
			continue
		}
		l.Collections, l.Records = l.Collections+1, l.Records+h.Records
		for _, holder := range h.Holders {
			orgs[holder.Org] = true
		}
	}
	l.Organisations = len(orgs)
	return l
}

// derived tells whether an operation of the centre makes the objects of a collection.
func (s *Service) derived(p *exchange.Policy, c *exchange.Collection) bool {
	return c.Writer == p.Centre().ID && p.Agreement(c.Agreement, s.now()).Kind == agreement.Operation
}

// RecallReason is the reason under which a recall keeps objects from coming back; see
// store.Block.
func RecallReason(agreement string) string { return "recall under " + agreement }

// Recall takes an object back by a decision of the centre, in all versions and from every
// collection that holds it: its holders are notified, it is removed, and the same content is
// refused until the agreement is reinstated. by is the actor as the audit record names it. It
// returns the number of records. NotFound if no collection holds the object, Conflict if only
// operations made it. After a kill the call can be repeated, and goes on.
func (s *Service) Recall(ctx context.Context, by string, id stix.ID, reason string) (records int, err error) {
	p, d, err := s.policy(ctx)
	if err != nil {
		return 0, err
	}
	found, err := s.everywhere(ctx, p, id)
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		c := r.collection
		if s.derived(p, c) {
			continue
		}
		block := store.Block{Reason: RecallReason(c.Agreement), Origin: c.Writer, Identity: identityOf(d, c.Writer)}
		if err := s.takeBack(ctx, []*removal{r}, "", r.key(), "The centre recalled what you received.", block, audit.Entry{
			Act: audit.Withdrawal, Account: by, Org: p.Centre().ID, Agreement: c.Agreement, Article: c.Article,
			Text: "recalled by decision: " + reason, Parties: []string{c.Writer},
		}); err != nil {
			return records, err
		}
		records += len(r.dates)
	}
	switch {
	case len(found) == 0:
		return 0, taxii.Errorf(taxii.NotFound, "no collection holds %s", id)
	case records == 0:
		return 0, taxii.Errorf(taxii.Conflict, "operations made %s: recall the objects that it rests on", id)
	}
	return records, nil
}

// Delete takes objects back on behalf of their owner (TAXII 2.1 §5.7): their holders
// are notified, then they are removed. It returns the number of versions. The codes are
// those of [store.EachToDelete], and TooMany beyond [deletesPerSecond]. Deletions in
// one collection wait for each other. Once the first notice is on its way a deletion is
// finished, even if ctx ends.
func (s *Service) Delete(ctx context.Context, g exchange.Grant, q store.Query) (int, error) {
	end, err := s.deletions.begin(ctx, g.ID(), s.now())
	if err != nil {
		return 0, err
	}
	defer end()
	c, by := g.Collection(), g.Principal()
	r := newRemoval(c)
	if err := store.EachToDelete(ctx, s.store, g, q, r.add); err != nil {
		return 0, err
	}
	return len(r.dates), s.takeBack(ctx, []*removal{r}, "", r.key(), "Its sender deleted what you received.", store.Block{}, audit.Entry{
		Act: audit.Deletion, Account: by.Account, Org: by.Org, Home: by.Home, Token: by.Token,
		Agreement: c.Agreement, Article: c.Article, Parties: []string{c.Writer},
	})
}

// Revoked cleans up after a push of revoked objects (STIX 2.1 §3.2). The versions that
// say so stay, so that pollers learn of it; all other versions of those objects are
// removed, and their holders notified.
func (s *Service) Revoked(ctx context.Context, c *exchange.Collection, ids []stix.ID) error {
	if len(ids) == 0 {
		return nil
	}
	revoked, others := map[stix.ID]bool{}, []version(nil)
	if err := s.each(ctx, c, all(ids...), func(o *stix.Object, d store.Detail) error {
		if o.Revoked {
			revoked[o.ID] = true
		} else {
			others = append(others, version{*o, d})
		}
		return nil
	}); err != nil {
		return err
	}
	old := newRemoval(c)
	for i := range others {
		if v := &others[i]; revoked[v.object.ID] {
			if err := old.add(&v.object, v.detail); err != nil {
				return err
			}
		}
	}
	const why = "Its creator revoked what you received."
	return s.takeBack(ctx, []*removal{old}, "", old.key(), why, store.Block{}, audit.Entry{
		Act: audit.Withdrawal, Account: "comity", Org: c.Writer, Agreement: c.Agreement, Text: why, Parties: []string{c.Writer},
	})
}

// key is the key of the notices about a removal.
func (r *removal) key() string {
	return r.collection.ID.String() + "|" + audit.DigestAll(slices.Clone(r.digests))
}

// maxRounds bounds the rounds of notices to late holders, who got records after the
// others had their notices, before takeBack locks the collection to send them.
const maxRounds = 3

// takeBack notifies the holders of records, then removes the records. Each organisation
// but source and the writers learns which of the records it holds, and why they are
// taken back. takeBack is finished even if ctx ends: a holder that was asked to delete
// records must not find them still there.
func (s *Service) takeBack(ctx context.Context, removals []*removal, source, key, why string, block store.Block, entry audit.Entry) error {
	ctx = context.WithoutCancel(ctx)
	removals = slices.DeleteFunc(removals, func(r *removal) bool { return len(r.dates) == 0 })
	if len(removals) == 0 {
		return nil
	}
	p, d, err := s.policy(ctx)
	if err != nil {
		return err
	}
	call := &recall{
		policy: p, links: d.Links, source: source, key: key + "|" + taxii.FormatTime(s.now()), why: why,
		notified: map[named]bool{}, before: map[*removal]uint64{},
	}
	// All servers let their scans end twice: now, so that a server that does not is found out
	// before anybody is notified of a removal that it would hold up, and for the removal.
	// Otherwise readers would wait while all holders are looked for and notified.
	for _, r := range removals {
		if err := s.store.Exclusive(ctx, r.collection.ID, func(context.Context) error { return nil }); err != nil {
			return err
		}
	}
	// The holders are looked for, and notified, while everybody polls. Only those that
	// polled since are looked for while a collection is locked.
	holders := holdings{}
	for _, r := range removals {
		head, err := s.store.ChainHead(ctx)
		if err != nil {
			return err
		}
		if err := s.find(ctx, call, r, r.dates, holders); err != nil {
			return err
		}
		call.before[r] = head.Number
	}
	if err := s.notifyHolders(ctx, call, holders); err != nil {
		return err
	}
	for _, r := range removals {
		if err := r.eachPart(func(from, to int) error {
			return s.recallThen(ctx, call, r, r.dates[from:to], func(ctx context.Context) error { return s.removePart(ctx, r, from, to, block, entry) })
		}); err != nil {
			return err
		}
	}
	return nil
}

// recallThen notifies the late holders of the records added at the dates, and calls remove
// when there are no others: nobody gets the records in between.
func (s *Service) recallThen(ctx context.Context, call *recall, r *removal, dates []time.Time, remove func(context.Context) error) error {
	for round := 1; ; round++ {
		late, removed := holdings{}, false
		if err := s.store.Exclusive(ctx, r.collection.ID, func(ctx context.Context) error {
			if err := s.find(ctx, call, r, dates, late); err != nil {
				return err
			}
			if len(late) > 0 && round < maxRounds {
				return nil
			}
			if err := s.notifyHolders(ctx, call, late); err != nil {
				return err
			}
			removed = true
			return remove(ctx)
		}); err != nil || removed {
			return err
		}
		if err := s.notifyHolders(ctx, call, late); err != nil {
			return err
		}
	}
}

// recall is one act of notifying holders.
type recall struct {
	policy   *exchange.Policy
	links    map[string]*exchange.Link
	source   string // organisation that gets no notice; "" for none
	key      string // unique to this recall
	why      string
	notified map[named]bool      // in the notices so far
	notes    int                 // sent so far
	before   map[*removal]uint64 // number of the last audit entry that was searched
}

// named is an object in a notice.
type named struct {
	org  string // that got the notice; or the name of a link
	id   stix.ID
	kept exchange.Handling // of the notice: a notice may be hidden from some accounts of the organisation
}

// holdings are the objects that each organisation has to delete, by their handling. A
// notice is handled like its objects, so it names none to an account from which it was
// hidden.
type holdings map[string]map[exchange.Handling][]stix.ID

// find adds to the holdings the objects of a removal, among those added at the dates,
// that organisations got and no notice has named to them. It marks them as named: the
// caller sends the notices.
func (s *Service) find(ctx context.Context, call *recall, r *removal, dates []time.Time, found holdings) error {
	holders, err := s.store.Holders(ctx, r.collection.ID, dates, call.before[r])
	if err != nil {
		return err
	}
	for _, h := range holders {
		if err := s.recordSent(ctx, call, r, h); err != nil {
			return err
		}
		if h.Org == r.collection.Writer || h.Org == call.source {
			continue
		}
		for _, id := range h.IDs {
			kept := r.handling[id]
			if kept.TLP < stix.Red {
				kept.TLP = stix.Clear // no notice is less strict than AMBER+STRICT anyway
			}
			if call.notified[named{h.Org, id, kept}] {
				continue
			}
			call.notified[named{h.Org, id, kept}] = true
			if found[h.Org] == nil {
				found[h.Org] = map[exchange.Handling][]stix.ID{}
			}
			found[h.Org][kept] = append(found[h.Org][kept], id)
		}
	}
	return nil
}

// recordSent records which objects of a holder a link has sent to another server: the link
// lists them, also if the holder's organisation needs no notice. It does so before they are
// removed, since nothing tells their ids afterwards.
func (s *Service) recordSent(ctx context.Context, call *recall, r *removal, h store.Holder) error {
	for _, name := range slices.Sorted(maps.Keys(call.links)) {
		l := call.links[name]
		if l.Direction != exchange.Push || l.Account != h.Account || l.Collection != r.collection.Alias {
			continue
		}
		var ids []stix.ID
		for _, id := range h.IDs {
			if key := (named{org: "link " + name, id: id}); !call.notified[key] {
				call.notified[key], ids = true, append(ids, id)
			}
		}
		for chunk := range slices.Chunk(ids, audit.MaxSubjects) {
			entry := audit.Entry{Act: audit.Notice, Account: "comity", Org: h.Org, Link: name, Count: len(chunk), Text: call.why, Parties: []string{h.Org}}
			for _, id := range chunk {
				entry.Subjects = append(entry.Subjects, audit.Subject{ID: string(id)})
			}
			if err := s.store.Record(ctx, entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// notifyHolders sends every organisation notices of the objects that it holds.
func (s *Service) notifyHolders(ctx context.Context, call *recall, holders holdings) error {
	for _, org := range slices.Sorted(maps.Keys(holders)) {
		for kept, ids := range holders[org] {
			if err := s.notifyHolder(ctx, call, org, kept, ids); err != nil {
				return fmt.Errorf("recall from %s: %w", org, err)
			}
		}
	}
	return nil
}

func (s *Service) notifyHolder(ctx context.Context, call *recall, org string, kept exchange.Handling, ids []stix.ID) error {
	call.notes++
	written, err := s.notify(ctx, call.policy, notice{
		to:       org,
		key:      fmt.Sprintf("recall|%s|%s|%s|%d", call.key, kept.TLP, kept.Barred, call.notes),
		subject:  "Recall",
		text:     fmt.Sprintf("%s Please delete the objects named here (%d), and what you derived from them alone.", call.why, len(ids)),
		label:    "recall",
		about:    ids,
		handling: kept,
	})
	if err != nil {
		return err
	}
	entry := audit.Entry{Act: audit.Notice, Account: "comity", Org: org, Count: len(ids), Text: "recall: " + call.why, Parties: []string{org}}
	if !written {
		entry.Text += " There is no collection in which the centre writes to it alone."
	}
	for _, id := range ids[:min(len(ids), audit.MaxSubjects)] {
		entry.Subjects = append(entry.Subjects, audit.Subject{ID: string(id)})
	}
	return s.store.Record(ctx, entry)
}
