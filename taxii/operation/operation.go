package operation

import (
	"context"
	"errors"
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
	runner *Runner
	text   *agreement.Agreement
	terms  string // see Runner.terms

	progress progress
	saved    []byte // the document that the progress is kept in

	loaded  bool // guards what follows: begin has run
	rules   *fusion.Rules
	tables  []report.Table
	state   *fusion.State
	parties map[stix.ID]string // by STIX identity

	inputs            map[uuid.UUID]*reader           // collections that contributors write
	inboxes           map[uuid.UUID]*inbox            // collections that bureaus write
	bureauCollections map[string]*exchange.Collection // reports and findings for each bureau, by its slug
	returnCollections map[string]*exchange.Collection // what became of its objects, for each contributor, by its slug
	briefingRoom      *exchange.Collection            // for all participants; nil if there is none

	chain       *follow.Follower
	loadedUpTo  uint64            // begin has read the submissions up to this audit entry
	removedAt   uint64            // the last audit entry by which data that may be behind a publication was taken back
	unannounced []fusion.Entity   // findings whose contributors have not been told the newest outcome
	changed     bool              // the findings or issues have changed since recordMatches ran
	matched     map[issueKey]bool // issues that match a finding of the centre
	known       map[issueKey]bool // issues that match a finding which their country may know
	asked       map[issueKey]bool // issues about which information was requested

	shown   *situation                   // see dropSituation
	version int                          // counts the calls of dropSituation
	reports map[uuid.UUID]countryReports // by collection of a bureau; dropped when that or the progress changes
}

// dropSituation drops the situation, since something has changed that a board shows.
func (o *operation) dropSituation() {
	o.shown = nil
	o.version++
}

// follow brings what is in memory up to date with the audit chain. It writes nothing.
func (o *operation) follow(ctx context.Context) error {
	if err := o.loadProgress(ctx); err != nil {
		return err
	}
	if !o.loaded {
		if err := o.begin(ctx); err != nil {
			return err
		}
	}
	if at := day(o.runner.now()); at.After(o.rules.At) {
		o.rules.At = at
		o.state.Advance(at)
		o.dropSituation()
	}
	switch err := o.chain.CatchUp(ctx, o.readEntries); err {
	case nil:
		return o.readInboxes(ctx)
	case errArchived:
		o.loaded, o.reports = false, nil
		o.dropSituation()
		return o.follow(ctx)
	default:
		return err
	}
}

// day is the midnight (UTC) at or before t. Indicators expire at midnight.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// begin reads everything that the collections hold.
func (o *operation) begin(ctx context.Context) error {
	began := o.runner.now()
	if err := o.loadRules(); err != nil {
		return err
	}
	o.state = fusion.NewState(o.rules, 2)
	o.parties, o.changed, o.matched, o.asked, o.unannounced = map[stix.ID]string{}, true, nil, map[issueKey]bool{}, nil
	o.inputs, o.inboxes = map[uuid.UUID]*reader{}, map[uuid.UUID]*inbox{}
	o.bureauCollections, o.returnCollections = map[string]*exchange.Collection{}, map[string]*exchange.Collection{}
	for _, m := range o.text.Members() {
		if org := o.runner.snapshot.Directory.Organisations[m.Org]; org != nil && org.Identity != "" {
			o.parties[stix.ID(org.Identity)] = m.Org
		}
	}
	head, err := o.runner.store.ChainHead(ctx)
	if err != nil {
		return err
	}
	o.loadedUpTo, o.chain = head.Number, follow.New(o.runner.store, min(head.Number, o.progress.Reworked))
	for _, c := range o.runner.snapshot.Policy.Collections(o.runner.now()) {
		if c.Agreement != o.text.ID {
			continue
		}
		writer, _ := o.text.Member(c.Writer)
		participant, _ := o.text.Member(c.Participant)
		switch {
		case writer.Role == provider:
			o.inputs[c.ID] = &reader{operation: o, collection: c}
		case writer.Role == bureau:
			o.inboxes[c.ID] = &inbox{operation: o, collection: c, stale: true}
		case participant.Role == bureau:
			o.bureauCollections[c.Participant] = c
		case participant.Role == provider:
			o.returnCollections[c.Participant] = c
		default:
			o.briefingRoom = c
		}
	}
	for _, r := range o.inputs {
		if err := r.load(ctx); err != nil {
			return fmt.Errorf("read %s: %w", r.collection.Alias, err)
		}
	}
	o.loaded = true
	o.runner.log.Info("operation", "id", o.text.ID, "contributions", o.state.Len(), "seconds", o.runner.now().Sub(began).Seconds())
	return nil
}

var errArchived = errors.New("entries of the audit record were archived that are not read yet")

// readEntries reads the changes that the entries of the audit chain record.
// It is errArchived if some were archived that this process has not read.
func (o *operation) readEntries(ctx context.Context, entries []audit.Entry) error {
	if entries[0].Number > max(o.chain.Position(), o.loadedUpTo)+1 {
		return errArchived
	}
	fresh := map[*reader][]span{}
	again := map[string]bool{} // by contributor: whether its data has to be read again
	for i := range entries {
		e := &entries[i]
		collection, _ := uuid.Parse(e.Collection)
		if e.Act != audit.Delivery && o.shows(collection) {
			o.dropSituation()
			delete(o.reports, collection)
		}
		if in := o.inboxes[collection]; in != nil {
			in.stale = in.stale || e.Act != audit.Delivery
		}
		r := o.inputs[collection]
		switch {
		case r == nil || e.From == nil || e.To == nil:
		case e.Act == audit.Submission && e.Number > o.loadedUpTo:
			fresh[r] = append(fresh[r], span{e.From.UnixMicro(), e.To.UnixMicro()})
		case e.Act == audit.Deletion || e.Act == audit.Withdrawal || e.Act == audit.Purge:
			o.removedAt = e.Number
			again[r.collection.Writer] = again[r.collection.Writer] || e.Number > o.loadedUpTo
		}
	}
	for r, spans := range fresh {
		if !again[r.collection.Writer] {
			if err := r.readSpans(ctx, spans); err != nil {
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

// react acts on the changes: it records matches, requests information, tells
// contributors and reworks publications.
func (o *operation) react(ctx context.Context) error {
	touched := o.state.Touched()
	o.unannounced, o.changed = append(o.unannounced, touched...), o.changed || len(touched) > 0
	if o.changed {
		if err := o.recordMatches(ctx); err != nil {
			return fmt.Errorf("note what matches: %w", err)
		}
		o.changed = false
	}
	if err := o.requestInformation(ctx); err != nil {
		return fmt.Errorf("ask for information: %w", err)
	}
	if err := o.returnOutcomes(ctx, o.unannounced); err != nil {
		return fmt.Errorf("tell contributors: %w", err)
	}
	o.unannounced = nil
	if !o.reworkIsDue() {
		return nil
	}
	return o.alone(ctx, func(context.Context) error { return nil })
}
