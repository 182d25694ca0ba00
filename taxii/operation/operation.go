package operation

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// The roles of participants.
const (
	provider = "provider"
	bureau   = "bureau"
)

// The audiences whose contributions are fused apart. All bureaus may benefit from
// the same contributions; each sees the findings of its own country.
const (
	forCentre = iota
	forBureaus
)

// operation is one operation, in memory.
type operation struct {
	desk   *Desk
	text   *agreement.Agreement
	terms  string
	viewer string // a contributor, to whom others are as to a bureau; "" for the centre

	progress progress
	saved    []byte // the document that the progress is kept in

	began   bool // what follows is there
	rules   *fusion.Rules
	tables  []report.Table
	state   *fusion.State
	parties map[stix.ID]string // by STIX identity

	inputs  map[uuid.UUID]*reader           // collections that contributors write
	bureaus map[uuid.UUID]*desktop          // collections that bureaus write
	cars    map[string]*exchange.Collection // what each bureau gets, by its slug
	returns map[string]*exchange.Collection // what each contributor gets, by its slug
	room    *exchange.Collection

	chain   *follow.Follower
	loaded  uint64          // submissions up to that entry were read when it began
	taken   bool            // something was taken back that may have been published
	untold  []fusion.Entity // what contributors may not know the newest of
	moved   bool            // something came or went since what matches was noted
	matched map[flag]bool   // issues that something matches, for the centre
	known   map[flag]bool   // issues that something matches which their country may know
	asked   map[flag]bool   // issues that others were asked about
}

// settle brings the operation up to date.
func (o *operation) settle(ctx context.Context) error {
	if err := o.loadProgress(ctx); err != nil {
		return err
	}
	if !o.began {
		if err := o.begin(ctx); err != nil {
			return err
		}
	}
	if at := day(o.desk.now()); at.After(o.rules.At) {
		o.rules.At = at
		o.state.Advance(at)
	}
	if err := o.chain.CatchUp(ctx, o.take); err != nil {
		return err
	}
	return o.act(ctx)
}

// day is midnight before t: what expires does so then.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// begin reads all there is.
func (o *operation) begin(ctx context.Context) error {
	began := o.desk.now()
	if err := o.rule(); err != nil {
		return err
	}
	o.state = fusion.NewState(o.rules, 2)
	o.parties, o.moved, o.matched, o.asked, o.untold = map[stix.ID]string{}, true, nil, map[flag]bool{}, nil
	o.inputs, o.bureaus = map[uuid.UUID]*reader{}, map[uuid.UUID]*desktop{}
	o.cars, o.returns = map[string]*exchange.Collection{}, map[string]*exchange.Collection{}
	for _, m := range o.text.Members() {
		if org := o.desk.directory.Organisations[m.Org]; org != nil && org.Identity != "" {
			o.parties[stix.ID(org.Identity)] = m.Org
		}
	}
	head, err := o.desk.store.ChainHead(ctx)
	if err != nil {
		return err
	}
	o.loaded, o.chain = head.Number, follow.New(o.desk.store, min(head.Number, o.progress.Reworked))
	for _, c := range o.desk.policy.Collections(o.desk.now()) {
		if c.Agreement != o.text.ID {
			continue
		}
		writer, _ := o.text.Member(c.Writer)
		participant, _ := o.text.Member(c.Participant)
		switch {
		case writer.Role == provider:
			o.inputs[c.ID] = &reader{operation: o, collection: c}
		case writer.Role == bureau:
			o.bureaus[c.ID] = &desktop{operation: o, collection: c, stale: true}
		case participant.Role == bureau:
			o.cars[c.Participant] = c
		case participant.Role == provider:
			o.returns[c.Participant] = c
		default:
			o.room = c
		}
	}
	for _, r := range o.inputs {
		if err := r.load(ctx); err != nil {
			return fmt.Errorf("read %s: %w", r.collection.Alias, err)
		}
	}
	o.began = true
	o.desk.log.Info("operation", "id", o.text.ID, "contributions", o.state.Len(), "dur", o.desk.now().Sub(began))
	return nil
}

// take takes in what entries of the audit chain say has changed.
func (o *operation) take(ctx context.Context, entries []audit.Entry) error {
	fresh, again := map[*reader][]span{}, map[string]bool{} // by writer
	for i := range entries {
		e := &entries[i]
		collection, _ := uuid.Parse(e.Collection)
		if d := o.bureaus[collection]; d != nil {
			d.stale = d.stale || e.Act != audit.Delivery
		}
		r := o.inputs[collection]
		switch {
		case r == nil || e.From == nil || e.To == nil:
		case e.Act == audit.Submission && e.Number > o.loaded:
			fresh[r] = append(fresh[r], span{e.From.UnixMicro(), e.To.UnixMicro()})
		case e.Act == audit.Deletion || e.Act == audit.Withdrawal || e.Act == audit.Purge:
			o.taken = true
			again[r.collection.Writer] = again[r.collection.Writer] || e.Number > o.loaded
		}
	}
	for r, spans := range fresh {
		if !again[r.collection.Writer] {
			if err := r.take(ctx, spans); err != nil {
				return fmt.Errorf("read %s: %w", r.collection.Alias, err)
			}
		}
	}
	for writer, again := range again {
		if again {
			if err := o.reload(ctx, writer); err != nil {
				return err
			}
		}
	}
	return nil
}

// act does what follows from what has changed.
func (o *operation) act(ctx context.Context) error {
	err := o.hear(ctx)
	touched := o.state.Touched()
	o.untold, o.moved = append(o.untold, touched...), o.moved || len(touched) > 0
	if err != nil {
		return err
	}
	if o.moved {
		if err := o.noteMatches(ctx); err != nil {
			return fmt.Errorf("note what matches: %w", err)
		}
		o.moved = false
	}
	if err := o.ask(ctx); err != nil {
		return fmt.Errorf("ask for information: %w", err)
	}
	if err := o.giveBack(ctx, o.untold); err != nil {
		return fmt.Errorf("tell contributors: %w", err)
	}
	o.untold = nil
	if o.taken {
		if err := o.rework(ctx); err != nil {
			return fmt.Errorf("rework what was published: %w", err)
		}
		o.taken = false
	}
	return nil
}
