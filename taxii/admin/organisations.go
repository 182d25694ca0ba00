package admin

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Init names the centre of a new data folder.
type Init struct {
	ID, Name, Country string
	Namespace         string // of the ids that the centre derives; "" for one made from ID
	Key               string // public key that the centre signs with, as in exchange.Organisation
	Identity          string // STIX identity of the centre; "" for one made in Namespace
	Contact           string // for questions about its reports; may be empty
}

// Init makes the centre; Conflict if there is one already.
func (s *Service) Init(ctx context.Context, by Actor, in Init) (exchange.Centre, error) {
	if in.Namespace == "" {
		in.Namespace = "urn:comity:" + in.ID
	}
	centre := exchange.Centre{ID: in.ID, Namespace: in.Namespace}
	if in.Identity == "" {
		in.Identity = "identity--" + uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte(in.Namespace)), []byte(in.ID)).String()
	}
	err := s.store.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if d.Centre.ID != "" {
			return nil, taxii.Errorf(taxii.Conflict, "this data folder is of the centre %s already", d.Centre.ID)
		}
		if slices.Contains([]string{"taxii2", "healthz", "readyz", "console"}, in.ID) {
			return nil, taxii.Errorf(taxii.Invalid, "%s is a path of the server; choose another id", in.ID)
		}
		d.Centre = centre
		return directoryEntry(d, by, in.ID, "centre %s made", in.ID), d.AddOrganisation(exchange.Organisation{
			ID: in.ID, Kind: "international-body", Name: in.Name, Country: in.Country, Key: in.Key, Identity: in.Identity, Contact: in.Contact, Added: s.now(),
		})
	})
	return centre, err
}

// AddOrganisation adds an organisation; the errors are those of
// [exchange.Directory.AddOrganisation].
func (s *Service) AddOrganisation(ctx context.Context, by Actor, o exchange.Organisation) (exchange.Organisation, error) {
	o.Added = s.now()
	return o, s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		return directoryEntry(d, by, o.ID, "organisation %s added", o.ID), d.AddOrganisation(o)
	})
}

// EditOrganisation changes fields of an organisation. A nil field stays as it is.
type EditOrganisation struct {
	ID                          string
	Kind, Name, Country, Parent *string
}

// EditOrganisation changes it; the errors are those of
// [exchange.Directory.EditOrganisation].
func (s *Service) EditOrganisation(ctx context.Context, by Actor, in EditOrganisation) (out exchange.Organisation, err error) {
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		o, err := d.Organisation(in.ID)
		if err != nil {
			return nil, err
		}
		out = *o
		var changes changes
		changes.text("kind", &out.Kind, in.Kind)
		changes.text("name", &out.Name, in.Name)
		if out.Name != o.Name { // a version of its STIX identity is a millisecond apart from the one before
			out.Renamed = taxii.Latest(s.now(), o.Added.Add(time.Millisecond), o.Renamed.Add(time.Millisecond))
		}
		changes.text("country", &out.Country, in.Country)
		changes.text("parent", &out.Parent, in.Parent)
		return changes.entries(d, by, out.ID, "organisation "+out.ID), d.EditOrganisation(out)
	})
	return out, err
}

// RegisterKey gives an organisation the key that it signs with from now on. Signatures
// with an earlier key stay valid.
type RegisterKey struct{ ID, Key string }

// RegisterKey gives it the key; NotFound if there is no such organisation.
func (s *Service) RegisterKey(ctx context.Context, by Actor, in RegisterKey) (out exchange.Organisation, err error) {
	if _, err := agreement.ParseKey(in.Key); err != nil {
		return out, err
	}
	err = s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		o, err := d.Organisation(in.ID)
		if err != nil {
			return nil, err
		}
		o.Key = in.Key
		out = *o
		return directoryEntry(d, by, o.ID, "organisation %s signs with the key %s", o.ID, o.Key), nil
	})
	return out, err
}

// Organisations are all organisations, by id.
func (s *Service) Organisations(ctx context.Context) ([]*exchange.Organisation, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return sorted(newest.Directory.Organisations), nil
}

// Suspend stops or restores all grants of an organisation.
type Suspend struct {
	ID        string
	Suspended bool
	Reason    string // an operator of the machine need not give one
}

// SuspendOrganisation stops or restores them; NotFound if there is no such organisation.
// It commits the deliveries in memory first: if the server is killed, the gap that the
// next one records does not name an organisation that was suspended. The other errors are
// those of permit.
func (s *Service) SuspendOrganisation(ctx context.Context, by Actor, in Suspend) (out exchange.Organisation, err error) {
	if err := s.permit(ctx, by, in.Reason); err != nil {
		return out, err // before others wait for the deliveries
	}
	if err := s.custody.Flush(ctx); err != nil {
		return out, err
	}
	err = s.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		if err := s.permitIn(d, by, in.Reason); err != nil {
			return nil, err
		}
		o, err := d.Organisation(in.ID)
		if err != nil {
			return nil, err
		}
		switch {
		case o.Suspended == in.Suspended:
		case in.Suspended:
			entries = directoryEntry(d, by, o.ID, "organisation %s suspended%s", o.ID, because(in.Reason))
			for _, account := range d.Accounts {
				if account.Org == o.ID {
					account.SignedOut = s.now()
				}
			}
		default:
			entries = directoryEntry(d, by, o.ID, "organisation %s reinstated%s", o.ID, because(in.Reason))
		}
		o.Suspended = in.Suspended
		out = *o
		return entries, nil
	})
	return out, err
}

// sorted are the values of a map in the order of their keys; never nil.
func sorted[V any](m map[string]V) []V {
	list := make([]V, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[key])
	}
	return list
}
