package server_test

import (
	"slices"
	"strings"
	"testing"

	"comity/taxii"
)

type manifestRecord = taxii.ManifestRecord

func TestManifestHasOneRecordAVersion(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	spelled := strings.Replace(old(3, 5), stamp(5), "2020-01-01T00:00:05.0000Z", 1)
	vendor.push(c, indicator(1, 0), indicator(1, 2), indicator(1, 1), old(2, 0), spelled)
	got := vendor.manifest(c, "match[version]=all")
	want := []manifestRecord{
		{ID: id("indicator", 1), Version: stamp(0), MediaType: "application/stix+json;version=2.1"},
		{ID: id("indicator", 1), Version: stamp(2), MediaType: "application/stix+json;version=2.1"},
		{ID: id("indicator", 1), Version: stamp(1), MediaType: "application/stix+json;version=2.1"},
		{ID: id("indicator", 2), Version: stamp(0), MediaType: "application/stix+json;version=2.0"},
		{ID: id("indicator", 3), Version: "2020-01-01T00:00:05.0000Z", MediaType: "application/stix+json;version=2.0"},
	}
	dates := map[string]bool{}
	for i := range got {
		if !timestamp.MatchString(got[i].DateAdded) || dates[got[i].DateAdded] {
			t.Errorf("date_added %q", got[i].DateAdded)
		}
		dates[got[i].DateAdded] = true
		got[i].DateAdded = ""
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	resource := decode[taxii.Collection](vendor.get(c))
	for _, record := range got {
		if !slices.Contains(resource.MediaTypes, record.MediaType) {
			t.Errorf("%s is none of the collection's %q", record.MediaType, resource.MediaTypes)
		}
	}
}

// A manifest page and a page of objects asked alike speak of the same entries.
func TestManifestPagesAreThoseOfObjects(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), old(1, 1), indicator(2, 0), address(1), indicator(1, 2), indicator(2, 1), statement(1))
	for _, query := range []string{
		"", "limit=2", "limit=3&match[version]=all", "match[type]=indicator&limit=1", "match[spec_version]=2.0,2.1&match[version]=all&limit=2", "match[version]=first&limit=4",
	} {
		objects, records := vendor.walk(c+"objects/", query), vendor.walk(c+"manifest/", query)
		if len(objects) != len(records) {
			t.Errorf("%s: %d pages of objects, %d of the manifest", query, len(objects), len(records))
			continue
		}
		for i := range objects {
			if objects[i].first() != records[i].first() || objects[i].last() != records[i].last() || objects[i].envelope().Next != records[i].envelope().Next {
				t.Errorf("%s, page %d: %s to %s, and %s to %s", query, i, objects[i].first(), objects[i].last(), records[i].first(), records[i].last())
			}
		}
	}
}

func TestVersionsComeInTheOrderOfAdding(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 3), indicator(2, 0), indicator(1, 1), old(1, 4))
	vendor.push(c, indicator(1, 2))
	list := c + "objects/" + id("indicator", 1) + "/versions/"
	a := vendor.get(list).want(200)
	if got := a.envelope().Versions; !slices.Equal(got, []string{stamp(3), stamp(1), stamp(2)}) {
		t.Errorf("%q", got)
	}
	if got := vendor.get(list + "?match[spec_version]=2.0").want(200).envelope().Versions; !slices.Equal(got, []string{stamp(4)}) {
		t.Errorf("%q", got)
	}
	if got := vendor.get(list + "?match[spec_version]=2.0,2.1").want(200).envelope().Versions; !slices.Equal(got, []string{stamp(3), stamp(1), stamp(4), stamp(2)}) {
		t.Errorf("%q", got)
	}
	// match[version] is not for this endpoint.
	if got := vendor.get(list + "?match[version]=first").want(200).envelope().Versions; len(got) != 3 {
		t.Errorf("%q", got)
	}
	if got := vendor.get(list + "?added_after=" + a.first()).want(200).envelope().Versions; !slices.Equal(got, []string{stamp(1), stamp(2)}) {
		t.Errorf("%q", got)
	}
	var walked []string
	pages := vendor.walk(list, "limit=1")
	for _, page := range pages {
		walked = append(walked, page.envelope().Versions...)
		if page.first() == "" || page.first() != page.last() {
			t.Errorf("%s: %s to %s", page.request, page.first(), page.last())
		}
	}
	if len(pages) != 3 || !slices.Equal(walked, []string{stamp(3), stamp(1), stamp(2)}) {
		t.Errorf("%d pages: %q", len(pages), walked)
	}
	for _, query := range []string{"added_after=2100-01-01T00:00:00Z", "match[spec_version]=3.0"} {
		if a := vendor.get(list + "?" + query).want(200); string(a.body) != "{}" {
			t.Errorf("%s", a)
		}
	}
	vendor.get(c + "objects/" + id("indicator", 9) + "/versions/").refused(404)
}
