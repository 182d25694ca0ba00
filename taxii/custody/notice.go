package custody

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// notice is a message from the centre to one party, written as a STIX note.
type notice struct {
	to      string // organisation
	key     string // of one notice; a second one with the same key is not written
	subject string
	text    string
	label   string    // of the note: tells programs the kind of notice
	about   []stix.ID // the objects that the note refers to; none: the centre itself

	// handling is that of the objects in about; the notice is handled at least as strictly.
	handling exchange.Handling
}

// notify writes a notice into the first collection, by alias, that the centre
// writes, that the party alone reads and that admits notes. Without one the
// notice stays in the audit record alone, and written is false.
func (s *Service) notify(ctx context.Context, p *exchange.Policy, n notice) (written bool, err error) {
	now := s.now()
	c := mailbox(p, n.to, now)
	if c == nil {
		return false, nil
	}
	label := max(noticeLabel(c), n.handling.TLP)
	if label > c.Terms.Max {
		return false, nil
	}
	namespace := uuid.NewSHA1(uuid.NameSpaceURL, []byte(p.Centre().Namespace))
	objects := notes(p, c, n, label, namespace, now)
	receipt := c.Receipt(now)
	part := store.Part{Last: true, Submission: store.Submission{
		ID: uuid.NewSHA1(namespace, []byte("submission|"+n.to+"|"+n.key)), Collection: c.ID, Requested: now,
	}}
	for _, o := range objects {
		raw, err := json.Marshal(o)
		if err != nil {
			return false, err
		}
		object, err := stix.NewObject(raw)
		if err != nil {
			return false, err
		}
		part.Items = append(part.Items, store.Item{Object: object, Handling: exchange.Handling{
			TLP: label, Barred: c.Default | n.handling.Barred, Until: receipt.KeptUntil(&object),
		}})
	}
	_, _, err = s.store.Append(ctx, exchange.Operator(c.ID), part)
	return true, err
}

// mailbox is the collection in which the centre writes to a party alone; nil if it has
// no such collection now.
func mailbox(p *exchange.Policy, org string, now time.Time) *exchange.Collection {
	var best *exchange.Collection
	for _, c := range p.Collections(now) {
		if c.Writer != p.Centre().ID || !slices.Equal(c.Readers, []string{org}) || !admits(c, "note") ||
			c.Shared() && noticeLabel(c) < stix.AmberStrict { // the party's own teams would read its messages
			continue
		}
		reads := slices.ContainsFunc(p.Holders(c, now), func(g exchange.Grant) bool { return g.Principal().Org == org && g.CanRead() })
		if reads && (best == nil || c.Alias < best.Alias) {
			best = c
		}
	}
	return best
}

func admits(c *exchange.Collection, typeName string) bool {
	return c.Terms.Types == nil || slices.Contains(c.Terms.Types, typeName)
}

// noticeLabel is AMBER+STRICT, so that the party's own teams do not read its messages,
// as far as the flow allows.
func noticeLabel(c *exchange.Collection) stix.TLP {
	return max(c.Terms.Floor, min(stix.AmberStrict, c.Terms.Max))
}

// object holds the properties of a note and of the centre's identity, in the order in
// which they are written.
type object struct {
	Type          string    `json:"type"`
	Spec          string    `json:"spec_version"`
	ID            stix.ID   `json:"id"`
	CreatedBy     stix.ID   `json:"created_by_ref"`
	Created       string    `json:"created"`
	Modified      string    `json:"modified"`
	Name          string    `json:"name,omitempty"`
	IdentityClass string    `json:"identity_class,omitempty"`
	Contact       string    `json:"contact_information,omitempty"`
	Abstract      string    `json:"abstract,omitempty"`
	Content       string    `json:"content,omitempty"`
	Refs          []stix.ID `json:"object_refs,omitempty"`
	Labels        []string  `json:"labels,omitempty"`
	Markings      []stix.ID `json:"object_marking_refs"`
}

// notes are the objects of a notice: the note and, where the flow admits it, the
// centre's identity before it.
func notes(p *exchange.Policy, c *exchange.Collection, n notice, label stix.TLP, namespace uuid.UUID, now time.Time) []object {
	centre := p.Organisation(p.Centre().ID)
	identity := stix.ID(cmp.Or(centre.Identity, "identity--"+uuid.NewSHA1(namespace, []byte(centre.ID)).String()))
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	base := object{Spec: "2.1", CreatedBy: identity, Markings: []stix.ID{label.Marking()}}
	var list []object
	if admits(c, "identity") {
		o := base
		// The reports of an operation bring the same object (taxii/operation).
		o.Type, o.ID, o.Name, o.IdentityClass, o.Contact = "identity", identity, centre.Name, "organization", centre.Contact
		o.Markings = []stix.ID{stix.Clear.Marking()} // the same wherever it is
		o.Created = stamp(centre.Added)
		o.Modified = o.Created
		if !centre.Renamed.IsZero() {
			o.Modified = stamp(centre.Renamed)
		}
		list = append(list, o)
	}
	o := base
	o.Type, o.ID = "note", stix.ID("note--"+uuid.NewSHA1(namespace, []byte("notice|"+n.to+"|"+n.key)).String())
	o.Created = stamp(now)
	o.Modified = o.Created
	o.Abstract, o.Content, o.Labels, o.Refs = n.subject, n.text, []string{n.label}, n.about
	if len(o.Refs) == 0 {
		o.Refs = []stix.ID{identity}
	}
	return append(list, o)
}
