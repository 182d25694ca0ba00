package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/client"
	"comity/taxii/exchange"
	"comity/taxii/intake"
)

// pull reads what was added to the collection of the other server since the position.
func (r *run) pull(ctx context.Context, c *client.Client) error {
	g, err := r.decide(ctx)
	if err != nil {
		return err // before anything is asked
	}
	root, remote, err := c.Find(ctx, r.link.Remote)
	if err != nil {
		return err
	}
	limit := int(min(g.Collection().Terms.Quota.ObjectsPerPush, intake.MaxFailures))
	for {
		err := r.pullPages(ctx, root, remote.ID, limit)
		before := r.state.Position
		if err == nil || taxii.CodeOf(err) != taxii.BadGateway {
			return err
		}
		if each := r.pullEach(ctx, root, remote.ID); each != nil && taxii.CodeOf(each) != taxii.BadGateway {
			return each
		}
		if !r.state.Position.AddedAfter.After(before.AddedAfter) {
			return err
		}
	}
}

// pullPages reads page by page. It asks for pages that one push can take, so that the position
// moves although the pushes of a day are used up soon; a limit of 0 leaves their size to the
// server.
func (r *run) pullPages(ctx context.Context, root *client.Client, id string, limit int) error {
	q := client.Query{Match: taxii.Match{Versions: taxii.Versioning{All: true}}, From: r.state.Position, Limit: limit}
	for page, err := range root.Objects(ctx, id, q) {
		if err != nil {
			return err
		}
		taken, err := r.take(ctx, page)
		if err != nil {
			return err
		}
		if err := r.save(ctx, func(st *State) {
			taken.apply(st)
			st.Position = page.Position
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachAtOnce is how many records pullEach goes through before a page is tried again.
const eachAtOnce = 100

// pullEach reads the next objects one by one, as the manifest names them, since their page
// cannot be read. Objects that cannot be read alone either count as refused.
func (r *run) pullEach(ctx context.Context, root *client.Client, id string) error {
	r.notice("a page cannot be read, so its objects are read one by one")
	var (
		from    = client.Position{AddedAfter: r.state.Position.AddedAfter}
		q       = client.Query{Match: taxii.Match{Versions: taxii.Versioning{All: true}}, Limit: eachAtOnce, From: from}
		last    time.Time // date of the last record
		reached time.Time // the same, of those that are not to come
		passed  bool      // an object of that date could not be read
		records int
		sum     tally
	)
	for record, err := range root.Manifest(ctx, id, q) {
		if err != nil {
			return err
		}
		added, err := taxii.ParseTime(record.DateAdded)
		if err != nil {
			return taxii.Errorf(taxii.BadGateway, "the manifest dates %s %q, which is no timestamp", record.ID, record.DateAdded)
		}
		if records >= eachAtOnce && added.After(last) { // records may share a date
			break
		}
		readable, err := r.pullOne(ctx, root, id, record, &sum)
		if err != nil {
			return err
		}
		if last = added; !last.After(r.began.Add(client.MaxSkew)) {
			passed = !readable || passed && last.Equal(reached)
			reached = last
		}
		records++
	}
	// Dates may be whole seconds, and other objects may follow within this one.
	if within := reached.Add(-time.Microsecond); reached.Nanosecond() == 0 && !passed && within.After(from.AddedAfter) {
		reached = within
	}
	return r.save(ctx, func(st *State) {
		sum.apply(st)
		if reached.After(from.AddedAfter) {
			st.Position = client.Position{AddedAfter: reached}
		}
	})
}

// pullOne reads one version of an object, and tells whether that was possible.
func (r *run) pullOne(ctx context.Context, root *client.Client, id string, record taxii.ManifestRecord, sum *tally) (readable bool, err error) {
	q := client.Query{Match: taxii.Match{Versions: taxii.Versioning{All: true}}}
	if at, err := taxii.ParseTime(record.Version); err == nil && record.Version != record.DateAdded {
		q.Versions = taxii.Versioning{At: []time.Time{at}}
	}
	for page, err := range root.Object(ctx, id, record.ID, q) {
		switch code := taxii.CodeOf(err); {
		case err == nil:
		case ctx.Err() == nil && (code == taxii.BadGateway || code == taxii.NotFound):
			sum.refuse(r.now(), "unreadable", record.ID, err.Error())
			return false, nil
		default:
			return false, err
		}
		one, err := r.take(ctx, page)
		if err != nil {
			return false, err
		}
		sum.add(one)
	}
	return true, nil
}

// tally is what became of the objects of a page.
type tally struct {
	stored  int64
	refused []ruled
}

// ruled is a refusal with the rule behind it.
type ruled struct {
	rule string
	Refusal
}

// maxText bounds a text of others, of which the state of the link keeps some.
const maxText = 1000

func (t *tally) refuse(at time.Time, rule, id, message string) {
	t.refused = append(t.refused, ruled{rule, Refusal{at, stix.Shorten(id, maxText), stix.Shorten(message, maxText)}})
}

func (t *tally) add(other tally) {
	t.stored += other.stored
	t.refused = append(t.refused, other.refused...)
}

func (t *tally) apply(st *State) {
	st.Objects += t.stored
	for _, refused := range t.refused {
		st.refuse(refused.rule, refused.Refusal)
	}
}

// take pushes the objects of a page into our collection, as the account of the link.
func (r *run) take(ctx context.Context, page *client.Page) (out tally, err error) {
	for _, fault := range page.Faults {
		var known *stix.Error
		if errors.As(fault, &known) {
			out.refuse(r.now(), known.Rule, known.ID, known.Error())
		}
	}
	g, err := r.decide(ctx)
	if err != nil {
		return out, err
	}
	in := r.intake.Over(r.link.Name, r.link.Server())
	for objects := range r.pushes(g.Collection(), page.Objects, &out) {
		if err := r.pushOurs(ctx, in, g, objects, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// pushes cuts the objects of a page into pushes that the agreement allows. An object that is
// larger than a push may be counts as refused.
func (r *run) pushes(c *exchange.Collection, objects [][]byte, out *tally) iter.Seq[[][]byte] {
	const around = len(envelopeHead) + len(envelopeTail)
	count, size := intake.MaxFailures, int64(1<<62) // so that the status tells each failure
	if n := c.Terms.Quota.ObjectsPerPush; n > 0 {
		count = int(min(n, int64(count)))
	}
	if n := c.Terms.Quota.BytesPerPush; n > 0 {
		size = n
	}
	return func(yield func([][]byte) bool) {
		var push [][]byte
		total := int64(around)
		for _, object := range objects {
			n := int64(len(object)) + 1
			if n+int64(around) > size {
				rule := c.Cite("bytes_per_push")
				o, _ := stix.NewObject(object)
				out.refuse(r.now(), rule, string(o.ID), fmt.Sprintf("%s: a push has at most %d bytes, and the object alone %d", rule, size, len(object)))
				continue
			}
			if len(push) == count || len(push) > 0 && total+n > size {
				if !yield(push) {
					return
				}
				push, total = nil, int64(around)
			}
			push, total = append(push, object), total+n
		}
		if len(push) > 0 {
			yield(push)
		}
	}
}

const (
	envelopeHead = `{"objects":[`
	envelopeTail = `]}`
)

// pushOurs pushes objects into our collection.
func (r *run) pushOurs(ctx context.Context, in *intake.Intake, g exchange.Grant, objects [][]byte, out *tally) error {
	body := []io.Reader{bytes.NewReader([]byte(envelopeHead))}
	for i, object := range objects {
		if i > 0 {
			body = append(body, bytes.NewReader([]byte{','}))
		}
		body = append(body, bytes.NewReader(object))
	}
	pushed, err := in.Push(ctx, g, io.MultiReader(append(body, bytes.NewReader([]byte(envelopeTail)))...))
	if err != nil {
		return err
	}
	if err := r.custody.Revoked(ctx, g.Collection(), pushed.Revoked); err != nil {
		return err
	}
	out.stored += int64(pushed.Status.Stored)
	if pushed.Status.Failures == 0 {
		return nil
	}
	for n := range pushed.Status.Parts {
		part, err := r.store.Outcomes(ctx, pushed.Status.ID, n)
		if err != nil {
			return err
		}
		if err := out.refuseAll(r.now(), part); err != nil {
			return err
		}
	}
	return nil
}

// refuseAll counts the failures of a part of a push.
func (t *tally) refuseAll(at time.Time, part store.Outcomes) error {
	var failures []taxii.StatusDetail
	if err := json.Unmarshal(slices.Concat([]byte("["), part.Failures, []byte("]")), &failures); err != nil {
		return fmt.Errorf("read a status: %w", err)
	}
	for _, f := range failures {
		t.refuse(at, ruleOf(f.Message), f.ID, f.Message)
	}
	return nil
}
