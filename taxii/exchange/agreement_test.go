package exchange_test

import (
	"fmt"
	"strings"
	"time"

	"comity/stix"
)

// testAgreement is an agreement from which tests make a file, and from which the model decides.
// All blocks name article 1.
type testAgreement struct {
	kind, id              string
	version               int
	effective, expires    time.Time
	windUp                int          // days, 0 for none
	windUpFlows           []string     // open during the wind-up
	parties, participants []testMember // parties sign; participants take part under another agreement
	purposes              []string
	flows                 []testFlow
	redRecipients         []string // "org:name"
	secondments           []testSecondment
	hold                  int // hours that a feed may be kept without a refresh; 0: not in the file
}

// testMember is an organisation with its role, and the agreement that it takes part under.
type testMember struct{ org, role, under string }

// testFlow is a flow. It makes a collection for each organisation in the role per, or for
// each organisation if per is "each".
type testFlow struct {
	name, per string
	from, to  []string
	max       stix.TLP
	types     []string
	blind     bool // the writer reads nothing
	noDelete  bool // the writer deletes nothing
}

// testSecondment is a secondment.
type testSecondment struct {
	person, home, host string
	from, until        time.Time
	sees, never        []string
}

// between returns a standing agreement of igci with these organisations, from effective
// until expires, with a flow named up from each of them and one named down to each.
func between(kind, id, role string, orgs ...string) testAgreement {
	p := testAgreement{
		kind: kind, id: id, version: 1, effective: effective, expires: expires,
		parties:  []testMember{{"igci", "centre", ""}},
		purposes: []string{"cybercrime", "cyberthreats", "criminal-trends"},
		flows: []testFlow{
			{name: "up", per: role, from: []string{"each"}, to: []string{"igci"}, max: stix.Red},
			{name: "down", per: role, from: []string{"igci"}, to: []string{"each"}, max: stix.Red},
		},
	}
	for _, org := range orgs {
		p.parties = append(p.parties, testMember{org, role, ""})
	}
	return p
}

func quoted(words []string) string {
	return `["` + strings.Join(words, `", "`) + `"]`
}

// toml returns the file.
func (p testAgreement) toml() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("format = \"exchange-agreement/1\"\nkind = %q\nid = %q\nversion = %d\ntitle = \"Agreement %s\"", p.kind, p.id, p.version, p.id)
	line(`article = [{ n = "1", heading = "All", binding = true, text = "Everything." }]`)
	line("[term]\narticle = \"1\"\neffective = %s\nexpires = %s", p.effective.Format(time.RFC3339), p.expires.Format(time.RFC3339))
	if p.windUp > 0 {
		line(`wind_up = { lasts = "P%dD", flows = %s }`, p.windUp, quoted(p.windUpFlows))
	}
	for _, m := range p.parties {
		line("[[party]]\narticle = \"1\"\norg = %q\nrole = %q", m.org, m.role)
	}
	for _, m := range p.participants {
		line("[[participant]]\narticle = \"1\"\norgs = [%q]\nrole = %q\nunder = %q", m.org, m.role, m.under)
	}
	if p.kind == "operation" {
		line("[scope]\narticle = \"1\"\npurpose = %s", quoted(p.purposes))
	} else {
		line("[purpose]\narticle = \"1\"\ncategories = %s", quoted(p.purposes))
	}
	ceilings, unmarked := "", ""
	for i, f := range p.flows {
		line("[[flow]]\narticle = \"1\"\nname = %q\nfrom = %s\nto = %s", f.name, quoted(f.from), quoted(f.to))
		if f.per != "" {
			line("per = %q", f.per)
		}
		if f.types != nil {
			line("object_types = %s", quoted(f.types))
		}
		if f.blind {
			line(`writer_reads = "none"`)
		} else {
			line(`writer_reads = "own"`)
		}
		line("owner_deletes = %t", !f.noDelete)
		if i > 0 {
			ceilings, unmarked = ceilings+", ", unmarked+", "
		}
		ceilings += fmt.Sprintf("%s = %q", f.name, f.max)
		unmarked += f.name + ` = "reject"`
	}
	line("[handling]\narticle = \"1\"\ntlp_max = { %s }\nunmarked = { %s }", ceilings, unmarked)
	if p.redRecipients != nil {
		line("red_recipients = %s", quoted(p.redRecipients))
	}
	for _, l := range p.secondments {
		line("[[secondment]]\narticle = \"1\"\nperson = %q\nhome = %q\nhost = %q\nfrom = %s\nuntil = %s", l.person, l.home, l.host,
			l.from.Format(time.RFC3339), l.until.Format(time.RFC3339))
		line("sees = %s", quoted(l.sees))
		if l.never != nil {
			line("never_sees = %s", quoted(l.never))
		}
	}
	if p.hold > 0 {
		line("[feeds]\narticle = \"1\"\nhold = \"PT%dH\"", p.hold)
	}
	return b.String()
}

// letterOf returns a bureau's letter, by which the reader reads the flow that the bureau
// reads.
func letterOf(bureau, under, flow, reader string) testAgreement {
	return testAgreement{
		kind: "reader-letter", id: "letter-" + bureau, version: 1, effective: effective, expires: expires,
		parties: []testMember{{bureau, "bureau", ""}}, participants: []testMember{{reader, "reader", under}},
		purposes: []string{"cybercrime", "cyberthreats", "criminal-trends"},
		flows:    []testFlow{{name: flow, from: []string{bureau}, to: []string{"each"}, max: stix.Amber}},
	}
}
