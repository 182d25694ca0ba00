package server_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"comity/taxii"
)

func TestWithoutACollectionTheListIsEmptyBraces(t *testing.T) {
	w := newWorld(t)
	if a := w.as("stranger/lone").get("/igci/collections/").want(200); string(a.body) != "{}" {
		t.Errorf("%s", a.body)
	}
}

func TestCollectionResources(t *testing.T) {
	w := newWorld(t)
	c := w.as("igci/desk")
	list := c.get("/igci/collections/").want(200)
	resources := decode[taxii.Collections](list).Collections
	aliases, titles := map[string]bool{}, map[string]bool{}
	for _, r := range resources {
		if u, err := uuid.Parse(r.ID); err != nil || u.Version() != 4 || u.Variant() != uuid.RFC4122 || u.String() != r.ID {
			t.Errorf("id %q is no UUIDv4", r.ID)
		}
		if r.Title == "" || strings.ContainsAny(r.Title, ".,") || titles[strings.ToLower(r.Title)] {
			t.Errorf("title %q", r.Title)
		}
		if r.Alias == "" || aliases[r.Alias] {
			t.Errorf("alias %q", r.Alias)
		}
		aliases[r.Alias], titles[strings.ToLower(r.Title)] = true, true
		want := []string{"application/stix+json;version=2.1"}
		if r.Alias == "sharing.reports" {
			want = []string{"application/stix+json;version=2.0", "application/stix+json;version=2.1"}
		}
		if !slices.Equal(r.MediaTypes, want) {
			t.Errorf("%s: media types %q", r.Alias, r.MediaTypes)
		}
		for _, name := range []string{r.ID, r.Alias} {
			if got := decode[taxii.Collection](c.get("/igci/collections/" + name + "/").want(200)); got.ID != r.ID || got.Title != r.Title || got.CanRead != r.CanRead || got.CanWrite != r.CanWrite || got.Alias != r.Alias {
				t.Errorf("%+v, in the list %+v", got, r)
			}
		}
	}
	var raw struct{ Collections []map[string]json.RawMessage }
	if err := json.Unmarshal(list.body, &raw); err != nil {
		t.Fatal(err)
	}
	for _, members := range raw.Collections {
		for _, flag := range []string{"can_read", "can_write"} {
			if v := string(members[flag]); v != "true" && v != "false" {
				t.Errorf("%s is %s", flag, v)
			}
		}
	}
}

func TestCollectionsComeById(t *testing.T) {
	w := newWorld(t)
	c := w.as("igci/desk")
	first := c.get("/igci/collections/").want(200)
	var ids []string
	for _, r := range decode[taxii.Collections](first).Collections {
		ids = append(ids, r.ID)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("%q", ids)
	}
	for range 4 {
		if again := c.get("/igci/collections/"); !bytes.Equal(again.body, first.body) {
			t.Errorf("%s\nthen\n%s", first.body, again.body)
		}
	}
	w.restart()
	if again := w.as("igci/desk").get("/igci/collections/"); !bytes.Equal(again.body, first.body) {
		t.Errorf("after a restart:\n%s\nthen\n%s", first.body, again.body)
	}
}

func TestCollectionListHasNeitherPagesNorFilters(t *testing.T) {
	w := newWorld(t)
	c := w.as("igci/desk")
	whole := c.get("/igci/collections/").want(200)
	for _, query := range []string{"limit=1", "limit=0", "added_after=2100-01-01T00:00:00Z", "match[id]=x", "next=AAAA"} {
		if a := c.get("/igci/collections/?" + query).want(200); !bytes.Equal(a.body, whole.body) {
			t.Errorf("%s", a)
		}
	}
}

func TestAliasWorksInEveryURL(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	byID, byAlias := w.collection("sharing.reports"), "/igci/collections/sharing.reports/"
	vendor.push(byAlias, indicator(1, 0))
	for _, path := range []string{"", "objects/", "manifest/", "objects/" + id("indicator", 1) + "/", "objects/" + id("indicator", 1) + "/versions/"} {
		if got, want := vendor.get(byAlias+path).want(200), vendor.get(byID+path).want(200); !bytes.Equal(got.body, want.body) {
			t.Errorf("%s\n%s", got, want)
		}
	}
	vendor.delete(byAlias + "objects/" + id("indicator", 1) + "/").want(200)
	vendor.get(byID + "objects/" + id("indicator", 1) + "/").refused(404)
}

func TestUnknownCollectionsAre404(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	for _, name := range []string{
		"8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b", "x", "%00", "..", ".", "%2e%2e%2f", strings.Repeat("a", 5000), "sharing", "sharing.reports.vendor", "%ff", "%27%20OR%201=1",
		strings.ToUpper(strings.Split(w.collection("sharing.reports"), "/")[3]) + "0",
	} {
		c := "/igci/collections/" + name + "/"
		for _, path := range []string{c, c + "objects/", c + "manifest/", c + "objects/" + id("indicator", 1) + "/", c + "objects/" + id("indicator", 1) + "/versions/"} {
			vendor.get(path).refused(404)
		}
		vendor.do("POST", c+"objects/", envelopeOf(indicator(1, 0))).refused(404)
		vendor.delete(c + "objects/" + id("indicator", 1) + "/").refused(404)
	}
}
