// Package intake takes one push from its bytes to the store: it decodes the
// envelope as it arrives, spools the objects, works out their labels once all
// are known, and appends them part by part.
//
// Nothing is stored before the whole push has been read and found well-formed.
// It authenticates nobody: the grant it is given decides.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/validate"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// The bounds of one part of a push, which is what the store commits at once.
const (
	partObjects = 4000
	partBytes   = 1 << 20
)

// maxObjects bounds a push where its agreement does not: the status names
// every object that is taken, so it may grow much larger than the push.
// maxMessage bounds what a refusal repeats of what was sent, in bytes, and
// maxSaid what all of them and the warnings say together: beyond it they only
// name the object.
const (
	maxObjects = 1_000_000
	maxMessage = 500
	maxSaid    = 16 << 20
)

// MaxFailures is how many refusals of a push are told one by one. Of the others
// there is one for each rule, which says how many it stands for.
const MaxFailures = 1000

// Store is where pushes go, and what they are read against.
type Store interface {
	store.Appender
	store.Reader
}

// Intake takes pushes. It is safe for concurrent use.
type Intake struct {
	store Store
	dir   string
	now   func() time.Time
}

// New makes an Intake that spools large pushes to files in dir, which must
// exist.
func New(s Store, dir string, now func() time.Time) *Intake {
	return &Intake{s, dir, now}
}

// Pushed is a push that was taken.
type Pushed struct {
	Status  store.Status   // complete
	Last    store.Outcomes // the last of its parts: of most pushes there is no other
	Revoked []stix.ID      // objects that say of themselves that they are revoked
}

// Push reads an envelope or a bundle from body and adds its objects to the
// collection of the grant.
//
// An object that is not admitted, is too large or breaks the standard is a
// failure in that status. The push as a whole is Invalid if it is no I-JSON in a
// place where no single object can be blamed, Unprocessed if it is neither
// envelope nor bundle, holds no object or more than a million, TooLarge beyond
// the bytes and objects the agreement allows in a push or in all, TooMany beyond
// its pushes a day; then nothing is stored. Errors of body are returned as they
// are.
func (in *Intake) Push(ctx context.Context, g exchange.Grant, body io.Reader) (Pushed, error) {
	p := in.begin(g)
	defer p.spool.close()
	verdicts, err := p.read(ctx, g, body)
	if err != nil {
		return Pushed{}, err
	}
	pushed := Pushed{Revoked: p.revoked}
	for part, err := range p.parts(verdicts) {
		if err == nil {
			pushed.Status, pushed.Last, err = in.store.Append(ctx, g, part)
		}
		if err != nil {
			return Pushed{}, fmt.Errorf("append push %s: %w", p.submission.ID, err)
		}
	}
	return pushed, nil
}

// Rehearse answers what Push would, and stores nothing.
func (in *Intake) Rehearse(ctx context.Context, g exchange.Grant, body io.Reader) (store.Status, func(part int) (store.Outcomes, error), error) {
	p := in.begin(g)
	defer p.spool.close()
	verdicts, err := p.read(ctx, g, body)
	if err != nil {
		return store.Status{}, nil, err
	}
	status, outcomes, err := in.store.Rehearse(ctx, g, p.parts(verdicts))
	if err != nil {
		err = fmt.Errorf("rehearse push %s: %w", p.submission.ID, err)
	}
	return status, outcomes, err
}

func (in *Intake) begin(g exchange.Grant) *push {
	now, c := in.now(), g.Collection()
	return &push{
		store:      in.store,
		carried:    carried{Carried: g.Carried()},
		collection: c,
		receipt:    c.Receipt(now),
		policy: validate.Policy{
			STIX20:       slices.Contains(c.Terms.STIXVersions, "2.0"),
			RefuseCustom: c.Terms.RefuseCustom, LooseURLs: c.Terms.LooseURLs, NewUUIDs: c.Terms.NewUUIDs,
		},
		labels: exchange.NewLabels(c),
		spool:  spool{dir: in.dir},
		submission: store.Submission{
			ID:         uuid.New(),
			Account:    g.Principal().Account,
			Collection: g.ID(),
			Requested:  now,
		},
	}
}

// push is one push on its way.
type push struct {
	store      Store
	submission store.Submission
	collection *exchange.Collection
	receipt    exchange.Receipt
	policy     validate.Policy
	labels     *exchange.Labels
	carried    carried
	spool      spool
	revoked    []stix.ID
	said       int // bytes of messages
	failures   failures
}

// read takes the whole body, and gives a verdict on each object that was not
// refused by itself.
func (p *push) read(ctx context.Context, g exchange.Grant, body io.Reader) ([]exchange.Verdict, error) {
	room, err := p.room(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.decode(p.limited(body), room); err != nil {
		return nil, err
	}
	verdicts, err := p.labels.Resolve(func(keys []stix.Key) ([]exchange.Held, error) {
		return p.store.Labels(ctx, g, keys)
	})
	if err != nil {
		return nil, fmt.Errorf("labels of push %s: %w", p.submission.ID, err)
	}
	p.labels = nil // of a large push they are most of what is in memory
	if err := p.carried.find(ctx, p.store); err != nil {
		return nil, err
	}
	return verdicts, p.carried.refuse(ctx, p.store, p.spool.frames(), verdicts)
}

// decoders keeps what pushes were read with, for the memory it has.
var decoders = sync.Pool{New: func() any { return new(stix.Decoder) }}

// decode brings the body into the spool, as long as there is room. Objects that
// are admitted so far take part in the labelling; the others are refused at once.
func (p *push) decode(body io.Reader, room room) error {
	decoder := decoders.Get().(*stix.Decoder)
	decoder.Reset(body)
	defer func() {
		decoder.Reset(nil)
		decoders.Put(decoder)
	}()
	for n := int64(0); ; n++ {
		raw, err := decoder.Next()
		if err == io.EOF {
			if n == 0 {
				return taxii.Errorf(taxii.Unprocessed, "the push holds no object")
			}
			return nil
		}
		fault, bad := err.(*stix.Error) // errors.As would cost an allocation an object
		if err != nil && !bad {
			return malformed(err)
		}
		if n == room.objects {
			return room.full
		}
		if bad {
			err = p.refuse(store.Refusal{Message: fault.Error(), By: fault.Rule}, &stix.Object{ID: stix.ID(fault.ID)}, n)
		} else {
			err = p.take(raw, n)
		}
		if err != nil {
			return err
		}
	}
}

// take spools one object, or the reason why it is refused: the agreement's, if
// it does not admit such objects at all, or the standard's.
func (p *push) take(raw []byte, n int64) error {
	var (
		taken spooled
		o     = &taken.object
		r     store.Refusal
		err   error
	)
	if *o, err = stix.NewObject(raw); err == nil {
		r = p.admits(o)
	}
	if r.Message == "" {
		findings := validate.Object(raw, p.policy)
		switch {
		case !findings.Valid():
			r.Message, r.By = list(findings.Errors()), findings.Errors()[0].Rule
		case err != nil:
			r.Message, r.By = err.Error(), "standard"
		default:
			p.labels.Add(o)
			p.carried.note(o)
			if o.Revoked {
				p.revoked = append(p.revoked, o.ID)
			}
			if warnings := findings.Warnings(); warnings != nil {
				taken.warning = p.say(list(warnings))
			}
			return p.spool.add(&taken)
		}
	}
	return p.refuse(r, o, n)
}

// refuse spools a refusal, with its object only if that is quarantined.
func (p *push) refuse(r store.Refusal, o *stix.Object, n int64) error {
	if !r.Quarantine && p.failures.counted(r.By) {
		return nil
	}
	p.name(&r, o)
	if r.ID == "" {
		r.ID = "objects/" + strconv.FormatInt(n, 10)
	}
	if !r.Quarantine && p.failures.add(&r) {
		return nil
	}
	refused := spooled{refused: &r}
	if r.Quarantine {
		refused.object = *o
	}
	return p.spool.add(&refused)
}

// admits is the refusal of an object that the agreement does not admit whatever
// its label; without a message if it does.
func (p *push) admits(o *stix.Object) (r store.Refusal) {
	if r.Message, r.By = p.collection.Admits(o); r.Message != "" {
		return r
	}
	if r.Message, r.By = p.collection.PersonalData(o); r.Message != "" {
		r.Quarantine = true
		return r
	}
	r.Message, r.By = p.receipt.Expired(o)
	return r
}

// list joins findings, as far as a message goes.
func list(findings validate.Findings) string {
	var b strings.Builder
	for i, f := range findings {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.String())
		if b.Len() > maxMessage {
			break
		}
	}
	return b.String()
}

// name names the object of a refusal as well as it allows, and shortens what is
// said of it.
func (p *push) name(r *store.Refusal, o *stix.Object) {
	r.ID, r.Version = string(o.ID), o.Version().String()
	if r.Version == "" {
		r.Version = taxii.FormatTime(p.submission.Requested)
	}
	r.Message = p.say(r.Message)
}

// say is a message for the status, as long as there is room for messages.
func (p *push) say(message string) string {
	if p.said > maxSaid {
		return "see the objects before: too much was said of this push already"
	}
	message = cut(message)
	p.said += len(message)
	return message
}

// cut shortens a message that quotes what was sent.
func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + " …"
}

// parts reads the spool again and gives its items, in the order of the push,
// together with their labels. It may be ranged over more than once.
func (p *push) parts(verdicts []exchange.Verdict) iter.Seq2[store.Part, error] {
	return func(yield func(store.Part, error) bool) {
		// Parts are about as long as the spool's share of them.
		room := min(p.spool.n, partObjects, p.spool.n*partBytes/max(p.spool.bytes, 1)+1)
		part := store.Part{Submission: p.submission, Items: make([]store.Item, 0, room)}
		size, verdicts, failures := 0, verdicts, p.failures.clone()
		for f, err := range p.spool.frames() {
			if err == nil && len(part.Items) > 0 && (size+f.text() > partBytes || len(part.Items) == partObjects) {
				if !yield(part, nil) {
					return
				}
				part.Items, size = make([]store.Item, 0, room), 0
				part.N++
			}
			if err != nil {
				yield(part, fmt.Errorf("replay the spool: %w", err))
				return
			}
			item := store.Item{Object: f.object, Warning: f.warning, Refused: f.refused}
			if f.refused == nil {
				p.judge(&item, verdicts[0])
				verdicts = verdicts[1:]
				if item.Refused != nil && (failures.counted(item.Refused.By) || failures.add(item.Refused)) {
					continue
				}
			}
			part.Items = append(part.Items, item)
			size += f.text()
		}
		if len(part.Items)+len(failures.byRule) > partObjects {
			if !yield(part, nil) {
				return
			}
			part.Items = nil
			part.N++
		}
		for _, r := range failures.byRule {
			r.Message = fmt.Sprintf("%s: %d objects like this one are refused, and not told one by one", r.By, r.More+1)
			part.Items = append(part.Items, store.Item{Refused: r})
		}
		part.Last = true
		yield(part, nil)
	}
}

// judge puts the verdict on an object into its item.
func (p *push) judge(item *store.Item, v exchange.Verdict) {
	o := &item.Object
	item.Handling = v.Handling
	item.Handling.Until = p.receipt.KeptUntil(o)
	if v.Refused != "" {
		item.Refused = &store.Refusal{Message: v.Refused, By: v.By}
		if v.Unmarked {
			item.Refused.Message += markingsOf(o)
		}
		p.name(item.Refused, o)
	}
}

// markingsOf names the first markings of an object that has no TLP marking, as
// the end of a message: one of them may have been taken for a TLP marking.
func markingsOf(o *stix.Object) string {
	ids := slices.Concat(o.Markings, o.Granular)
	if len(ids) == 0 {
		return ""
	}
	text := "; it has"
	for _, id := range ids[:min(len(ids), 5)] {
		text += " " + string(id)
	}
	return text
}

// malformed turns the decoder's errors into what the other party may read.
func malformed(err error) error {
	var syntax *stix.SyntaxError
	var form *stix.FormError
	switch {
	case errors.As(err, &syntax):
		return taxii.Errorf(taxii.Invalid, "%s", cut(syntax.Error()))
	case errors.As(err, &form):
		return taxii.Errorf(taxii.Unprocessed, "%s", form)
	}
	return err
}
