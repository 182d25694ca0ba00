package report

import (
	"cmp"
	"maps"
	"slices"

	"comity/stix"
)

// Objects are all objects of the country's collection, created and modified at r.At.
// Every object to which another refers is among them, and stands before it. The same
// release gives the same bytes. [Revise] tells which of them are new to a collection.
//
// Observables and marking definitions carry no marking. Everything else carries one of
// TLP, and the objects of findings and reports carry one of PAP too.
func (r *Release) Objects() []stix.Object {
	w := writer{Release: r, at: stamp(r.At), written: map[stix.ID]bool{}}
	w.centre = cmp.Or(r.Centre.Identity, w.id("identity", r.Centre.Slug))
	w.sharedObjects()
	w.families()
	for i := range r.Findings {
		w.finding(&r.Findings[i])
	}
	for i := range r.Reports {
		w.plannedReport(&r.Reports[i])
	}
	return w.objects
}

// writer gathers the objects of one release.
type writer struct {
	*Release
	at       string // Release.At
	centre   stix.ID
	location stix.ID
	objects  []stix.Object
	written  map[stix.ID]bool
}

func (w *writer) id(typ, key string) stix.ID { return ID(w.Namespace, w.Operation, typ, key) }

// write writes o, unless an object with its id is written already.
func (w *writer) write(o object) stix.ID {
	if !w.written[o.ID] {
		w.written[o.ID] = true
		w.objects = append(w.objects, o.view())
	}
	return o.ID
}

// complete adds the common properties of an object that the centre makes: its id by
// key, its times and its markings.
func (w *writer) complete(o object, key string, label stix.TLP) object {
	o.Spec, o.ID, o.Creator, o.Created, o.Modified = "2.1", w.id(o.Type, key), w.centre, w.at, w.at
	o.Markings = []stix.ID{label.Marking(), papDefinitions[w.PAP].id}
	return o
}

func (w *writer) add(o object, key string, label stix.TLP) stix.ID {
	return w.write(w.complete(o, key, label))
}

// relate writes a relationship. Its description is empty but for located-at.
func (w *writer) relate(from stix.ID, kind string, to stix.ID, label stix.TLP, description string) {
	o := object{Type: "relationship", Relation: kind, Source: from, Target: to, Description: description}
	w.add(o, string(from)+"|"+kind+"|"+string(to), label)
}

// families writes the malware that findings name. A family that only strict findings
// name is TLP:AMBER+STRICT.
func (w *writer) families() {
	label := map[string]stix.TLP{}
	for i := range w.Findings {
		for _, family := range w.Findings[i].Families {
			if at, named := label[family]; !named || w.Findings[i].label() < at {
				label[family] = w.Findings[i].label()
			}
		}
	}
	for _, family := range slices.Sorted(maps.Keys(label)) {
		w.add(object{Type: "malware", Name: family, IsFamily: true}, family, label[family])
	}
}
