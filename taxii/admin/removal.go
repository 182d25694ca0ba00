package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
)

// PreviewRecall lists the holders of an object. It sends them no notice and adds no entry
// to the audit record.
func (s *Service) PreviewRecall(ctx context.Context, object string) ([]custody.Holding, error) {
	id, ok := stix.ParseID(object)
	if !ok {
		return nil, taxii.Errorf(taxii.Invalid, "%q is no id of a STIX object", object)
	}
	return s.custody.Preview(ctx, id)
}

// Recall names an object that is taken back.
type Recall struct{ Object, Reason string }

// Recalled is the result of a recall: the number of records that it removed.
type Recalled struct {
	Records int `json:"records"`
}

// Recall sends recall notices to the holders of an object, and removes it. Invalid without a
// reason; the other errors are those of permit, of PreviewRecall and of [custody.Service.Recall].
func (s *Service) Recall(ctx context.Context, by Actor, in Recall) (out Recalled, err error) {
	id, ok := stix.ParseID(in.Object)
	if !ok {
		return out, taxii.Errorf(taxii.Invalid, "%q is no id of a STIX object", in.Object)
	}
	if err := cmp.Or(s.decide(ctx, by, in.Reason, "recall of "+string(id)), needReason(in.Reason)); err != nil {
		return out, err
	}
	out.Records, err = s.custody.Recall(ctx, by.String(), id, in.Reason)
	return out, err
}

// Due lists the records that a purge at that time would remove; nil is now.
func (s *Service) Due(ctx context.Context, until *time.Time) ([]custody.Due, error) {
	return s.custody.Due(ctx, s.at(until))
}

// Purged is the result of a purge: the number of records that it removed.
type Purged struct {
	Records int `json:"records"`
}

// Purge says why records are purged before the server does it by itself.
type Purge struct {
	Reason string // an operator of the machine need not give one
}

// Purge removes the records that are past their retention now. The errors are those of permit.
func (s *Service) Purge(ctx context.Context, by Actor, in Purge) (out Purged, err error) {
	if err := s.decide(ctx, by, in.Reason, "purge"); err != nil {
		return out, err
	}
	out.Records, err = s.custody.Purge(ctx, by.String(), in.Reason)
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

// describeQuarantined describes a quarantined object without its content.
func describeQuarantined(p *exchange.Policy, q store.Quarantined, now time.Time) Quarantined {
	row := Quarantined{
		Number: q.Number, Time: q.Time, Account: q.Account, Collection: q.Collection.String(),
		ID: q.ID, Version: q.Version, Message: q.Message, By: q.By,
	}
	if c, ok := p.Collection(row.Collection, now); ok {
		row.Collection = c.Alias
	}
	return row
}

// Quarantined are all objects that are kept apart now, oldest first.
func (s *Service) Quarantined(ctx context.Context) ([]Quarantined, error) {
	list := []Quarantined{}
	for after := uint64(0); ; {
		some, err := s.QuarantinedAfter(ctx, after, 1000)
		if err != nil || len(some) == 0 {
			return list, err
		}
		list, after = append(list, some...), some[len(some)-1].Number
	}
}

// QuarantinedAfter are at most n of them, those with numbers greater than after.
func (s *Service) QuarantinedAfter(ctx context.Context, after uint64, n int) (list []Quarantined, err error) {
	policy, _, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	some, err := s.store.Quarantined(ctx, after, n)
	for _, q := range some {
		list = append(list, describeQuarantined(policy, q, s.now()))
	}
	return list, err
}

// QuarantinedObject is one of them with its content; NotFound if there is none.
func (s *Service) QuarantinedObject(ctx context.Context, number uint64) (out Quarantined, err error) {
	policy, _, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	q, err := s.findQuarantined(ctx, number)
	if err != nil {
		return out, err
	}
	out = describeQuarantined(policy, q, s.now())
	out.Object = q.Object
	return out, nil
}

func (s *Service) findQuarantined(ctx context.Context, number uint64) (store.Quarantined, error) {
	if number > 0 {
		found, err := s.store.Quarantined(ctx, number-1, 1)
		if err != nil {
			return store.Quarantined{}, err
		}
		if len(found) == 1 && found[0].Number == number {
			return found[0], nil
		}
	}
	return store.Quarantined{}, taxii.Errorf(taxii.NotFound, "nothing is quarantined under the number %d", number)
}

// Discard names a quarantined object that is dropped for good.
type Discard struct {
	Number uint64
	Reason string
}

// Discard drops it, and describes the dropped object. Invalid without a reason, NotFound if
// there is no such object.
func (s *Service) Discard(ctx context.Context, by Actor, in Discard) (out Quarantined, err error) {
	if err := cmp.Or(s.decide(ctx, by, in.Reason, fmt.Sprintf("discard of number %d in quarantine", in.Number)), needReason(in.Reason)); err != nil {
		return out, err
	}
	policy, d, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	q, err := s.findQuarantined(ctx, in.Number)
	if err != nil {
		return out, err
	}
	entry := audit.Entry{
		Act: audit.Withdrawal, Account: by.String(), Org: d.Centre.ID, Collection: q.Collection.String(), Count: 1,
		Subjects: []audit.Subject{{ID: q.ID, Reason: q.By}},
		Text:     "quarantined object discarded: " + in.Reason,
	}
	if account, err := d.Account(q.Account); err == nil {
		entry.Parties = []string{account.Org}
	}
	if c, ok := policy.Collection(q.Collection.String(), s.now()); ok {
		entry.Agreement = c.Agreement
		if entry.Parties == nil {
			entry.Parties = []string{c.Writer}
		}
	}
	return describeQuarantined(policy, q, s.now()), s.store.Discard(ctx, in.Number, entry)
}
