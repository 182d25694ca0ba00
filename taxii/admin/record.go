package admin

import (
	"context"
	"encoding/hex"
	"io"

	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Flush commits the deliveries that servers still gather, so that the audit record is complete.
func (s *Service) Flush(ctx context.Context) error { return s.custody.Flush(ctx) }

// AuditEntries asks for entries of the audit record: those with numbers greater than
// Since, or the last ones if it is nil.
type AuditEntries struct {
	Since *uint64
	Limit int // at least 1
}

// AuditEntries are these entries, oldest first. They include all deliveries until now.
func (s *Service) AuditEntries(ctx context.Context, in AuditEntries) ([]audit.Entry, error) {
	if err := s.custody.Flush(ctx); err != nil {
		return nil, err
	}
	limit := max(in.Limit, 1)
	var after uint64
	if in.Since != nil {
		after = *in.Since
	} else {
		head, err := s.store.ChainHead(ctx)
		if err != nil {
			return nil, err
		}
		after = head.Number - min(head.Number, uint64(limit))
	}
	list := []audit.Entry{}
	for link, err := range store.Links(ctx, s.store, after) {
		if err != nil {
			return nil, err
		}
		e, err := link.Entry()
		if err != nil {
			return nil, err
		}
		if list = append(list, e); len(list) == limit {
			break
		}
	}
	return list, nil
}

// ChainChecked is the progress of a verification of the audit chain.
type ChainChecked struct {
	Seal    audit.SignedCheckpoint `json:"seal,omitzero"`   // of the last entry that was archived before
	Entries uint64                 `json:"entries"`         // verified, from the first one or the seal on
	Hash    string                 `json:"hash,omitempty"`  // of the last of them
	Fault   string                 `json:"fault,omitempty"` // the first bad entry and its fault
	Done    bool                   `json:"done,omitempty"`
}

// VerifyAudit verifies the chain of the store from its first link, or its seal, to its
// head, and compares the directory with it. It calls report now and then, and at the end
// with Done set; a fault ends it.
func (s *Service) VerifyAudit(ctx context.Context, report func(ChainChecked)) error {
	seal, err := s.store.Seal(ctx)
	if err != nil {
		return err
	}
	chain := audit.VerifierAfter(seal.Head())
	progress := func() ChainChecked {
		head := chain.Head()
		return ChainChecked{Seal: seal, Entries: head.Number - seal.Number, Hash: hex.EncodeToString(head.Hash[:])}
	}
	end := func(fault string) error {
		last := progress()
		last.Fault, last.Done = fault, true
		report(last)
		return nil
	}
	d, head, err := s.directoryAtHead(ctx)
	if err != nil {
		return err
	}
	if seal.Number > 0 {
		if err := seal.Check(); err != nil {
			return end("the seal: " + err.Error())
		}
	}
	var recorded audit.Recorded
	for link, err := range store.Links(ctx, s.store, seal.Number) {
		if err != nil {
			return err
		}
		if err := chain.Next(link); err != nil {
			return end(err.Error())
		}
		if link.Number <= head.Number {
			e, err := link.Entry()
			if err != nil {
				return end(err.Error())
			}
			recorded.Add(&e)
		}
		if link.Number == head.Number && link.Hash != head.Hash {
			return end("the chain does not lead to the head that the store has noted")
		}
		if link.Number%10_000 == 0 {
			report(progress())
		}
	}
	if chain.Head().Number < head.Number {
		return end("the chain ends before the head that the store has noted")
	}
	if faults := recorded.Faults(d, seal.Number > 0); len(faults) > 0 {
		return end("directory: " + faults[0])
	}
	return end("")
}

// directoryAtHead is the directory together with the end of the chain at that time.
func (s *Service) directoryAtHead(ctx context.Context) (*exchange.Directory, audit.Head, error) {
	for {
		d, generation, err := s.store.Directory(ctx)
		if err != nil {
			return nil, audit.Head{}, err
		}
		head, err := s.store.ChainHead(ctx)
		if err != nil {
			return nil, audit.Head{}, err
		}
		if now, err := s.store.Generation(ctx); err != nil || now == generation {
			return d, head, err
		}
	}
}

// ExportAudit writes the chain for an organisation: the entries that concern it whole, the
// others as digests, so that the copy still verifies. NotFound if there is no such
// organisation, Conflict if the centre has no key.
func (s *Service) ExportAudit(ctx context.Context, org string, w io.Writer) error {
	if err := s.custody.Flush(ctx); err != nil {
		return err
	}
	policy, d, err := s.policy(ctx)
	if err != nil {
		return err
	}
	party, err := d.Organisation(org)
	if err != nil {
		return err
	}
	header, err := s.exportHeader(ctx, d, party.ID)
	if err != nil {
		return err
	}
	header.Exported = s.now()
	return audit.Export(w, header, store.Links(ctx, s.store, header.Seal.Number), func(e *audit.Entry) bool {
		return e.Act == audit.Checkpoint || e.Concerns(party.ID, policy.Member)
	})
}

// exportHeader begins the header of an export for a party; Conflict if the centre has no
// key.
func (s *Service) exportHeader(ctx context.Context, d *exchange.Directory, party string) (audit.Header, error) {
	key, err := centreKey(d)
	if err != nil {
		return audit.Header{}, err
	}
	seal, err := s.store.Seal(ctx)
	return audit.Header{Centre: d.Centre.ID, Namespace: d.Centre.Namespace, Party: party, Key: key, Seal: seal}, err
}
