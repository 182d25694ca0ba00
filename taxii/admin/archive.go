package admin

import (
	"context"
	"encoding/hex"
	"io"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// ArchiveAudit writes the entries of the audit record from the seal to the last
// checkpoint that was signed before a time, whole, as an export for the centre. They stay
// in the record until [Service.DropArchived]. Entries that an operation has not processed
// yet are not archived. Conflict if there is no such checkpoint, or the centre has no key.
func (s *Service) ArchiveAudit(ctx context.Context, before time.Time, w io.Writer) error {
	_, d, err := s.policy(ctx)
	if err != nil {
		return err
	}
	header, err := s.exportHeader(ctx, d, d.Centre.ID)
	if err != nil {
		return err
	}
	seal := header.Seal
	processed, err := s.runner.SavePositions(ctx)
	if err != nil {
		return err
	}
	var end audit.SignedCheckpoint
	for c, err := range s.checkpoints(ctx, seal.Number) {
		if err != nil {
			return err
		}
		if c.Number > processed || !c.Time.Before(before) {
			break
		}
		if c.Number > seal.Number {
			end = c
		}
	}
	if end.Number == 0 {
		return taxii.Errorf(taxii.Conflict, "there is nothing to archive: after entry %d no checkpoint was signed before %s; a server signs one when it starts, and then daily",
			seal.Number, taxii.FormatTime(before))
	}
	// A checkpoint that is older than an export must lie inside it, so the export has the
	// time of the checkpoint with which it ends.
	header.Exported = end.Time
	return audit.Export(w, header, func(yield func(audit.Link, error) bool) {
		for link, err := range store.Links(ctx, s.store, seal.Number) {
			if !yield(link, err) || link.Number == end.Number {
				return
			}
		}
	}, func(*audit.Entry) bool { return true })
}

// checkpoints are the checkpoints in the entries with numbers greater than after.
func (s *Service) checkpoints(ctx context.Context, after uint64) func(yield func(audit.SignedCheckpoint, error) bool) {
	return func(yield func(audit.SignedCheckpoint, error) bool) {
		for link, err := range store.Links(ctx, s.store, after) {
			var e audit.Entry
			if err == nil {
				e, err = link.Entry()
			}
			if err == nil && e.Act != audit.Checkpoint {
				continue
			}
			var c audit.SignedCheckpoint
			if err == nil {
				c, err = audit.ParseCheckpoint(e.Text)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// DropArchived names the entries of the audit record in a verified file of ArchiveAudit.
type DropArchived struct {
	After  uint64 // the entry before the first
	Number uint64 // the last entry
	Hash   string // of the chain at Number, hexadecimal
}

// DropArchived seals the record at the last of these entries and drops them, except for
// the deliveries that a recall needs. Conflict if the record does not begin after After
// or has no such entry, or if the entries are still needed.
func (s *Service) DropArchived(ctx context.Context, by Actor, in DropArchived) (seal audit.SignedCheckpoint, err error) {
	end := audit.Head{Number: in.Number}
	if hash, err := hex.DecodeString(in.Hash); err != nil || copy(end.Hash[:], hash) != len(hash) || len(hash) != len(end.Hash) {
		return seal, taxii.Errorf(taxii.Invalid, "%.80q is no SHA-256", in.Hash)
	}
	if seal, err = s.store.Seal(ctx); err != nil {
		return seal, err
	}
	if in.After != seal.Number {
		return seal, taxii.Errorf(taxii.Conflict, "the record begins after entry %d, these entries after entry %d", seal.Number, in.After)
	}
	if err := s.links.CatchUp(ctx); err != nil {
		return seal, err
	}
	processed, err := s.runner.SavePositions(ctx)
	if err != nil {
		return seal, err
	}
	if in.Number > processed {
		return seal, taxii.Errorf(taxii.Conflict, "an operation has taken in only what is up to entry %d", processed)
	}
	for c, err := range s.checkpoints(ctx, in.Number) {
		if err != nil {
			return seal, err
		}
		if c.Number >= in.Number {
			return s.custody.Archive(ctx, by.String(), end)
		}
	}
	return seal, taxii.Errorf(taxii.Conflict, "no checkpoint was signed of entry %d or a later one", in.Number)
}
