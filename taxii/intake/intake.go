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
	partBytes   = 4 << 20
)

// maxObjects bounds a push where its agreement does not: the status names
// every object, so it may grow much larger than the push. maxMessage bounds
// what a refusal repeats of what was sent, in octets, and maxSaid what all of
// them and the warnings say together: beyond it they only name the object.
const (
	maxObjects = 1_000_000
	maxMessage = 500
	maxSaid    = 16 << 20
)

// Intake takes pushes. It is safe for concurrent use.
type Intake struct {
	store store.Store
	dir   string
	now   func() time.Time
}

// New makes an Intake that spools large pushes to files in dir, which must
// exist.
func New(s store.Store, dir string, now func() time.Time) *Intake {
	return &Intake{s, dir, now}
}

// Push reads an envelope or a bundle from body and adds its objects to the
// collection of the grant. It returns the id of the status, which is complete.
//
// An object that is not admitted, or breaks the standard, is a failure in that
// status. The push as a whole is Invalid if it is no I-JSON, Unprocessed if it
// is neither envelope nor bundle, holds no object or more than a million,
// TooLarge beyond the objects the agreement allows; then nothing is stored.
// Errors of body are returned as they are.
func (in *Intake) Push(ctx context.Context, g exchange.Grant, body io.Reader) (uuid.UUID, error) {
	p := in.begin(g)
	defer p.spool.close()
	verdicts, err := p.read(ctx, g, body)
	if err != nil {
		return uuid.Nil, err
	}
	for part, err := range p.parts(verdicts) {
		if err == nil {
			err = in.store.Append(ctx, g, part)
		}
		if err != nil {
			return uuid.Nil, fmt.Errorf("append push %s: %w", p.submission.ID, err)
		}
	}
	return p.submission.ID, nil
}

// Rehearse answers what Push would, and stores nothing.
func (in *Intake) Rehearse(ctx context.Context, g exchange.Grant, body io.Reader) (store.Status, []store.Outcomes, error) {
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
	return &push{
		store:      in.store,
		collection: g.Collection(),
		policy:     validate.Policy{STIX20: slices.Contains(g.Collection().Terms.STIXVersions, "2.0")},
		labels:     exchange.NewLabels(g.Collection()),
		spool:      spool{dir: in.dir},
		submission: store.Submission{
			ID:         uuid.New(),
			Account:    g.Account(),
			Collection: g.ID(),
			Requested:  in.now(),
		},
	}
}

// push is one push on its way.
type push struct {
	store      store.Store
	submission store.Submission
	collection *exchange.Collection
	policy     validate.Policy
	labels     *exchange.Labels
	spool      spool
	said       int // octets of messages
}

// read takes the whole body, and gives a verdict on each object that was not
// refused by itself.
func (p *push) read(ctx context.Context, g exchange.Grant, body io.Reader) ([]exchange.Verdict, error) {
	if err := p.decode(body); err != nil {
		return nil, err
	}
	verdicts, err := p.labels.Resolve(func(keys []stix.Key) ([]exchange.Held, error) {
		return p.store.Labels(ctx, g, keys)
	})
	if err != nil {
		return nil, fmt.Errorf("labels of push %s: %w", p.submission.ID, err)
	}
	return verdicts, nil
}

// decode brings the body into the spool. Objects that are admitted so far take
// part in the labelling; the others are refused at once.
func (p *push) decode(body io.Reader) error {
	quota := p.collection.Terms.Quota.ObjectsPerPush
	decoder := stix.NewDecoder(body)
	for n := int64(0); ; n++ {
		raw, err := decoder.Next()
		if err == io.EOF {
			if n == 0 {
				return taxii.Errorf(taxii.Unprocessed, "the push holds no object")
			}
			return nil
		}
		if err != nil {
			return malformed(err)
		}
		if quota > 0 && n == quota {
			return taxii.Errorf(taxii.TooLarge, "article %s: more than %d objects in one push", p.collection.Terms.By["objects_per_push"].Article, quota)
		}
		if n == maxObjects {
			return taxii.Errorf(taxii.Unprocessed, "a push has at most %d objects; send several", maxObjects)
		}
		if err := p.take(raw, n); err != nil {
			return err
		}
	}
}

// take spools one object, or the reason why it is refused: the agreement's, if
// it does not admit such objects at all, or the standard's.
func (p *push) take(raw []byte, n int64) error {
	o, err := stix.NewObject(raw)
	reason := ""
	if err == nil {
		reason = p.collection.Admits(&o)
	}
	if reason == "" {
		findings := validate.Object(raw, p.policy)
		switch {
		case !findings.Valid():
			reason = list(findings.Errors())
		case err != nil:
			reason = err.Error()
		default:
			p.labels.Add(&o)
			warning := list(findings.Warnings())
			if warning != "" {
				warning = p.say(warning)
			}
			return p.spool.object(raw, warning)
		}
	}
	r := p.refusal(&o, reason)
	if r.ID == "" {
		r.ID = "objects/" + strconv.FormatInt(n, 10)
	}
	return p.spool.refusal(r)
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

// refusal names an object as well as it allows.
func (p *push) refusal(o *stix.Object, reason string) *store.Refusal {
	version := o.Version().String()
	if version == "" {
		version = taxii.FormatTime(p.submission.Requested)
	}
	return &store.Refusal{ID: string(o.ID), Version: version, Message: p.say(reason)}
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
		part := store.Part{Submission: p.submission}
		size, verdicts := 0, verdicts
		for f, err := range p.spool.frames() {
			if err == nil && len(part.Items) > 0 && (size+len(f.object) > partBytes || len(part.Items) == partObjects) {
				if !yield(part, nil) {
					return
				}
				part.Items, size = make([]store.Item, 0, len(part.Items)), 0
				part.N++
			}
			item := store.Item{Warning: f.warning, Refused: f.refused}
			if err == nil && f.refused == nil {
				item.Object, err = stix.NewObject(f.object)
				item.Label = verdicts[0].Label
				if verdicts[0].Refused != "" {
					item.Refused = p.refusal(&item.Object, verdicts[0].Refused)
				}
				verdicts = verdicts[1:]
			}
			if err != nil {
				yield(part, fmt.Errorf("replay the spool: %w", err))
				return
			}
			size += len(f.object)
			part.Items = append(part.Items, item)
		}
		part.Last = true
		yield(part, nil)
	}
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
