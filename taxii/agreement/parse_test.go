package agreement_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comity/taxii/agreement"
)

const fixtures = "../../testdata/agreements/"

func text(t testing.TB, id string) string {
	t.Helper()
	src, err := os.ReadFile(fixtures + id + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// parse reads a text that must be in due form.
func parse(t testing.TB, src string) *agreement.Agreement {
	t.Helper()
	a, ps := agreement.Parse("test.toml", []byte(src))
	if err := ps.Err(); err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return a
}

// edit replaces the first old in src, which must be there.
func edit(t testing.TB, src, old, new string) string {
	t.Helper()
	if !strings.Contains(src, old) {
		t.Fatalf("the text to edit has no %q", old)
	}
	return strings.Replace(src, old, new, 1)
}

// lineOf is the line that the first mark in src is on.
func lineOf(t testing.TB, src, mark string) int {
	t.Helper()
	before, _, ok := strings.Cut(src, mark)
	if !ok {
		t.Fatalf("the text has no %q", mark)
	}
	return 1 + strings.Count(before, "\n")
}

func TestGoodFilesAreInDueForm(t *testing.T) {
	tests := []struct {
		id       string
		articles int
		warnings []string
	}{
		{"dea-2017-panw", 12, nil},
		{"charter-test", 4, nil},
		{"op-asean-demo", 6, []string{
			"op-asean-demo.toml:152: warning: article 5: deconfliction: not carried out by this version",
			"op-asean-demo.toml:167: warning: article 6: publish: not carried out by this version",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			a, ps := agreement.Parse(tt.id+".toml", []byte(text(t, tt.id)))
			if got := len(a.Articles); got != tt.articles {
				t.Errorf("%d articles, want %d", got, tt.articles)
			}
			var got []string
			for _, p := range ps {
				got = append(got, p.String())
			}
			if strings.Join(got, "\n") != strings.Join(tt.warnings, "\n") {
				t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.warnings, "\n"))
			}
		})
	}
}

// What a field may hold and a file must have; the rules are [TestLint]'s.
// Each row spoils a good file in one way; at is a text on the line that the
// one error must name, "" for the whole file.
func TestParseNamesWhatIsWrongAndWhere(t *testing.T) {
	const dea, op = "dea-2017-panw", "op-asean-demo"
	tests := []struct {
		name, file, old, new string
		at, article, msg     string
	}{
		// what the fields hold
		{"id", dea, `id      = "dea-2017-panw"`, `id = "DEA 2017"`, `id = `, "", `id: "DEA 2017": write up to 64 of a-z`},
		{"no version", dea, "version = 1\n", "", "", "", "version: missing; it is required"},
		{"version 0", dea, "version = 1", "version = 0", "version", "", "version: 0: write a number from 1"},
		{"unknown field of a party", dea, `units   =`, `teams =`, `teams =`, "1", "party.teams: unknown field"},
		{"unknown field in a table", op, `lasts = "P90D"`, `lasts = "P90D", from = 1`, "wind_up", "1", "term.wind_up.from: unknown field"},
		{"wrong kind of value", dea, `pushes_per_day   = 500`, `pushes_per_day = "500"`, "pushes_per_day", "11", "quota.pushes_per_day: want a whole number, found a string"},
		{"list expected", dea, `from         = ["igci"]`, `from = "igci"`, `from = "igci"`, "3", "flow.from: want a list, found a string"},
		{"empty list", dea, `categories = ["criminal-trends", "cyberthreats", "cybercrime"]`, `categories = []`, "categories", "2", "purpose.categories: empty: name at least one"},
		{"no types at all", dea, `object_types = ["sighting", "opinion", "note", "relationship"]`, `object_types = []`, "object_types = []", "11", "flow.object_types: empty: name at least one"},
		{"zero quota", dea, `pushes_per_day   = 500`, `pushes_per_day = 0`, "pushes_per_day", "11", "quota.pushes_per_day: 0: write a number from 1"},
		{"not a purpose", dea, `"cyberthreats", "cybercrime"]`, `"cyberthreats", "marketing"]`, "categories", "2", `purpose.categories: "marketing" is none of criminal-trends, cyberthreats, cybercrime`},
		{"an element on its own line", dea, `excluded   = ["commercial-use", `, "excluded = [\n\"commercial use\",\n", `"commercial use"`, "2", `purpose.excluded: "commercial use": write one word`},
		{"duration", dea, `keep       = "P2Y"`, `keep = "2 years"`, "keep =", "8", `retention.keep: "2 years" is no duration: write it as P90D`},
		{"time without a zone", dea, `effective = 2017-08-07T00:00:00Z`, `effective = 2017-08-07T00:00:00`, "effective", "1", "term.effective: a time needs a zone: write 2017-08-07T00:00:00Z"},
		{"time without an hour", dea, `effective = 2017-08-07T00:00:00Z`, `effective = 2017-08-07`, "effective", "1", "term.effective: a time needs an hour and a zone: write 2017-08-07T00:00:00Z"},
		{"country", dea, `country = "US"`, `country = "USA"`, `country = "USA"`, "1", `party.country: "USA": write two capital letters`},
		{"label", dea, `tlp_max    = { inbound = "red"`, `tlp_max = { inbound = "crimson"`, "tlp_max", "4", `handling.tlp_max.inbound: "crimson" is no TLP label`},
		{"confidence above 100", dea, "[termination]", "[feeds]\narticle = \"4\"\nmin_confidence = 101\n[termination]", "min_confidence", "4", "feeds.min_confidence: 101: write a number from 0 to 100"},
		{"feeds in no format", dea, "[termination]", "[feeds]\narticle = \"4\"\nformats = []\n[termination]", "formats", "4", "feeds.formats: empty: name at least one"},
		{"address range", op, `198.18.0.0/15`, `198.18.0.0`, "allow_reserved", "3", `fusion.allow_reserved: "198.18.0.0" is no address range`},

		// what not every screen shows
		{"escape in a text", dea, `heading = "Purpose"`, `heading = "Purpose\u001b[8m"`, `heading = "Purpose`, "", `article.heading: holds the control character U+001B`},
		{"bell in a list", dea, `units   = ["unit-42"]`, `units = ["unit\u0007"]`, "units", "1", `party.units: holds the control character U+0007`},
		{"override in a text", dea, `heading = "Purpose"`, "heading = \"\u202eesopruP\"", `heading = "` + "\u202e", "", `article.heading: holds the control character U+202E`},
		{"override in a comment", dea, `[purpose]`, "# \u2066\n[purpose]", "\u2066", "", `holds the control character U+2066`},
		{"handling code", dea, `granular   = "withhold-object"`, `handling_code = { a = ["\u009b"] }`, "handling_code", "4", `handling.handling_code: holds the control character U+009B`},

		// what a file must have
		{"no term", op, "[term]", "[[report_rule]]", "", "", "term: missing; it is required"},
		{"no purpose", dea, "[purpose]", "[scope]", "", "", "purpose: missing; it is required, with its categories"},
		{"no scope", op, "[scope]", "[purpose]", "", "", "scope: missing; an operation needs one"},
		{"no centre", dea, `role    = "centre"`, `role = "host"`, "", "", `party: no party has the role centre`},
		{"two centres", dea, `role    = "provider"`, `role = "centre"`, `role = "centre"`, "1", `party.role: igci is the centre already`},
		{"party twice", op, `"alder", "birch"`, `"alder", "alder"`, "alder", "1", "participant.orgs: alder is named twice"},
		{"party called each", op, `"alder", "birch"`, `"each", "birch"`, "orgs ", "1", "participant.orgs: each is a word of flows"},

		// who else must be bound
		{"witness", dea, `witness     = ["palo-alto-networks"]`, `witness = ["acme"]`, "witness", "10", "audit.witness: acme is no party or participant"},
		{"signature of a stranger", dea, "[termination]", "[[signature]]\norg = \"acme\"\nat = 2017-08-07T09:00:00Z\nkey = \"ed25519:x\"\nsig = \"x\"\n[termination]", `org = "acme"`, "", "signature.org: acme is no party: only parties sign"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := edit(t, text(t, tt.file), tt.old, tt.new)
			_, ps := agreement.Parse(tt.file, []byte(src))
			line := 0
			if tt.at != "" {
				line = lineOf(t, src, tt.at)
			}
			for _, p := range ps.Errors() {
				if p.Line == line && p.Article == tt.article && strings.HasPrefix(p.Msg, tt.msg) {
					return
				}
			}
			t.Errorf("got\n%v\nwant line %d, article %q: %s", ps.Err(), line, tt.article, tt.msg)
		})
	}
}

func TestWhatIsNotCarriedOutIsSaid(t *testing.T) {
	src := edit(t, text(t, "charter-test"), `unknown_marking = "ignore"`, "granular = \"derive\"\nhandling_code = \"H1\"\nred_recipients = []\n")
	_, ps := agreement.Parse("x", []byte(src))
	var got []string
	for _, p := range ps.Warnings() {
		got = append(got, p.String())
	}
	want := []string{
		"x:73: warning: article 4: handling.granular: derive is not carried out by this version; objects are withheld",
		"x:74: warning: article 4: handling.handling_code: not carried out by this version",
	}
	if !slices.Equal(got, want) || len(ps) != len(want) {
		t.Errorf("got %v, want %v", ps, want)
	}
}

func TestParseFindsAllErrors(t *testing.T) {
	src := text(t, "charter-test")
	src = edit(t, src, `kind    = "charter"`, `kind = "chart"`)
	src = edit(t, src, `unknown_marking = "ignore"`, `unknown_marking = 1`)
	src = edit(t, src, `to            = ["igci", "ncb-sg"]`, `to = ["igci", "ncb-th"]`)
	_, ps := agreement.Parse("charter.toml", []byte(src))
	want := strings.Join([]string{
		`charter.toml:4: kind: "chart" is none of charter, data-exchange-agreement, ad-hoc-letter, operation, reader-letter; did you mean charter?`,
		`charter.toml:65: article 3: flow.to: ncb-th is no party or participant; did you mean ncb-sg?`,
		`charter.toml:73: article 4: handling.unknown_marking: want a string, found a whole number`,
	}, "\n")
	if got := ps.Err(); got == nil || got.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", got, want)
	}
}

func TestParseOfNoTOMLHasNoAgreement(t *testing.T) {
	for src, want := range map[string]string{
		"id = 1\nid = 2\n":         "x.toml:2: ",
		"a = 1\n\nb = [":           "x.toml:3: ",
		"\xff":                     "x.toml:1: ",
		strings.Repeat("#", 2<<20): "x.toml: 2097152 bytes",
	} {
		a, ps := agreement.Parse("x.toml", []byte(src))
		if a != nil || len(ps) != 1 || !strings.HasPrefix(ps[0].String(), want) {
			t.Errorf("Parse(%.20q) = %v, %v; want nil, %q", src, a, ps, want)
		}
	}
}

func TestDigestIsOfTheMeaning(t *testing.T) {
	src := text(t, "charter-test")
	digest := parse(t, src).Digest()
	if !strings.HasPrefix(digest, "sha256:") || len(digest) != len("sha256:")+64 {
		t.Fatalf("digest %q", digest)
	}
	same := map[string]string{
		"comment":     src + "# signed in Lyon\n",
		"white space": edit(t, src, "version = 1", "  version=1"),
		"order":       edit(t, edit(t, src, "version = 1\n", ""), "kind ", "version = 1\nkind "),
		"zone":        edit(t, src, "2020-01-01T00:00:00Z", "2020-01-01T08:00:00+08:00"),
		"quotes":      edit(t, src, `"charter-test"`, `'charter-test'`),
		"inline":      edit(t, src, "unmarked = { playbooks = \"default:green\" }", "unmarked.playbooks = \"default:green\""),
		"signature":   src + "[[signature]]\norg = \"igci\"\nat = 2020-01-01T00:00:00Z\nkey = \"ed25519:x\"\nsig = \"x\"\n",
	}
	for name, src := range same {
		if got := parse(t, src).Digest(); got != digest {
			t.Errorf("%s: digest changed to %s", name, got)
		}
	}
	other := map[string]string{
		"a word":        edit(t, src, "What has no label", "What bears no label"),
		"a value":       edit(t, src, `"default:green"`, `"default:amber"`),
		"a default":     edit(t, src, "writer_reads  = \"own\"\n", ""),
		"order of orgs": edit(t, src, `["igci", "ncb-sg"]`, `["ncb-sg", "igci"]`),
	}
	for name, src := range other {
		if parse(t, src).Digest() == digest {
			t.Errorf("%s: digest is the same", name)
		}
	}
}

// Run it with -fuzzminimizetime 10x: whole files take minutes to minimize.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(fixtures + "*.toml")
	if err != nil || files == nil {
		f.Fatal("no fixtures", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, src := range []string{
		"", "id = 1\nid = 2", "flow = 1", "[[flow]]\n[flow.from]\nx = 1", "flow = [{name = 'a'}, 2, [3]]",
		"handling.tlp_max.a = 'red'", "[handling]\nleaves_as = {a = 1}", "x = inf\ny = nan\nz = 1.5",
		"t = 2020-01-01\nu = 10:00:00\nv = 2020-01-01T00:00:00", "\"\" = 1\n['a.b'.c]\nd = []", "version = 9223372036854775807",
		"[feeds]\nactions = []\nformats = ['list', 1]\nhold = 'P99999Y'\nmin_confidence = -1\nat_end = 'never'",
		"kind = 'operation'\n[[participant]]\norgs = ['a']\nunder = 'x-{org}'\n[[flow]]\nname = 'f'\nper = 'each'\nfrom = ['each']\nto = ['a']",
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		a, ps := agreement.Parse("fuzz.toml", src)
		last := 1 + strings.Count(string(src), "\n")
		for _, p := range ps {
			if p.Line < 0 || p.Line > last || p.Msg == "" {
				t.Errorf("%v: the file has %d lines", p, last)
			}
		}
		if a == nil {
			if ps.Err() == nil {
				t.Error("no agreement and no error")
			}
			return
		}
		a.Collections()
		for _, f := range a.Flows {
			a.Terms(f.Name, a)
		}
		itself := func(string) *agreement.Agreement { return a }
		agreement.Check([]*agreement.Agreement{a}, itself, true)
		if ps.Err() != nil {
			return
		}
		if err := errors.Join(a.Explain(io.Discard, itself), a.Print(io.Discard, true)); err != nil {
			t.Error(err)
		}
		if changes := agreement.Diff(a, a, itself); len(changes) > 0 {
			t.Errorf("changed against itself: %v", changes)
		}
	})
}
