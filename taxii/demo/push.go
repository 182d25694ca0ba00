package demo

import (
	"iter"

	"comity/stix"
)

// Push is the objects that an organisation sends in one request.
type Push struct {
	Org     string // its slug
	Objects []stix.Object
}

// Envelope is the push as a TAXII envelope (TAXII 2.1 §3.7).
func (p *Push) Envelope() []byte {
	b := []byte(`{"objects":[`)
	for i := range p.Objects {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.Objects[i].Raw...)
	}
	return append(b, "]}"...)
}

// Pushes are the pushes of a vendor, of at most n objects each. The objects of one
// record, about a dozen, are always in the same push. Every object to which another
// refers is in the same push. An object is in a push only once, and indicators come
// after all others.
func (s *Scenario) Pushes(vendor string, n int) iter.Seq[Push] {
	return packed(vendor, n, func(yield func([]stix.Object) bool) {
		for r := range s.All(vendor) {
			if !yield(r.Objects()) {
				return
			}
		}
	})
}

// IssuePushes are the issues that a bureau such as ncb-kh flagged, in pushes like those
// of [Scenario.Pushes].
func (s *Scenario) IssuePushes(bureau string, n int) iter.Seq[Push] {
	return packed(bureau, n, func(yield func([]stix.Object) bool) {
		for i := range s.Issues {
			if s.Issues[i].Bureau() == bureau && !yield(s.Issues[i].Objects()) {
				return
			}
		}
	})
}

// packed fills pushes with units of objects.
func packed(org string, n int, units iter.Seq[[]stix.Object]) iter.Seq[Push] {
	return func(yield func(Push) bool) {
		var others, indicators []stix.Object
		in := map[stix.ID]bool{}
		send := func() bool {
			p := Push{org, append(others, indicators...)}
			others, indicators = nil, nil
			clear(in)
			return len(p.Objects) == 0 || yield(p)
		}
		for unit := range units {
			fresh := 0
			for i := range unit {
				if !in[unit[i].ID] {
					fresh++
				}
			}
			if len(in)+fresh > n && !send() {
				return
			}
			for _, o := range unit {
				switch {
				case in[o.ID]:
					continue
				case o.Type == "indicator":
					indicators = append(indicators, o)
				default:
					others = append(others, o)
				}
				in[o.ID] = true
			}
		}
		send()
	}
}
