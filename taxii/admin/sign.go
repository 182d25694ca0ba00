package admin

import (
	"context"
	"slices"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// SignAgreement brings a signature that a party made on a machine of its own: the signed file
// of a deposited version, or the [[signature]] block alone.
type SignAgreement struct {
	ID      string
	Version int64 // that waits for the signature
	Signed  string
}

// maxSigner bounds the name of the person who signs, in bytes: every other party gets the file
// with it.
const maxSigner = 200

// SignAgreement adds one signature of the organisation of the actor. NotFound if there is no
// such version, or the actor's organisation is no party of it; Invalid if the file has another
// text or no valid signature of the organisation; Conflict if it has signed already.
func (s *Service) SignAgreement(ctx context.Context, by Actor, in SignAgreement) error {
	return s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		l, err := newLoader(d, by, s.now(), "")
		if err != nil {
			return nil, err
		}
		org, h := by.org(d), l.histories[in.ID]
		if h == nil {
			return nil, taxii.Errorf(taxii.NotFound, "there is no agreement %s", in.ID)
		}
		n := slices.IndexFunc(h.texts, func(t *agreement.Agreement) bool {
			return t.Version == in.Version && slices.Contains(h.waiting(), t) && slices.ContainsFunc(t.Parties, func(p agreement.Party) bool { return p.Org == org })
		})
		if n < 0 {
			return nil, taxii.Errorf(taxii.NotFound, "no version %d of agreement %s waits for a signature of %s", in.Version, in.ID, org)
		}
		if slices.Contains(h.texts[n].SignedBy(keysIn(d)), org) {
			return nil, taxii.Errorf(taxii.Conflict, "%s has signed version %d already", org, in.Version)
		}
		file := h.Versions[n].File
		signed, problems := agreement.Parse(file, []byte(in.Signed))
		if problems.Err() != nil {
			signed, problems = agreement.Parse(file, []byte(h.Versions[n].Source+"\n"+in.Signed))
		}
		if err := problems.Err(); err != nil {
			return nil, taxii.Errorf(taxii.Invalid, "this is neither the signed file nor a [[signature]] block")
		}
		if signed.Digest() != h.Versions[n].Digest {
			return nil, taxii.Errorf(taxii.Invalid, "the file has another text than version %d: download that and sign it", in.Version)
		}
		all := signed.Signatures
		own := slices.IndexFunc(all, func(s agreement.Signature) bool {
			signed.Signatures = []agreement.Signature{s}
			return s.Org == org && len(signed.SignedBy(keysIn(d))) > 0
		})
		if own < 0 {
			return nil, taxii.Errorf(taxii.Invalid, "there is no signature of %s with its registered key over this text", org)
		}
		if len(all[own].By) > maxSigner {
			return nil, taxii.Errorf(taxii.Invalid, "the name of the person who signs has at most %d bytes", maxSigner)
		}
		if err := l.deposit(signed, in.Signed); err != nil {
			return nil, err
		}
		return l.entries, l.check([]*agreement.Agreement{signed})
	})
}
