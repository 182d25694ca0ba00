package admin

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
)

// previewRecall tells who holds an object, and tells nobody that it was asked.
func (a *Admin) previewRecall(ctx context.Context, in Name) ([]custody.Holding, error) {
	id, ok := stix.ParseID(in.ID)
	if !ok {
		return nil, taxii.Errorf(taxii.Invalid, "%q is no id of a STIX object", in.ID)
	}
	return a.custody.Preview(ctx, id)
}

// Until is a time; nil is now.
type Until struct{ Until *time.Time }

// due lists what a purge at that time would take.
func (a *Admin) due(ctx context.Context, in Until) ([]custody.Due, error) {
	return a.custody.Due(ctx, a.at(in.Until))
}

// Purged says how many records a purge took.
type Purged struct {
	Records int `json:"records"`
}

// purge takes what is past its retention now.
func (a *Admin) purge(ctx context.Context, _ None) (out Purged, err error) {
	out.Records, err = a.custody.Purge(ctx)
	return out, err
}

// Quarantined is an object that was kept apart from a push.
type Quarantined struct {
	Number     uint64          `json:"number"`
	Time       time.Time       `json:"time"`
	Account    string          `json:"account"`
	Collection string          `json:"collection"` // alias, or id if it has none any more
	ID         string          `json:"id"`
	Version    string          `json:"version"`
	Message    string          `json:"message"`
	By         string          `json:"by"`               // rule or article
	Object     json.RawMessage `json:"object,omitempty"` // of show
}

func quarantined(p *exchange.Policy, q store.Quarantined, now time.Time) Quarantined {
	row := Quarantined{
		Number: q.Number, Time: q.Time, Account: q.Account, Collection: q.Collection.String(),
		ID: q.ID, Version: q.Version, Message: q.Message, By: q.By,
	}
	if c, ok := p.Collection(row.Collection, now); ok {
		row.Collection = c.Alias
	}
	return row
}

func (a *Admin) quarantined(ctx context.Context, _ None) ([]Quarantined, error) {
	policy, _, err := a.policy(ctx)
	if err != nil {
		return nil, err
	}
	list := []Quarantined{}
	for after := uint64(0); ; {
		some, err := a.store.Quarantined(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return list, nil
		}
		for _, q := range some {
			list = append(list, quarantined(policy, q, a.now()))
			after = q.Number
		}
	}
}

// Number names one quarantined object.
type Number struct{ Number uint64 }

func (a *Admin) showQuarantined(ctx context.Context, in Number) (out Quarantined, err error) {
	policy, _, err := a.policy(ctx)
	if err != nil {
		return out, err
	}
	q, err := a.findQuarantined(ctx, in.Number)
	if err != nil {
		return out, err
	}
	out = quarantined(policy, q, a.now())
	out.Object = q.Object
	return out, nil
}

func (a *Admin) findQuarantined(ctx context.Context, number uint64) (store.Quarantined, error) {
	if number > 0 {
		found, err := a.store.Quarantined(ctx, number-1, 1)
		if err != nil {
			return store.Quarantined{}, err
		}
		if len(found) == 1 && found[0].Number == number {
			return found[0], nil
		}
	}
	return store.Quarantined{}, taxii.Errorf(taxii.NotFound, "nothing is quarantined under the number %d", number)
}

// Discard drops a quarantined object for good.
type Discard struct {
	Number uint64
	Reason string
}

func (a *Admin) discard(ctx context.Context, in Discard) (out Quarantined, err error) {
	if strings.TrimSpace(in.Reason) == "" {
		return out, taxii.Errorf(taxii.Invalid, "say why: the reason stays in the record")
	}
	policy, d, err := a.policy(ctx)
	if err != nil {
		return out, err
	}
	q, err := a.findQuarantined(ctx, in.Number)
	if err != nil {
		return out, err
	}
	entry := audit.Entry{
		Act: audit.Withdrawal, Account: operator, Org: d.Centre.ID, Collection: q.Collection.String(), Count: 1,
		Subjects: []audit.Subject{{ID: q.ID, Reason: q.By}},
		Text:     "quarantined object discarded: " + in.Reason,
	}
	if account, err := d.Account(q.Account); err == nil {
		entry.Parties = []string{account.Org}
	}
	if c, ok := policy.Collection(q.Collection.String(), a.now()); ok {
		entry.Agreement = c.Agreement
		if entry.Parties == nil {
			entry.Parties = []string{c.Writer}
		}
	}
	return quarantined(policy, q, a.now()), a.store.Discard(ctx, in.Number, entry)
}
