package feed

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"comity/stix"
)

// writeBundle writes the indicators of the entries as they came, each once, in a STIX
// bundle. Without any, the bundle has no objects (STIX 2.1 §8).
func writeBundle(w *writing) error {
	if w.Object == nil {
		return errors.New("a bundle needs the objects")
	}
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(w.URL+" "+timestamp(w.Version)))
	b := fmt.Appendf(nil, `{"type":"bundle","id":"bundle--%s"`, id)
	written := map[stix.Key]bool{}
	for e := range w.entries {
		if !w.Kinds.Has(e.Kind) {
			continue
		}
		w.Entries++
		for _, id := range e.IDs {
			key := id.Key()
			if written[key] {
				continue
			}
			raw, ok := w.Object(id)
			if !ok {
				continue
			}
			if written[key] = true; len(written) == 1 {
				b = append(b, `,"objects":[`...)
			} else {
				b = append(b, ',')
			}
			if b = append(append(b, '\n'), raw...); len(b) >= flushAt {
				if _, err := w.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
	}
	if len(written) > 0 {
		b = append(b, "\n]"...)
	}
	_, err := w.Write(append(b, "}\n"...))
	return err
}
