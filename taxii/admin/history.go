package admin

import (
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// history is an agreement with the texts of all its versions.
type history struct {
	*exchange.Deposit
	texts []*agreement.Agreement // of each version
}

// readHistory parses all versions of a deposit; Internal if one can no longer be parsed.
func readHistory(deposit *exchange.Deposit) (*history, error) {
	h := &history{Deposit: deposit}
	for _, v := range deposit.Versions {
		text, problems := agreement.Parse(v.File, []byte(v.Source))
		if err := problems.Err(); err != nil {
			return nil, &taxii.Error{Code: taxii.Internal, Msg: "agreement " + deposit.ID + " cannot be read", Err: err}
		}
		h.texts = append(h.texts, text)
	}
	return h, nil
}

// lastSigned is the index of the last version that is signed, -1 while none is.
func (h *history) lastSigned() int {
	for n := len(h.Versions) - 1; n >= 0; n-- {
		if h.Versions[n].Signed != nil {
			return n
		}
	}
	return -1
}

// current is the text of the last version that is signed, or of the last version while
// none is; nil if there is no version.
func (h *history) current() *agreement.Agreement {
	n := h.lastSigned()
	if n < 0 {
		n = len(h.texts) - 1
	}
	if n < 0 {
		return nil
	}
	return h.texts[n]
}

// waiting are the unsigned texts that signatures can still bring into force: those that
// amend the last version that is signed.
func (h *history) waiting() (texts []*agreement.Agreement) {
	n := h.lastSigned()
	for i, text := range h.texts {
		if h.Versions[i].Signed == nil && (n < 0 || text.Replaces == h.Versions[n].Digest) {
			texts = append(texts, text)
		}
	}
	return texts
}

// latest is the last text that waits for signatures, or the current one if none does.
func (h *history) latest() *agreement.Agreement {
	if texts := h.waiting(); len(texts) > 0 {
		return texts[len(texts)-1]
	}
	return h.current()
}

// keysIn finds the registered key of an organisation, "" if there is none.
func keysIn(d *exchange.Directory) func(org string) string {
	return func(org string) string {
		if o := d.Organisations[org]; o != nil {
			return o.Key
		}
		return ""
	}
}

// missing are the parties that have not signed, in the order of the text.
func missing(text *agreement.Agreement, d *exchange.Directory) (orgs []string) {
	signed := map[string]bool{}
	for _, org := range text.SignedBy(keysIn(d)) {
		signed[org] = true
	}
	for _, p := range text.Parties {
		if !signed[p.Org] {
			orgs = append(orgs, p.Org)
		}
	}
	return orgs
}
