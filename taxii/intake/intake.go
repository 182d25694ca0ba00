// Package intake takes one push from its bytes to the store: it decodes the
// envelope as it arrives, spools the objects, decides their labels once all objects
// are known, and appends them part by part.
//
// Nothing is stored before the whole push has been read and found well-formed.
// The package authenticates no caller: its grant decides.
package intake

import (
	"bytes"
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
	"comity/stix/feed"
	"comity/stix/validate"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// The bounds of one part of a push. The store commits each part at once.
const (
	partObjects = 4000
	partBytes   = 1 << 20
)

// maxObjects bounds a push whose agreement sets no bound: the status names
// every stored object, so it may grow much larger than the push.
// maxMessage bounds the message of one refusal, which may quote the object, in bytes.
// maxMessages bounds the messages of all refusals and warnings of a push together, in
// bytes; the refusals and warnings beyond it only name the object.
const (
	maxObjects  = 1_000_000
	maxMessage  = 500
	maxMessages = 16 << 20
)

// MaxFailures is the number of refusals of a push that the status lists one by one. The
// others are counted by rule, with one entry for each rule. The objects in quarantine, and
// those that the store refuses, are always listed and not among them.
const MaxFailures = 1000

// Store is the part of the store that intake needs.
type Store interface {
	store.Appender
	store.Reader
}

// Intake takes pushes. It is safe for concurrent use.
type Intake struct {
	store        Store
	dir          string
	now          func() time.Time
	link, remote string
}

// New makes an Intake that spools large pushes to files in dir, which must
// exist.
func New(s Store, dir string, now func() time.Time) *Intake {
	return &Intake{store: s, dir: dir, now: now}
}

// Over is an Intake whose pushes are recorded as brought by that link from that server: see
// [store.Submission].
func (in *Intake) Over(link, remote string) *Intake {
	over := *in
	over.link, over.remote = link, remote
	return &over
}

// Pushed is the result of a push.
type Pushed struct {
	Status  store.Status   // complete
	Last    store.Outcomes // of the last part; most pushes have one part only
	Revoked []stix.ID      // objects with the property revoked
}

// Push reads an envelope or a bundle from body and adds its objects to the
// collection of the grant.
//
// An object that is not admitted, is too large or breaks the standard is a
// failure in the status. If the whole push is refused, nothing is stored, and the
// error is Invalid if it is not I-JSON (RFC 7493) outside of any object, Unprocessed if
// it is neither an envelope nor a bundle, or has no object or more than a million,
// TooLarge if it exceeds the bytes or objects that the agreement allows, and TooMany if
// the agreement's pushes of the day are used up. Errors of body are returned
// unchanged.
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

// Rehearse gives the status that Push would give, and stores nothing.
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
		sources:    secondmentSources{SecondmentSources: g.SecondmentSources()},
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
			Link:       in.link,
			Remote:     in.remote,
		},
	}
}

// push is one push in progress.
type push struct {
	store        Store
	submission   store.Submission
	collection   *exchange.Collection
	receipt      exchange.Receipt
	policy       validate.Policy
	labels       *exchange.Labels
	sources      secondmentSources
	spool        spool
	revoked      []stix.ID
	messageBytes int // length of all messages so far
	failures     failures
}

// read reads the whole body, and gives a verdict on each object that was not refused
// while it was read.
func (p *push) read(ctx context.Context, g exchange.Grant, body io.Reader) ([]exchange.Verdict, error) {
	limit, err := p.objectLimit(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.decode(p.limited(body), limit); err != nil {
		return nil, err
	}
	verdicts, err := p.labels.Resolve(func(keys []stix.Key) ([]exchange.Held, error) {
		return p.store.Labels(ctx, g, keys)
	})
	if err != nil {
		return nil, fmt.Errorf("labels of push %s: %w", p.submission.ID, err)
	}
	p.labels = nil // of a large push they take most of the memory
	if err := p.sources.lookUp(ctx, p.store); err != nil {
		return nil, err
	}
	return verdicts, p.sources.refuseCopies(ctx, p.store, p.spool.entries(), verdicts)
}

// decoders reuses the memory of decoders.
var decoders = sync.Pool{New: func() any { return new(stix.Decoder) }}

// decode reads the body into the spool, up to the limit of objects. It adds the objects
// that are valid and admitted to the labels, and refuses the others at once.
func (p *push) decode(body io.Reader, limit objectLimit) error {
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
		fault, bad := err.(*stix.Error) // errors.As would cost an allocation for each object
		if err != nil && !bad {
			return malformed(err)
		}
		if n == limit.objects {
			return limit.exceeded
		}
		if bad {
			err = p.refuse(store.Refusal{Message: fault.Error(), By: fault.Rule}, &stix.Object{ID: stix.ID(fault.ID)}, n)
		} else {
			err = p.add(raw, n)
		}
		if err != nil {
			return err
		}
	}
}

// add spools object n, or its refusal by the agreement or by the standard.
func (p *push) add(raw []byte, n int64) error {
	var (
		entry spooled
		o     = &entry.object
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
			r.Message, r.By = join(findings.Errors()), findings.Errors()[0].Rule
		case err != nil:
			r.Message, r.By = err.Error(), "standard"
		default:
			p.labels.Add(o)
			p.sources.addKey(o)
			if o.Revoked {
				p.revoked = append(p.revoked, o.ID)
			}
			warning := ruleProblem(raw, o)
			if warnings := findings.Warnings(); warnings != nil {
				warning = strings.TrimPrefix(warning+"; "+join(warnings), "; ")
			}
			if warning != "" {
				entry.warning = p.message(warning)
			}
			return p.spool.add(&entry)
		}
	}
	return p.refuse(r, o, n)
}

// ruleProblem tells the sender of a rule, such as one of YARA, why no feed has it. It is "" for all
// other objects.
func ruleProblem(raw []byte, o *stix.Object) string {
	if o.Type != "indicator" || bytes.Contains(raw, []byte(`"stix"`)) { // the pattern_type of most
		return ""
	}
	switch feed.RuleProblem(*o) {
	case feed.Broken:
		return "feeds leave the rule out: it is not well-formed"
	case feed.Unsafe:
		return "feeds leave the rule out: it would change what other rules do, or read or write files"
	}
	return ""
}

// refuse spools the refusal of object n, with the object only if it is quarantined.
func (p *push) refuse(r store.Refusal, o *stix.Object, n int64) error {
	if !r.Quarantine && p.failures.countByRule(r.By) {
		return nil
	}
	p.complete(&r, o)
	if r.ID == "" {
		r.ID = "objects/" + strconv.FormatInt(n, 10)
	}
	if !r.Quarantine && !p.failures.list(&r) {
		return nil
	}
	refused := spooled{refused: &r}
	if r.Quarantine {
		refused.object = *o
	}
	return p.spool.add(&refused)
}

// admits gives the refusal of an object that the agreement does not admit whatever its
// label. The refusal has no message if the object is admitted.
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

// join joins findings until the text is longer than maxMessage.
func join(findings validate.Findings) string {
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

// complete sets the id and version of a refusal, as far as its object has them, and
// bounds its message.
func (p *push) complete(r *store.Refusal, o *stix.Object) {
	r.ID, r.Version = string(o.ID), o.Version().String()
	if r.Version == "" {
		r.Version = taxii.FormatTime(p.submission.Requested)
	}
	r.Message = p.message(r.Message)
}

// message bounds a message for the status. Beyond maxMessages it gives a short text
// instead.
func (p *push) message(message string) string {
	if p.messageBytes > maxMessages {
		return "see the objects before: too much was said of this push already"
	}
	message = stix.Shorten(message, maxMessage)
	p.messageBytes += len(message)
	return message
}

// parts reads the spool again and gives its items in the order of the push, with their
// handling. It may be ranged over more than once.
func (p *push) parts(verdicts []exchange.Verdict) iter.Seq2[store.Part, error] {
	messageBytes := p.messageBytes
	return func(yield func(store.Part, error) bool) {
		p.messageBytes = messageBytes // as no reading has counted its messages yet
		// The number of items in a part, if all objects were of the mean size.
		itemsPerPart := min(p.spool.n, partObjects, p.spool.n*partBytes/max(p.spool.bytes, 1)+1)
		part := store.Part{Submission: p.submission, Items: make([]store.Item, 0, itemsPerPart)}
		size, verdicts, failures := 0, verdicts, p.failures.clone()
		for entry, err := range p.spool.entries() {
			if err == nil && len(part.Items) > 0 && (size+entry.size() > partBytes || len(part.Items) == partObjects) {
				if !yield(part, nil) {
					return
				}
				part.Items, size = make([]store.Item, 0, itemsPerPart), 0
				part.N++
			}
			if err != nil {
				yield(part, fmt.Errorf("replay the spool: %w", err))
				return
			}
			item := store.Item{Object: entry.object, Warning: entry.warning, Refused: entry.refused}
			if entry.refused == nil {
				v := verdicts[0]
				verdicts = verdicts[1:]
				if v.Refused != "" && failures.countByRule(v.By) {
					continue
				}
				p.apply(v, &item)
				if item.Refused != nil && !failures.list(item.Refused) {
					continue
				}
			}
			part.Items = append(part.Items, item)
			size += entry.size()
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

// apply sets the handling or the refusal of an item by the verdict on its object.
func (p *push) apply(v exchange.Verdict, item *store.Item) {
	o := &item.Object
	item.Handling = v.Handling
	item.Handling.Until = p.receipt.KeptUntil(o)
	if v.Refused != "" {
		item.Refused = &store.Refusal{Message: v.Refused, By: v.By}
		if v.Unmarked {
			item.Refused.Message += markingsOf(o)
		}
		p.complete(item.Refused, o)
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

// malformed turns an error of the decoder into one that is safe to show to the caller. It
// returns other errors unchanged.
func malformed(err error) error {
	var syntax *stix.SyntaxError
	var form *stix.FormError
	switch {
	case errors.As(err, &syntax):
		return taxii.Errorf(taxii.Invalid, "%s", stix.Shorten(syntax.Error(), maxMessage))
	case errors.As(err, &form):
		return taxii.Errorf(taxii.Unprocessed, "%s", form)
	}
	return err
}
