package server_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"comity/taxii"
)

type discovery = taxii.Discovery

func TestDiscoveryNamesTheRootByItsPublicURL(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.Contact = "desk@igci.example" })
	for _, account := range []string{"vendor/feed", "stranger/lone"} {
		c := w.as(account)
		d := decode[discovery](c.get("/taxii2/").want(200))
		if d.Title == "" || d.Contact != "desk@igci.example" {
			t.Errorf("%+v", d)
		}
		if len(d.APIRoots) != 1 || !slices.Contains(d.APIRoots, d.Default) {
			t.Fatalf("default %q, api_roots %q", d.Default, d.APIRoots)
		}
		u, err := url.Parse(d.Default)
		if err != nil || !u.IsAbs() || u.RawQuery != "" || !strings.HasSuffix(u.Path, "/") || !strings.HasPrefix(d.Default, w.config.PublicURL) {
			t.Errorf("API root %q", d.Default)
		}
		if last := strings.Trim(u.Path, "/"); last == "" || strings.ContainsAny(last, "./,") {
			t.Errorf("last segment %q", last)
		}
		c.get(u.Path).want(200)
	}
}

// The host that a request names never gets into discovery. One that is not ours is warned
// of: a wrong public URL sends clients elsewhere with their credentials.
func TestDiscoveryOfAnotherHostIsWarnedOfOnce(t *testing.T) {
	w := newWorld(t, func(w *world) { w.level = slog.LevelWarn })
	c := w.as("vendor/feed")
	c.get("/taxii2/").want(200)
	for range 3 {
		l := w.dial()
		fmt.Fprintf(l, "GET /taxii2/ HTTP/1.1\r\nHost: taxii.example:8443\r\nX-Forwarded-Host: taxii.example\r\nAuthorization: Bearer %s\r\n\r\n", c.token)
		if a := l.answer().want(200); strings.Contains(string(a.body), "taxii.example") {
			t.Errorf("%s", a)
		}
	}
	w.close()
	if log := w.log.String(); strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "asked=taxii.example:8443") {
		t.Errorf("logged: %s", log)
	}
}

func TestAPIRootHasWhatIsRequired(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.MaxContentLength = 12_345 })
	a := w.as("stranger/lone").get("/igci/").want(200)
	root := decode[taxii.APIRoot](a)
	if root.Title == "" || !slices.Contains(root.Versions, "application/taxii+json;version=2.1") || root.MaxContentLength != 12_345 {
		t.Errorf("%+v", root)
	}
	for _, version := range root.Versions {
		if !strings.Contains(version, "version=") {
			t.Errorf("version %q", version)
		}
	}
	w.as("vendor/feed").get("/another/").refused(404)
	w.as("vendor/feed").get("/taxii2/collections/").refused(404)
}

var propertyName = regexp.MustCompile(`^[a-z0-9_]{3,250}$`)

func TestPropertyNamesAreThoseOfTAXII(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	c := w.collection("sharing.reports")
	status := vendor.push(c, indicator(1, 0))
	var check func(path string, value any)
	check = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, member := range v {
				// An object of STIX has id, and that is all that is shorter.
				if !propertyName.MatchString(name) && name != "id" {
					t.Errorf("%s: property %q", path, name)
				}
				check(path, member)
			}
		case []any:
			for _, element := range v {
				check(path, element)
			}
		}
	}
	for _, path := range append(endpoints(w, status.ID), "/igci/x-handling/", c+"nothing/") {
		var v any
		if err := json.Unmarshal(vendor.get(path).body, &v); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		check(path, v)
	}
}
