package link

import (
	"context"
	"encoding/json"
	"fmt"

	"comity/taxii/audit"
	"comity/taxii/follow"
)

// origin is a range of records of a collection, between which there are no others, and who
// brought them.
type origin struct {
	source
	span
}

// source is who brought records to a collection, as their audit entries say.
type source struct {
	Collection string `json:"collection"` // id
	Link       string `json:"link,omitempty"`
	Remote     string `json:"remote,omitempty"`
	Account    string `json:"account"`
}

func sourceOf(e *audit.Entry) source { return source{e.Collection, e.Link, e.Remote, e.Account} }

// origins tell where the records of all collections came from, so that a link learns it after
// their audit entries were archived. The store keeps them as a document.
type origins struct {
	Audited uint64   `json:"audited"` // number of the last audit entry that was read
	Origins []origin `json:"origins"`
}

const originsDocument = "links/origins"

// maxOrigins is how many ranges are kept, of all collections. A link that is added later sends
// records of older ranges back to the server that they came from, which has them.
const maxOrigins = 10_000

func decodeOrigins(text []byte) (known origins, err error) {
	if text != nil {
		if err := json.Unmarshal(text, &known); err != nil {
			return known, fmt.Errorf("origins of the records: %w", err)
		}
	}
	return known, nil
}

// origins are those of the records whose audit entries may be archived by now.
func (s *Service) origins(ctx context.Context) (origins, error) {
	text, err := s.store.Document(ctx, originsDocument)
	if err != nil {
		return origins{}, err
	}
	return decodeOrigins(text)
}

// saveOrigins reads the audit record, which is about to be archived, for the origins in it.
func (s *Service) saveOrigins(ctx context.Context) error {
	known, err := s.origins(ctx)
	if err != nil {
		return err
	}
	last := map[string]int{} // by collection: index of its last range
	for i, o := range known.Origins {
		last[o.Collection] = i
	}
	chain := follow.New(s.store, known.Audited)
	if err := chain.CatchUp(ctx, func(_ context.Context, entries []audit.Entry) error {
		for i := range entries {
			e := &entries[i]
			if e.Act != audit.Submission || e.From == nil {
				continue
			}
			if n, ok := last[e.Collection]; ok && known.Origins[n].source == sourceOf(e) {
				known.Origins[n].To = *e.To
				continue
			}
			last[e.Collection] = len(known.Origins)
			known.Origins = append(known.Origins, origin{sourceOf(e), span{*e.From, *e.To}})
		}
		return nil
	}); err != nil {
		return err
	}
	known.Audited = chain.Position()
	known.Origins = known.Origins[max(len(known.Origins)-maxOrigins, 0):]
	return s.store.AmendDocument(ctx, originsDocument, func(old []byte) ([]byte, []audit.Entry, error) {
		if saved, err := decodeOrigins(old); err != nil || saved.Audited >= known.Audited { // by another command
			return old, nil, err
		}
		text, err := json.Marshal(known)
		return text, nil, err
	})
}
