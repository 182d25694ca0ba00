package agreement_test

import (
	"strings"
	"testing"

	"comity/taxii/agreement"
)

// child is an operation under dea-2017-panw, no wider than that.
const child = `
format  = "exchange-agreement/1"
kind    = "operation"
id      = "op-child"
version = 1
title   = "An operation"
[[article]]
n = "1"
heading = "All"
binding = true
text = "Everything."
[term]
article = "1"
effective = 2018-01-01T00:00:00Z
expires = 2018-02-01T00:00:00Z
[[party]]
article = "1"
org = "igci"
role = "centre"
[[participant]]
article = "1"
role = "provider"
orgs = ["palo-alto-networks"]
under = "dea-2017-panw"
[scope]
article = "1"
purpose = ["cybercrime"]
[[flow]]
article = "1"
name = "in"
per = "provider"
from = ["each"]
to = ["igci"]
# in
[[flow]]
article = "1"
name = "out"
per = "provider"
from = ["igci"]
to = ["each"]
[handling]
article = "1"
tlp_max = { in = "amber", out = "amber" }
unmarked = { in = "reject", out = "reject" }
# handling
[quota]
article = "1"
pushes_per_day = 10
`

// The most common terms are in testdata/lint/08-wider.toml.
func TestChildMayNotWiden(t *testing.T) {
	tests := []struct {
		name, old, new string
		at, msg        string
	}{
		{"floor", `# handling`, `tlp_floor = { in = "clear" }`, "tlp_floor", "handling.tlp_floor.in clear < green (dea-2017-panw art. 4)"},
		{"PAP", `# handling`, `pap_max = { out = "red" }`, "pap_max", "handling.pap_max.out red > amber (dea-2017-panw art. 4)"},
		{"unmarked", `unmarked = { in = "reject"`, `unmarked = { in = "default:red"`, "unmarked", "handling.unmarked.in default:red < reject (dea-2017-panw art. 4)"},
		{"unknown marking", `# handling`, `unknown_marking = "ignore"`, "unknown_marking", "handling.unknown_marking ignore > red (dea-2017-panw art. 4)"},
		{"RED recipients", `# handling`, `red_recipients = ["igci:cfc-head", "igci:director"]`, "red_recipients", "handling.red_recipients adds igci:director (dea-2017-panw art. 4)"},
		{"require", `# in`, `require = ["tlp"]`, "require", "flow.require drops created_by_ref, valid_until (dea-2017-panw art. 3)"},
		{"STIX versions", `# in`, `stix_versions = ["2.0"]`, "stix_versions", "flow.stix_versions adds 2.0 (dea-2017-panw art. 3)"},
		{"custom content", `# in`, `refuse_custom = false`, "refuse_custom", "flow.refuse_custom false < true (dea-2017-panw art. 3)"},
		{"URLs", `# in`, `loose_urls = true`, "loose_urls", "flow.loose_urls true > false (dea-2017-panw art. 3)"},
		{"UUIDs", `# in`, `new_uuids = true`, "new_uuids", "flow.new_uuids true > false (dea-2017-panw art. 3)"},
		{"feed actions", `[quota]`, "[feeds]\narticle = \"1\"\nactions = [\"search\", \"block\"]\n[quota]", "actions", "feeds.actions adds block (dea-2017-panw art. 5)"},
		{"feed formats", `[quota]`, "[feeds]\narticle = \"1\"\nformats = [\"rpz\"]\n[quota]", "formats", "feeds.formats adds rpz (dea-2017-panw art. 5)"},
		{"hold", `[quota]`, "[feeds]\narticle = \"1\"\nhold = \"PT7H\"\n[quota]", "hold", "feeds.hold PT7H > PT6H (dea-2017-panw art. 5)"},
		{"confidence", `[quota]`, "[feeds]\narticle = \"1\"\nmin_confidence = 0\n[quota]", "min_confidence", "feeds.min_confidence 0 < 50 (dea-2017-panw art. 5)"},
		{"validity", `[quota]`, "[feeds]\narticle = \"1\"\nrequire_valid_until = false\n[quota]", "require_valid_until", "feeds.require_valid_until false < true (dea-2017-panw art. 5)"},
		{"secret in the URL", `[quota]`, "[feeds]\narticle = \"1\"\nurl_credentials = true\n[quota]", "url_credentials", "feeds.url_credentials true > false (dea-2017-panw art. 5)"},
		{"onward", `[quota]`, "[onward]\narticle = \"1\"\nto_kinds = [\"cert\"]\n[quota]", "to_kinds", "onward.to_kinds adds cert (dea-2017-panw art. 5)"},
		{"leaves as", `[quota]`, "[onward]\narticle = \"1\"\nleaves_as = { red = \"amber\" }\n[quota]", "leaves_as", "onward.leaves_as.red amber < never (dea-2017-panw art. 5)"},
		{"attribution", `[quota]`, "[attribution]\narticle = \"1\"\nvendors = \"named\"\n[quota]", "vendors", "attribution.vendors named > anonymous (dea-2017-panw art. 6)"},
		{"personal data", `[quota]`, "[personal_data]\narticle = \"1\"\nforbidden = [\"email-addr\", \"user-account\"]\n[quota]", "forbidden", "personal_data.forbidden drops identity:individual (dea-2017-panw art. 7)"},
		{"retention", `[quota]`, "[retention]\narticle = \"1\"\nkeep = \"P3Y\"\n[quota]", "keep", "retention.keep P3Y > P2Y (dea-2017-panw art. 8)"},
	}
	dea := parse(t, edit(t, text(t, "dea-2017-panw"), `require      = ["created_by_ref"`, "refuse_custom = true\n"+`require      = ["created_by_ref"`)+feedsBlock)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := edit(t, child, tt.old, tt.new)
			ps := agreement.Check([]*agreement.Agreement{parse(t, src), dea}, nil, true)
			if len(ps) != 1 {
				t.Fatalf("problems %v, want one", ps)
			}
			want := agreement.Problem{File: "test.toml", Line: lineOf(t, src, tt.at), Article: "1", Msg: "widening: " + tt.msg}
			if ps[0] != want {
				t.Errorf("got  %v\nwant %v", ps[0], want)
			}
		})
	}
}

func TestChildNoWiderIsFine(t *testing.T) {
	dea := parse(t, text(t, "dea-2017-panw"))
	if ps := agreement.Check([]*agreement.Agreement{parse(t, child), dea}, nil, true); len(ps) > 0 {
		t.Errorf("got %v", ps)
	}
	find := func(id string) *agreement.Agreement {
		if id != dea.ID {
			t.Errorf("asked for %s", id)
		}
		return dea
	}
	if ps := agreement.Check([]*agreement.Agreement{parse(t, child)}, find, true); len(ps) > 0 {
		t.Errorf("with the parent from the store: %v", ps)
	}
}

func TestAbsentParentIsAnErrorOnlyAtLoad(t *testing.T) {
	for _, strict := range []bool{false, true} {
		ps := agreement.Check([]*agreement.Agreement{parse(t, child)}, nil, strict)
		if len(ps) != 1 || ps[0].Warning == strict || ps[0].Line != lineOf(t, child, "under =") ||
			!strings.HasPrefix(ps[0].Msg, "participant.under: there is no agreement dea-2017-panw") {
			t.Errorf("strict %t: %v", strict, ps)
		}
	}
	ps := agreement.Check([]*agreement.Agreement{parse(t, text(t, "op-asean-demo"))}, nil, false)
	if len(ps) != 8 || ps.Err() != nil {
		t.Errorf("the operation has 8 parents: %v", ps)
	}
}

func TestParentMustFit(t *testing.T) {
	dea, charter := text(t, "dea-2017-panw"), text(t, "charter-test")
	oneWay := edit(t, dea, `from         = ["palo-alto-networks"]`, `from = ["igci"]`)
	oneWay = edit(t, oneWay, `to           = ["igci"]`, `to = ["palo-alto-networks"]`)
	elsewhere := edit(t, letter, `org = "ncb-sg"`, `org = "ncb-th"`)

	tests := []struct{ name, child, parent, msg string }{
		{"a stranger takes part", edit(t, child, `["palo-alto-networks"]`, `["acme"]`), dea,
			"participant.under: acme is no party to dea-2017-panw"},
		{"nothing to narrow", child, oneWay,
			"flow.from: widening: dea-2017-panw has no flow in this direction to narrow"},
		{"a child under a child", edit(t, child, `"dea-2017-panw"`, `"op-asean-demo"`), text(t, "op-asean-demo"),
			"participant.under: op-asean-demo is a child agreement itself"},
		{"a letter for another flow", strings.ReplaceAll(letter, "playbooks", "reports"), charter,
			"flow.name: in charter-test there is no flow reports that the bureau reads"},
		{"a letter of another bureau", edit(t, elsewhere, `from = ["ncb-sg"]`, `from = ["ncb-th"]`), charter,
			"flow.name: in charter-test there is no flow playbooks that the bureau reads"},
		{"a letter for more types", edit(t, letter, `to = ["each"]`, "to = [\"each\"]\nobject_types = [\"tool\"]"),
			edit(t, charter, "stix_versions", "object_types = [\"malware\"]\nstix_versions"),
			"widening: flow.object_types adds tool (charter-test art. 3)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, parent := parse(t, tt.child), parse(t, tt.parent)
			find := func(string) *agreement.Agreement { return parent }
			ps := agreement.Check([]*agreement.Agreement{a}, find, true)
			if len(ps) == 0 || !strings.HasPrefix(ps[0].Msg, tt.msg) {
				t.Errorf("got %v, want %s", ps, tt.msg)
			}
		})
	}
}

func TestReaderLetterStopsAtAmber(t *testing.T) {
	src := edit(t, letter, `{ playbooks = "amber" }`, `{ playbooks = "amber+strict" }`)
	_, ps := agreement.Parse("letter.toml", []byte(src))
	const want = "article 1: handling.tlp_max.playbooks: amber+strict > amber: a reader letter opens nothing above amber"
	if len(ps) != 1 || !strings.HasSuffix(ps[0].String(), want) {
		t.Errorf("got %v, want %s", ps, want)
	}
}

func TestOneIDIsOneAgreement(t *testing.T) {
	dea := parse(t, text(t, "dea-2017-panw"))
	ps := agreement.Check([]*agreement.Agreement{dea, parse(t, text(t, "dea-2017-panw"))}, nil, false)
	if len(ps) != 1 || !strings.Contains(ps[0].String(), "dea-2017-panw is also the id of") {
		t.Errorf("got %v", ps)
	}
}
