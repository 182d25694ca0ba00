package audit

import (
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/taxii/exchange"
)

// SubjectOf is the subject of an entry that adds or changes a record of the directory.
// name is its kind and id, such as "account/org/name", and record its JSON. If it is
// removed, record is nil and the subject has no digest.
func SubjectOf(name string, record []byte) (Subject, error) {
	if record == nil {
		return Subject{ID: name}, nil
	}
	canonical := jsontext.Value(slices.Clone(record))
	if err := canonical.Canonicalize(); err != nil {
		return Subject{}, fmt.Errorf("audit: digest of %s: %w", name, err)
	}
	sum := sha256.Sum256(canonical)
	return Subject{ID: name, Digest: hex.EncodeToString(sum[:])}, nil
}

// Recorded is what the entries of a chain say of a directory: the digests of the texts of
// its agreements, and the last digest of each of its records.
type Recorded struct {
	texts   map[string]bool
	records map[string]string // by the ID of SubjectOf
}

// Add adds one entry. Entries must be added in the order of the chain.
func (r *Recorded) Add(e *Entry) {
	if r.texts == nil {
		r.texts, r.records = map[string]bool{}, map[string]string{}
	}
	if e.Agreement != "" && e.Digest != "" {
		r.texts[e.Digest] = true
	}
	for _, s := range e.Subjects {
		if (e.Act == Directory || e.Act == Agreement) && strings.Contains(s.ID, "/") {
			r.records[s.ID] = s.Digest
		}
	}
}

// Faults describes the differences between a directory and the entries: it was changed
// outside of the server. A record that no entry names is none, since earlier versions did
// not name it; nor is the text of an agreement, if incomplete says that entries of the
// chain were not added.
func (r *Recorded) Faults(d *exchange.Directory, incomplete bool) (faults []string) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, id := range slices.Sorted(maps.Keys(d.Agreements)) {
		for _, v := range d.Agreements[id].Versions {
			alone := &exchange.Directory{Agreements: map[string]*exchange.Deposit{id: {ID: id, Versions: []exchange.Version{v}}}}
			if _, err := exchange.NewPolicy(alone); err != nil {
				add("%v", err)
			} else if !r.texts[v.Digest] && !incomplete {
				add("the audit record does not know the text of agreement %s in %s", id, v.File)
			}
		}
	}
	there := map[string]any{}
	collect(there, "organisation/", d.Organisations)
	collect(there, "account/", d.Accounts)
	collect(there, "token/", d.Tokens)
	collect(there, "agreement/", d.Agreements)
	collect(there, "feed/", d.Feeds)
	collect(there, "link/", d.Links)
	collect(there, "shut/", d.Shut)
	for _, name := range slices.Sorted(maps.Keys(r.records)) {
		digest, shown := "", strings.Replace(name, "/", " ", 1)
		if record, ok := there[name]; ok {
			text, err := stdjson.Marshal(record)
			if err == nil {
				var s Subject
				s, err = SubjectOf(name, text)
				digest = s.Digest
			}
			if err != nil {
				add("%s: %v", shown, err)
				continue
			}
		}
		switch {
		case digest == r.records[name]:
		case digest == "":
			add("%s is missing, but the audit record has it", shown)
		default:
			add("%s is not as the audit record says: it was changed outside of comity", shown)
		}
	}
	return faults
}

func collect[T any](into map[string]any, kind string, records map[string]T) {
	for id, record := range records {
		into[kind+id] = record
	}
}
