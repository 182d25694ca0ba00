package demo_test

import (
	"bytes"
	"encoding/csv"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/validate"
	"comity/taxii/demo"
)

// Every push stands on its own: valid, complete, each id once, indicators last,
// no more objects than asked for.
func TestPushes(t *testing.T) {
	const most = 100
	s := scenario(t, "small")
	sent := map[string]int{}
	check := func(p demo.Push) {
		sent[p.Org]++
		if len(p.Objects) > most {
			t.Errorf("%s: %d objects in a push", p.Org, len(p.Objects))
		}
		ids, indicators := map[stix.ID]bool{}, false
		for _, o := range p.Objects {
			if ids[o.ID] {
				t.Errorf("%s: %s twice in a push", p.Org, o.ID)
			}
			ids[o.ID] = true
			if found := validate.Object(o.Raw, validate.Policy{}).Errors(); found != nil {
				t.Fatalf("%s: %v\n%s", p.Org, found, o.Raw)
			}
			if indicators && o.Type != "indicator" {
				t.Errorf("%s: %s after an indicator", p.Org, o.ID)
			}
			indicators = o.Type == "indicator"
		}
		for _, o := range p.Objects {
			o.References(func(property string, id stix.ID) {
				if property != "created_by_ref" && !ids[id] {
					t.Errorf("%s: %s of %s refers to nothing in the push", p.Org, property, o.ID)
				}
			})
		}
		decoder := stix.NewDecoder(bytes.NewReader(p.Envelope()))
		for range p.Objects {
			if _, err := decoder.Next(); err != nil {
				t.Fatalf("%s: the envelope: %v", p.Org, err)
			}
		}
	}
	for _, vendor := range demo.Vendors() {
		for p := range s.Pushes(vendor, most) {
			check(p)
		}
	}
	for _, c := range s.Countries {
		for p := range s.IssuePushes("ncb-"+strings.ToLower(c.Code), most) {
			check(p)
		}
	}
	equal(t, "organisations that push", len(sent), len(demo.Vendors())+len(s.Countries))
}

// Every object of the whole scenario is valid, and what records share is the
// same bytes, or the second push of it would be a conflict.
func TestObjects(t *testing.T) {
	s := scenario(t, "asean")
	seen := map[stix.ID][]byte{}
	for r := range s.All("") {
		for _, o := range r.Objects() {
			if before, ok := seen[o.ID]; ok && !bytes.Equal(before, o.Raw) {
				t.Fatalf("%s has two contents:\n%s\n%s", o.ID, before, o.Raw)
			}
			if seen[o.ID] == nil {
				if found := validate.Object(o.Raw, validate.Policy{}).Errors(); found != nil {
					t.Fatalf("%v\n%s", found, o.Raw)
				}
			}
			seen[o.ID] = o.Raw
		}
	}
}

// A relay is the origin's record, byte for byte.
func TestRelayIsUnchanged(t *testing.T) {
	s := scenario(t, "small")
	relays := 0
	for i, r := range s.Records {
		if r.Kind != demo.Relay {
			continue
		}
		relays++
		made := slices.IndexFunc(s.Records[:i], func(m demo.Record) bool { return m.Kind == demo.Plain && m.Key == r.Key })
		original, copied := s.Records[made].Objects(), r.Objects()
		equal(t, "objects", len(copied), len(original))
		for n := range copied {
			equal(t, "object", string(copied[n].Raw), string(original[n].Raw))
		}
		if last := copied[len(copied)-1]; last.Creator != demo.Identity(r.Origin) || r.Origin == r.Vendor {
			t.Errorf("%s relays its own %s", r.Vendor, last.ID)
		}
	}
	if relays == 0 {
		t.Error("small has no relay")
	}
}

// The reference table places every server in its own country.
func TestGeo(t *testing.T) {
	for _, name := range demo.Presets() {
		s := scenario(t, name)
		rows, err := csv.NewReader(strings.NewReader(s.Geo())).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var all []netip.Prefix
		country := map[netip.Prefix]string{}
		for _, row := range rows[1:] {
			p := netip.MustParsePrefix(row[0])
			equal(t, "masked", p.String(), p.Masked().String())
			all, country[p] = append(all, p), row[1]
		}
		for i, p := range all {
			if slices.ContainsFunc(all[i+1:], p.Overlaps) {
				t.Errorf("%s: %v overlaps another network", name, p)
			}
		}
		place := func(addr netip.Addr) string {
			at := slices.IndexFunc(all, func(p netip.Prefix) bool { return p.Contains(addr) })
			return country[all[at]]
		}
		for i := 0; i < len(s.Servers); i += 97 {
			v := &s.Servers[i]
			equal(t, v.V4.String(), place(v.V4), v.Country)
			equal(t, v.V6.String(), place(v.V6), v.Country)
		}
	}
	if geo := scenario(t, "asean").Geo(); !strings.Contains(geo, "198.18.16.0/20,ID\n2001:db8:2::/48,ID\n") {
		t.Errorf("the table of the laboratory is another:\n%s", geo)
	}
}

func TestWarningList(t *testing.T) {
	lines := strings.Fields(scenario(t, "asean").WarningList())
	equal(t, "warning list", []any{len(lines), lines[0], lines[11]}, []any{12, "198.19.255.1", "198.19.255.12"})
}
