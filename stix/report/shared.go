package report

import (
	"cmp"
	"strings"

	"comity/stix"
)

// The objects that OASIS publishes (github.com/oasis-open/cti-stix-common-objects)
// are written byte for byte as published, since others have them under the same ids.
const (
	tlpExtension   = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
	papExtension   = "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b"
	definer        = "identity--b3bca3c2-1f3d-4b54-b44f-dac42c3a8f01" // the creator of both
	specifications = "https://github.com/oasis-open/cti-stix-common-objects/tree/master/extension-definition-specifications/"
)

// definerIdentity is the identity that the extension definitions name as their maker.
var definerIdentity = object{
	Type: "identity", Spec: "2.1", ID: definer, Creator: definer,
	Created: "2021-01-01T00:00:01.000Z", Modified: "2021-01-01T00:00:01.000Z", Markings: []stix.ID{stix.Clear.Marking()},
	Name:  "Cybersecurity and Infrastructure Security Agency",
	Class: "organization", Sectors: []string{"government-national"},
}

// papDefinitions have the id and the created time of the marking of each level.
var papDefinitions = map[stix.PAP]struct {
	id      stix.ID
	created string
}{
	stix.PAPClear: {"marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92", "2022-10-01T00:00:00.000Z"},
	stix.PAPGreen: {"marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9", "2022-10-09T00:00:00.000Z"},
	stix.PAPAmber: {"marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab", "2022-10-02T00:00:00.000Z"},
	stix.PAPRed:   {"marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e", "2022-10-06T00:00:00.000Z"},
}

// sharedObjects writes the objects to which all others refer: the marking definitions,
// the identity of the centre and the location of the country.
func (w *writer) sharedObjects() {
	w.write(definerIdentity)
	w.write(extensionDefinition(tlpExtension, "TLP 2.0", "2022-10-01T00:00:00.000Z", "tlp-2.0"))
	w.write(extensionDefinition(papExtension, "PAP", "2022-11-28T00:00:00.000Z", "pap"))
	for _, label := range []stix.TLP{stix.Clear, stix.Amber, stix.AmberStrict} {
		w.write(markingDefinition(label.Marking(), "TLP:"+strings.ToUpper(label.String()), "2022-10-01T00:00:00.000Z",
			tlpExtension, extension{Type: "property-extension", TLP: label.String()}))
	}
	w.write(markingDefinition(papDefinitions[w.PAP].id, "PAP:"+strings.ToUpper(w.PAP.String()), papDefinitions[w.PAP].created,
		papExtension, extension{Type: "property-extension", PAP: w.PAP.String()}))

	clear := []stix.ID{stix.Clear.Marking()}
	since := cmp.Or(stamp(w.Centre.Since), w.at)
	w.write(object{
		Type: "identity", Spec: "2.1", ID: w.centre, Creator: w.centre, Created: since, Modified: cmp.Or(stamp(w.Centre.Renamed), since), Markings: clear,
		Name: cmp.Or(w.Centre.Name, w.Centre.Slug), Class: "organization", Contact: w.Centre.Contact,
	})
	location := w.complete(object{Type: "location", Name: CountryName(w.Country), Country: w.Country}, w.Country, stix.Clear)
	location.Markings = clear
	w.location = w.write(location)
}

func extensionDefinition(id stix.ID, name, created, schema string) object {
	return object{
		Type: "extension-definition", Spec: "2.1", ID: id, Creator: definer, Created: created, Modified: created,
		Name: name, Description: "This defines " + name + " as a STIX extension",
		Schema: specifications + schema, Version: "1.0.0", ExtensionTypes: []string{"property-extension"},
	}
}

func markingDefinition(id stix.ID, name, created string, by stix.ID, level extension) object {
	return object{
		Type: "marking-definition", Spec: "2.1", ID: id, Created: created, Name: name,
		Extensions: map[stix.ID]extension{by: level},
	}
}
