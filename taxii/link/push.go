package link

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/client"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// The bounds of a batch that is sent at once.
const (
	batchObjects = 1000
	batchBytes   = 4 << 20
)

// push sends what the account may read and was added since the last run.
func (r *run) push(ctx context.Context, c *client.Client) error {
	if err := r.readAudit(ctx); err != nil { // also if the account may read nothing any more
		return err
	}
	var to *client.Pusher
	for {
		page, objects, err := r.next(ctx, r.state.Sent)
		if err != nil || page.Len() == 0 {
			return err
		}
		if to == nil && len(objects) > 0 {
			root, remote, err := c.Find(ctx, r.link.Remote)
			if err != nil {
				return err
			}
			if to, err = root.Pusher(ctx, remote.ID, false); err != nil {
				return err
			}
		}
		sent, err := r.send(ctx, to, objects, page.Last)
		if err != nil {
			return err
		}
		if err := r.save(ctx, func(st *State) {
			sent.apply(st)
			st.Sent, st.Stuck = page.Last, 0
			st.Foreign = slices.DeleteFunc(st.Foreign, func(s span) bool { return !s.To.After(page.Last) })
		}); err != nil || !page.More {
			return err
		}
	}
}

// next reads the records that were added after that time: a page, and those of its objects that
// did not come from the other server.
func (r *run) next(ctx context.Context, after time.Time) (page *store.Page, objects [][]byte, err error) {
	g, err := r.decide(ctx)
	if err != nil {
		return page, nil, err
	}
	if err := r.markSeen(ctx, g); err != nil {
		return page, nil, err
	}
	q := store.Query{After: after, Limit: batchObjects, MaxBytes: batchBytes}
	q.Versions.All, q.Specs = true, []string{"2.0", "2.1"}
	if page, err = r.custody.Scan(ctx, g, q); err != nil { // puts the delivery on record
		return page, nil, err
	}
	// After the scan, so that the origin of each of its records is known.
	if err := r.readAudit(ctx); err != nil {
		return page, nil, err
	}
	for i := range page.Len() {
		if !r.state.isForeign(time.UnixMicro(page.Added[i])) {
			objects = append(objects, page.Object(i))
		}
	}
	return page, objects, nil
}

// markSeen notes the state of our collection, of which everything will be read.
func (r *run) markSeen(ctx context.Context, g exchange.Grant) error {
	state, err := r.store.State(ctx, g.ID())
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[r.link.Name] = state
	return nil
}

// isForeign tells whether the record with that date_added came from the other server.
func (st *State) isForeign(added time.Time) bool {
	return slices.ContainsFunc(st.Foreign, func(s span) bool { return !added.Before(s.From) && !added.After(s.To) })
}

// patience is how many runs may fail at a batch of whose objects the other server takes none, or
// on which it does not decide. They may fare better soon; after that they count as refused, so
// that they do not hold up those behind them.
const patience = 3

// send sends a batch, which ends at last. It fails unless the other server has decided on every
// object, or the patience with it is at an end. A server that takes nothing of the batch and
// nothing of those behind it is at fault itself, and does not end the patience.
func (r *run) send(ctx context.Context, to *client.Pusher, objects [][]byte, last time.Time) (tally, error) {
	patient := r.state.Stuck < patience
	out, failure, err := r.offer(ctx, to, objects, patient)
	switch {
	case err != nil || failure == nil:
		return out, err
	case !patient:
		takes := out.stored > 0
		if !takes {
			takes, err = r.takesNext(ctx, to, last)
		}
		if takes || err != nil {
			return out, err
		}
	}
	if err := r.save(ctx, func(st *State) { st.Stuck++ }); err != nil {
		return out, err
	}
	return out, failure
}

// takesNext tells whether the other server takes any of the next objects that were added after
// that time.
func (r *run) takesNext(ctx context.Context, to *client.Pusher, after time.Time) (bool, error) {
	for {
		page, objects, err := r.next(ctx, after)
		if err != nil {
			return false, err
		}
		if len(objects) > 0 || !page.More {
			out, _, err := r.offer(ctx, to, objects, false)
			return out.stored > 0, err
		}
		after = page.Last
	}
}

// offer pushes objects and counts the verdicts on them. The failure tells that the server took
// none of some of them or, if patient, that it has not decided on one: then the rest is not
// pushed.
func (r *run) offer(ctx context.Context, to *client.Pusher, objects [][]byte, patient bool) (out tally, failure, err error) {
	for decided := 0; decided < len(objects); {
		for o, err := range to.Push(ctx, slices.Values(objects[decided:])) {
			switch {
			case err != nil && taxii.CodeOf(err) != taxii.Invalid:
				return out, nil, err
			case err != nil && patient:
				return out, err, nil
			case err != nil: // each of the last ones was refused
				failure = err
				continue
			case o.Verdict == client.Accepted:
				out.stored++
			case o.Verdict == client.Pending && patient:
				return out, taxii.Errorf(taxii.Unavailable, "the other server has not decided on %s yet", o.ID), nil
			case o.Verdict == client.Pending:
				out.refuse(r.now(), "undecided", o.ID, o.Message)
			default:
				out.refuse(r.now(), ruleOf(o.Message), o.ID, o.Message)
			}
			decided++
		}
	}
	return out, failure, nil
}

// readAudit reads the audit entries since the last run: they say which records of our
// collection came from the other server, and which objects that it got were removed.
func (r *run) readAudit(ctx context.Context) error {
	newest, err := r.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	c, ok := newest.Policy.Collection(r.link.Collection, r.now())
	if !ok {
		return nil
	}
	var (
		foreign   []span
		withdrawn []Withdrawn
		chain     = follow.New(r.store, r.state.Audited)
		id        = c.ID.String()
	)
	if err := chain.CatchUp(ctx, func(_ context.Context, entries []audit.Entry) error {
		for i := range entries {
			switch e := &entries[i]; {
			case e.Act == audit.Submission && e.Collection == id && e.From != nil && e.To.After(r.state.Sent) && r.link.Brought(e.Link, e.Remote, e.Account):
				foreign = append(foreign, span{*e.From, *e.To})
			case e.Act == audit.Notice && e.Link == r.link.Name && !e.Time.Before(r.link.Added):
				for _, s := range e.Subjects {
					withdrawn = append(withdrawn, Withdrawn{stix.ID(s.ID), e.Time, e.Text})
				}
			}
		}
		return nil
	}); err != nil || chain.Position() == r.state.Audited {
		return err
	}
	if r.state.Audited == 0 { // entries may have been archived before the link read them
		known, err := r.origins(ctx)
		if err != nil {
			return err
		}
		for _, o := range known.Origins {
			if o.Collection == id && o.To.After(r.state.Sent) && r.link.Brought(o.Link, o.Remote, o.Account) {
				foreign = append(foreign, o.span)
			}
		}
	}
	g, err := r.grant(newest, r.link)
	if err != nil {
		g = exchange.Grant{} // no version is sent any more
	}
	if err := r.listWithdrawn(ctx, g, withdrawn); err != nil {
		return err
	}
	return r.save(ctx, func(st *State) {
		st.Audited = chain.Position()
		st.Foreign = append(st.Foreign, foreign...)
	})
}

// listWithdrawn lists removed objects for a person, but for those of which the collection
// has a version that revokes them: that one is sent like any other.
func (r *run) listWithdrawn(ctx context.Context, g exchange.Grant, removed []Withdrawn) error {
	revoked := map[stix.ID]bool{}
	for chunk := range slices.Chunk(removed, batchObjects) {
		if !g.CanRead() {
			break
		}
		var q store.Query
		for _, w := range chunk {
			q.IDs = append(q.IDs, string(w.ID))
		}
		if err := store.Each(ctx, r.store, g, q, func(o *stix.Object, _ store.Detail) error {
			revoked[o.ID] = o.Revoked
			return nil
		}); err != nil {
			return err
		}
	}
	removed = slices.DeleteFunc(removed, func(w Withdrawn) bool { return revoked[w.ID] })
	if len(removed) == 0 {
		return nil
	}
	return r.store.AmendDocument(ctx, withdrawnDocument(r.link.Name), func(old []byte) ([]byte, []audit.Entry, error) {
		var list []Withdrawn
		if old != nil {
			if err := json.Unmarshal(old, &list); err != nil {
				return nil, nil, err
			}
		}
		listed := map[stix.ID]bool{}
		for _, w := range list {
			listed[w.ID] = true
		}
		for _, w := range removed {
			if !listed[w.ID] {
				listed[w.ID], list = true, append(list, w)
			}
		}
		text, err := json.Marshal(list)
		return text, nil, err
	})
}

// CatchUp lets the links that push read the audit record, which is about to be archived, and
// keeps of it what a later link needs.
func (s *Service) CatchUp(ctx context.Context) error {
	if err := s.saveOrigins(ctx); err != nil {
		return err
	}
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, l := range newest.Directory.Links {
		if l.Direction != exchange.Push {
			continue
		}
		r := &run{Service: s, link: l, began: s.now()}
		if r.state, err = s.state(ctx, l); err != nil {
			return err
		}
		if err := r.readAudit(ctx); err != nil {
			return err
		}
	}
	return nil
}
