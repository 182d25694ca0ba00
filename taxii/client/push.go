package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"slices"
	"time"

	"comity/stix/rawjson"
	"comity/taxii"
)

// maxBatch is the greatest number of objects in one push.
const maxBatch = 1000

// pendingFor is how long a push waits for the status of its objects.
const pendingFor = 2 * time.Minute

// Add sends one envelope or bundle and returns the status as the server answered, which may
// be pending (TAXII 2.1 §5.5). It is sent again after a lost answer: a server takes the same
// version of an object once. dryRun asks a comity server to store nothing; other servers
// ignore it.
func (c *Client) Add(ctx context.Context, collection string, envelope []byte, dryRun bool) (taxii.Status, error) {
	s, _, err := c.add(ctx, collection, envelope, dryRun)
	return s, err
}

// add is Add, and counts the attempts.
func (c *Client) add(ctx context.Context, collection string, envelope []byte, dryRun bool) (s taxii.Status, attempts int, err error) {
	address := c.collection(collection) + "objects/"
	if dryRun {
		address += "?x_dry_run=true"
	}
	err = c.resource(ctx, request{method: http.MethodPost, url: address, body: envelope, sent: &attempts}, &s)
	return s, attempts, err
}

// Pusher sends objects to one collection.
type Pusher struct {
	client     *Client
	collection taxii.Collection
	limit      int64 // bytes of an envelope
	dryRun     bool
}

// Pusher prepares pushes to a collection, by its id or alias: it asks for what the
// collection takes. A collection that cannot be written to is Forbidden. With dryRun
// nothing is stored; where the server is not known to offer that, the error is Unsupported.
func (c *Client) Pusher(ctx context.Context, collection string, dryRun bool) (*Pusher, error) {
	root, err := c.APIRoot(ctx)
	if err != nil {
		return nil, err
	}
	p := &Pusher{client: c, limit: root.MaxContentLength, dryRun: dryRun}
	if p.limit <= 0 {
		p.limit = 10 << 20
	}
	if p.collection, err = c.Collection(ctx, collection); err != nil {
		return nil, err
	}
	if p.collection.ID == "" {
		p.collection.ID = collection
	}
	if !p.collection.CanWrite {
		return nil, taxii.Errorf(taxii.Forbidden, "%s: the collection takes no objects of yours", c.collection(collection))
	}
	if dryRun { // every comity server has this endpoint; another server would store the objects
		if err := c.resource(ctx, get(c.url.String()+"x-handling/"), new(struct{})); err != nil {
			return nil, &taxii.Error{Code: taxii.Unsupported, Msg: c.url.String() + ": this server is not known to offer dry runs", Err: err}
		}
	}
	return p, nil
}

// The verdicts of a server on an object.
const (
	Accepted = "accepted"
	Refused  = "refused"
	Pending  = "pending" // the server has not decided in time
	Unknown  = "unknown" // the server tells how many it refused, and not which
)

// Outcome is the verdict on one object.
type Outcome struct {
	ID      string
	Version string // modified or else created, as the object spells it; empty without both
	Verdict string
	Message string
}

// Push sends objects, each of them JSON without whitespace between tokens, as
// [stix.Decoder] gives it, and yields their outcomes in the same order. An object is sent
// in one envelope with up to 999 others, as many as max_content_length allows. A batch that
// is refused as a whole for what is in it, or for its size, is halved until the objects that
// cause that are found. An object is kept in memory until its outcome was yielded. An error
// ends the push; what was yielded before is stored.
func (p *Pusher) Push(ctx context.Context, objects iter.Seq[[]byte]) iter.Seq2[Outcome, error] {
	return func(yield func(Outcome, error) bool) {
		var (
			batch [][]byte
			size  int64
		)
		flush := func() bool {
			outcomes, err := p.send(ctx, batch)
			for _, o := range outcomes {
				if !yield(o, nil) {
					return false
				}
			}
			batch, size = batch[:0], 0
			if err != nil {
				yield(Outcome{}, err)
			}
			return err == nil
		}
		for object := range objects {
			// 14 bytes are the text around the list.
			if len(batch) == maxBatch || len(batch) > 0 && size+int64(len(object))+14 > p.limit {
				if !flush() {
					return
				}
			}
			batch, size = append(batch, bytes.Clone(object)), size+int64(len(object))+1
		}
		if len(batch) > 0 {
			flush()
		}
	}
}

// send pushes one batch. The outcomes are complete if there is no error.
func (p *Pusher) send(ctx context.Context, batch [][]byte) ([]Outcome, error) {
	outcomes := make([]Outcome, len(batch))
	var fit []int // the objects that the collection may take
	for i, object := range batch {
		outcomes[i] = Outcome{ID: text(object, "id"), Version: version(object)}
		if spec := specVersion(object); !p.takes(spec) {
			outcomes[i].Verdict, outcomes[i].Message = Refused, "the collection does not take STIX "+spec
		} else {
			fit = append(fit, i)
		}
	}
	answered, err := p.halve(ctx, batch, fit, outcomes)
	if err == nil && answered == 0 && len(fit) > 1 {
		last := outcomes[fit[len(fit)-1]]
		err = taxii.Errorf(taxii.Invalid, "the server took none of %d objects: %s", len(fit), last.Message)
	}
	if err != nil {
		outcomes = slices.DeleteFunc(outcomes, func(o Outcome) bool { return o.Verdict == "" })
	}
	return outcomes, err
}

// halve pushes the objects with these indexes, and in two halves what the server refuses as
// a whole. It returns for how many of them it got a status.
func (p *Pusher) halve(ctx context.Context, batch [][]byte, indexes []int, outcomes []Outcome) (answered int, err error) {
	if len(indexes) == 0 {
		return 0, nil
	}
	envelope := []byte(`{"objects":[`)
	for n, i := range indexes {
		if n > 0 {
			envelope = append(envelope, ',')
		}
		envelope = append(envelope, batch[i]...)
	}
	envelope = append(envelope, "]}"...)
	status, attempts, err := p.client.add(ctx, p.collection.ID, envelope, p.dryRun)
	if err == nil {
		status, err = p.settled(ctx, status)
	}
	if err == nil {
		join(status, indexes, outcomes)
		for _, i := range indexes {
			if attempts > 1 && outcomes[i].Verdict == Refused { // some servers refuse what they have
				outcomes[i].Message += " (the answer to an earlier attempt was lost, so the server may have it)"
			}
		}
		return len(indexes), nil
	}
	var known *taxii.Error
	if !errors.As(err, &known) || known.Code != taxii.TooLarge && known.Code != taxii.Unprocessed && known.Code != taxii.Invalid {
		return 0, err
	}
	if len(indexes) == 1 {
		outcomes[indexes[0]].Verdict, outcomes[indexes[0]].Message = Refused, known.Msg
		return 0, nil
	}
	half := len(indexes) / 2
	first, err := p.halve(ctx, batch, indexes[:half], outcomes)
	if err != nil {
		return first, err
	}
	second, err := p.halve(ctx, batch, indexes[half:], outcomes)
	return first + second, err
}

// settled waits until the status is complete, or for pendingFor.
func (p *Pusher) settled(ctx context.Context, s taxii.Status) (taxii.Status, error) {
	if s.Status != "pending" && s.PendingCount == 0 || s.ID == "" {
		return s, nil
	}
	wait := p.client.wait / 5
	for end := time.Now().Add(pendingFor); time.Now().Before(end); wait = min(wait*3/2, 20*p.client.wait) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
		var err error
		if s, err = p.client.Status(ctx, s.ID); err != nil || s.Status != "pending" && s.PendingCount == 0 {
			return s, err
		}
	}
	p.client.config.Notice(fmt.Sprintf("status %s: still pending after %s", s.ID, pendingFor))
	return s, nil
}

// takes tells whether the media types of the collection allow a specification version. A
// collection without media types says nothing.
func (p *Pusher) takes(spec string) bool {
	for _, m := range p.collection.MediaTypes {
		_, params, err := mime.ParseMediaType(m)
		if v := params["version"]; err != nil || v == "" || v == spec {
			return true
		}
	}
	return len(p.collection.MediaTypes) == 0
}

// specVersion is the specification version of an object: 2.0 has no spec_version, and its
// observables are no objects.
func specVersion(object []byte) string {
	if spec := text(object, "spec_version"); spec != "" {
		return spec
	}
	if text(object, "created") != "" {
		return "2.0"
	}
	return "2.1"
}

// version is modified or else created of an object.
func version(object []byte) string {
	if modified := text(object, "modified"); modified != "" {
		return modified
	}
	return text(object, "created")
}

// text is the string of a member, empty if it is none.
func text(object []byte, name string) string {
	s, _ := rawjson.Text(rawjson.Member(object, name))
	return string(s)
}
