package admin

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Init names the centre of a new data folder.
type Init struct {
	ID, Name, Country string
	Namespace         string // ids the centre derives live in it; "" for one made from ID
	Key               string // public, as in exchange.Organisation: what the centre signs with
	Identity          string // STIX identity of the centre; "" for one made in Namespace
}

func (a *Admin) initialise(ctx context.Context, in Init) (exchange.Centre, error) {
	if in.Namespace == "" {
		in.Namespace = "urn:comity:" + in.ID
	}
	centre := exchange.Centre{ID: in.ID, Namespace: in.Namespace}
	if in.Identity == "" {
		in.Identity = "identity--" + uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte(in.Namespace)), []byte(in.ID)).String()
	}
	err := a.store.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if d.Centre.ID != "" {
			return nil, taxii.Errorf(taxii.Conflict, "this data folder is of the centre %s already", d.Centre.ID)
		}
		if in.ID == "taxii2" || in.ID == "healthz" || in.ID == "readyz" {
			return nil, taxii.Errorf(taxii.Invalid, "%s is a path of the server; choose another id", in.ID)
		}
		d.Centre = centre
		return changed(d, in.ID, "centre %s made", in.ID), d.AddOrganisation(exchange.Organisation{
			ID: in.ID, Kind: "international-body", Name: in.Name, Country: in.Country, Key: in.Key, Identity: in.Identity, Added: a.now(),
		})
	})
	return centre, err
}

func (a *Admin) addOrganisation(ctx context.Context, o exchange.Organisation) (exchange.Organisation, error) {
	o.Added = a.now()
	return o, a.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		return changed(d, o.ID, "organisation %s added", o.ID), d.AddOrganisation(o)
	})
}

// RegisterKey gives an organisation the key that it signs with from now on. What
// it signed with another one stays signed.
type RegisterKey struct{ ID, Key string }

func (a *Admin) registerKey(ctx context.Context, in RegisterKey) (out exchange.Organisation, err error) {
	if _, err := agreement.ParseKey(in.Key); err != nil {
		return out, err
	}
	err = a.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		o, err := d.Organisation(in.ID)
		if err != nil {
			return nil, err
		}
		o.Key = in.Key
		out = *o
		return changed(d, o.ID, "organisation %s signs with the key %s", o.ID, o.Key), nil
	})
	return out, err
}

func (a *Admin) organisations(ctx context.Context, _ None) ([]*exchange.Organisation, error) {
	d, _, err := a.store.Directory(ctx)
	if err != nil {
		return nil, err
	}
	return sorted(d.Organisations), nil
}

// Suspend stops or restores all grants of an organisation.
type Suspend struct {
	ID        string
	Suspended bool
}

func (a *Admin) suspend(ctx context.Context, in Suspend) (out exchange.Organisation, err error) {
	err = a.amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		o, err := d.Organisation(in.ID)
		if err != nil {
			return nil, err
		}
		switch {
		case o.Suspended == in.Suspended:
		case in.Suspended:
			entries = changed(d, o.ID, "organisation %s suspended", o.ID)
		default:
			entries = changed(d, o.ID, "organisation %s reinstated", o.ID)
		}
		o.Suspended = in.Suspended
		out = *o
		return entries, nil
	})
	return out, err
}

// sorted is the values of a map by their keys; never nil.
func sorted[V any](m map[string]V) []V {
	list := make([]V, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[key])
	}
	return list
}
