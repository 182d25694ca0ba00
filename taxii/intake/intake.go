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
	"strconv"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// The bounds of one part of a push, which is what the store commits at once.
const (
	partObjects = 4000
	partBytes   = 4 << 20
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
// An object that is not admitted is a failure in that status. The push as a
// whole is Invalid if it is no I-JSON, Unprocessed if it is neither envelope
// nor bundle or holds no object, TooLarge beyond the objects the agreement
// allows; then nothing is stored. Errors of body are returned as they are.
func (in *Intake) Push(ctx context.Context, g exchange.Grant, body io.Reader) (uuid.UUID, error) {
	p := push{
		collection: g.Collection(),
		labels:     exchange.NewLabels(g.Collection()),
		spool:      spool{dir: in.dir},
		submission: store.Submission{
			ID:         uuid.New(),
			Account:    g.Account(),
			Collection: g.ID(),
			Requested:  in.now(),
		},
	}
	defer p.spool.close()
	if err := p.read(body); err != nil {
		return uuid.Nil, err
	}
	verdicts, err := p.labels.Resolve(func(keys []stix.Key) ([]store.Label, error) {
		return in.store.Labels(ctx, g, keys)
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("labels of push %s: %w", p.submission.ID, err)
	}
	err = p.parts(verdicts, func(part store.Part) error { return in.store.Append(ctx, g, part) })
	if err != nil {
		return uuid.Nil, fmt.Errorf("append push %s: %w", p.submission.ID, err)
	}
	return p.submission.ID, nil
}

// push is one push on its way.
type push struct {
	submission store.Submission
	collection *exchange.Collection
	labels     *exchange.Labels
	spool      spool
}

// read decodes the body into the spool. Objects that can be told apart take
// part in the labelling; the others are refused at once.
func (p *push) read(body io.Reader) error {
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
		if err := p.take(raw, n); err != nil {
			return err
		}
	}
}

// take spools one object, or the reason why it is refused.
func (p *push) take(raw []byte, n int64) error {
	o, err := stix.NewObject(raw)
	reason := ""
	if err != nil {
		reason = err.Error()
	} else if reason = p.collection.Admits(&o); reason == "" {
		p.labels.Add(&o)
		return p.spool.object(raw)
	}
	r := p.refusal(&o, reason)
	if r.ID == "" {
		r.ID = "objects/" + strconv.FormatInt(n, 10)
	}
	return p.spool.refusal(r)
}

// refusal names an object as well as it allows.
func (p *push) refusal(o *stix.Object, reason string) *store.Refusal {
	version := o.Version().String()
	if version == "" {
		version = taxii.FormatTime(p.submission.Requested)
	}
	return &store.Refusal{ID: string(o.ID), Version: version, Message: reason}
}

// parts reads the spool again and hands on its items, in the order of the
// push, together with their labels.
func (p *push) parts(verdicts []exchange.Verdict, hand func(store.Part) error) error {
	part := store.Part{Submission: p.submission}
	size := 0
	err := p.spool.replay(func(raw []byte, refused *store.Refusal) error {
		if size+len(raw) > partBytes || len(part.Items) == partObjects {
			if err := hand(part); err != nil {
				return err
			}
			part.Items, size = make([]store.Item, 0, len(part.Items)), 0
			part.N++
		}
		item := store.Item{Refused: refused}
		if refused == nil {
			size += len(raw)
			o, err := stix.NewObject(raw)
			if err != nil {
				return fmt.Errorf("replay the spool: %w", err)
			}
			item.Object, item.Label = o, verdicts[0].Label
			if verdicts[0].Refused != "" {
				item.Refused = p.refusal(&o, verdicts[0].Refused)
			}
			verdicts = verdicts[1:]
		}
		part.Items = append(part.Items, item)
		return nil
	})
	if err != nil {
		return err
	}
	part.Last = true
	return hand(part)
}

// malformed turns the decoder's errors into what the other party may read.
func malformed(err error) error {
	var syntax *stix.SyntaxError
	var form *stix.FormError
	switch {
	case errors.As(err, &syntax):
		return taxii.Errorf(taxii.Invalid, "%s", syntax)
	case errors.As(err, &form):
		return taxii.Errorf(taxii.Unprocessed, "%s", form)
	}
	return err
}
