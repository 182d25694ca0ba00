package taxii

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Match is the match[...] part of a query (TAXII 2.1 §3.4.1). An object matches a list
// if it has one of its values, and has to match all fields. The zero value asks for the
// newest version of every object, in its newest specification version.
type Match struct {
	IDs      []string
	Types    []string
	Specs    []string // specification versions, such as "2.1"; nil: the newest of each object
	Versions Versioning
}

// Versioning is match[version]: the union of the versions that its fields select. The
// zero value means the newest version.
type Versioning struct {
	All, First, Last bool
	At               []time.Time
}

// IsLast tells whether only the newest version is asked for.
func (v Versioning) IsLast() bool { return !v.All && !v.First && len(v.At) == 0 }

// Filter holds the query parameters of a GET of a list (TAXII 2.1 §3.4).
type Filter struct {
	AddedAfter time.Time // exclusive; zero if absent
	Limit      int       // 0 if absent
	Match
}

// The fields of match[...] that an endpoint has. Others are ignored when
// reading, as the standard allows.
var (
	ListFields     = []string{"id", "type", "version", "spec_version"}
	ObjectFields   = []string{"version", "spec_version"}
	VersionsFields = []string{"spec_version"}
)

// ParseFilter reads a query string. fields are the match[...] fields of the endpoint.
// Parameters beside next override the query inside it, and the position is the later one
// of next and added_after (TAXII 2.1 §3.5). Of a next of another collection, only the
// query counts. A malformed value, or a parameter given twice, is Invalid.
func ParseFilter(query string, fields []string, collection [16]byte) (f Filter, err error) {
	values, err := parseQuery(query)
	if err != nil {
		return f, err
	}
	if next, ok := values["next"]; ok {
		c, err := ParseCursor(next)
		if err != nil {
			return f, err
		}
		if f.Match = c.Match; c.Collection == collectionPrefix(collection) {
			f.AddedAfter = c.After
		}
		if c.Long && !c.sameMatch(values, fields) {
			return f, Errorf(Invalid, "next: this query was too long to travel in next; repeat its match parameters beside it")
		}
	}
	if s, ok := values["added_after"]; ok {
		t, err := ParseTime(s)
		if err != nil {
			return f, Errorf(Invalid, "added_after: %s", err)
		}
		if t.After(f.AddedAfter) {
			f.AddedAfter = t
		}
	}
	if s, ok := values["limit"]; ok {
		if f.Limit, err = parseLimit(s); err != nil {
			return f, err
		}
	}
	return f, f.Match.parse(values, fields)
}

// ParseDelete reads the query of a DELETE (TAXII 2.1 §5.7): match[version] and
// match[spec_version]. Any other parameter is Invalid, since the client may have meant
// it to limit the deletion.
func ParseDelete(query string) (m Match, err error) {
	values, err := parseQuery(query)
	if err != nil {
		return m, err
	}
	for name := range values {
		if name != "match[version]" && name != "match[spec_version]" {
			return m, Errorf(Invalid, "%s: DELETE has only match[version] and match[spec_version]; nothing was deleted", name)
		}
	}
	m.Versions.All = values["match[version]"] == ""
	return m, m.parse(values, ObjectFields)
}

// parseQuery is a strict url.ParseQuery: a parameter that is silently ignored would
// return more objects than the client asked for.
func parseQuery(query string) (map[string]string, error) {
	if strings.Contains(query, ";") {
		return nil, Errorf(Invalid, "the query holds a semicolon; write %%3B")
	}
	parsed, err := url.ParseQuery(query)
	if err != nil {
		return nil, Errorf(Invalid, "the query is malformed")
	}
	values := make(map[string]string, len(parsed))
	for name, given := range parsed {
		known := name == "next" || name == "limit" || name == "added_after" || strings.HasPrefix(name, "match[")
		if known && len(given) > 1 {
			return nil, Errorf(Invalid, "%s is given twice", name)
		}
		if known && given[0] == "" {
			return nil, Errorf(Invalid, "%s is empty", name)
		}
		values[name] = given[0]
	}
	return values, nil
}

// parseLimit reads a count of at least 1. Counts above 1<<30 become 1<<30.
func parseLimit(s string) (int, error) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, Errorf(Invalid, "limit: %q is no whole number above 0", s)
		}
		n = min(n*10+int(s[i]-'0'), 1<<30)
	}
	if n == 0 {
		return 0, Errorf(Invalid, "limit: %q is no whole number above 0", s)
	}
	return n, nil
}

// parse overrides m by the fields that values hold.
func (m *Match) parse(values map[string]string, fields []string) error {
	for _, field := range fields {
		value, ok := values["match["+field+"]"]
		if !ok {
			continue
		}
		list := strings.Split(value, ",")
		if slices.Contains(list, "") {
			return Errorf(Invalid, "match[%s]: an element of the list is empty", field)
		}
		switch field {
		case "id":
			m.IDs = list
		case "type":
			m.Types = list
		case "spec_version":
			m.Specs = list
		case "version":
			v, err := ParseVersioning(list)
			if err != nil {
				return err
			}
			m.Versions = v
		}
	}
	return nil
}

// ParseVersioning reads the values of match[version]: first, last, all or a version
// (TAXII 2.1 §3.4.1). A malformed value, one given twice, or all beside another is Invalid.
func ParseVersioning(list []string) (v Versioning, err error) {
	for i, s := range list {
		twice := slices.Contains(list[:i], s)
		switch s {
		case "all":
			v.All = true
		case "first":
			v.First = true
		case "last":
			v.Last = true
		default:
			t, err := ParseTime(s)
			if err != nil {
				return v, Errorf(Invalid, "match[version]: %q is neither first, last, all nor a timestamp", s)
			}
			twice = slices.ContainsFunc(v.At, t.Equal)
			v.At = append(v.At, t)
		}
		if twice {
			return v, Errorf(Invalid, "match[version]: %s is given twice", s)
		}
	}
	if v.All && len(list) > 1 {
		return v, Errorf(Invalid, "match[version]: all stands alone")
	}
	return v, nil
}

// Values returns m as query parameters; the zero value has none.
func (m Match) Values() url.Values {
	v := url.Values{}
	set := func(field string, list []string) {
		if len(list) > 0 {
			v.Set("match["+field+"]", strings.Join(list, ","))
		}
	}
	set("id", m.IDs)
	set("type", m.Types)
	set("spec_version", m.Specs)
	var versions []string
	for name, on := range map[string]bool{"all": m.Versions.All, "first": m.Versions.First, "last": m.Versions.Last} {
		if on {
			versions = append(versions, name)
		}
	}
	slices.Sort(versions)
	for _, t := range m.Versions.At {
		versions = append(versions, t.Format(time.RFC3339Nano))
	}
	set("version", versions)
	return v
}
