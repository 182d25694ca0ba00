package exchange_test

import (
	"fmt"
	"strings"
	"time"

	"comity/stix"
)

// paper is an agreement, from which tests make the file and the model its answer. All
// blocks name article 1.
type paper struct {
	kind, id           string
	version            int
	effective, expires time.Time
	windUp             int      // days, 0 for none
	windUpFlows        []string // open meanwhile
	parties, takers    []bound  // who sign; who take part under another agreement
	purposes           []string
	flows              []paperFlow
	red                []string // "org:name"
	lent               []lending
	hold               int // hours of a feed without a refresh; 0 if the paper does not say
}

// bound is an organisation with its role.
type bound struct{ org, role, under string }

// paperFlow goes from these to those; each, if per is a role or "each".
type paperFlow struct {
	name, per string
	from, to  []string
	max       stix.TLP
	types     []string
	blind     bool // the writer reads nothing
	keeps     bool // the writer deletes nothing
}

// lending is a secondment.
type lending struct {
	person, home, host string
	from, until        time.Time
	sees, never        []string
}

// between is a standing agreement of igci with these organisations over the
// whole test: flow up from each of them and flow down to each.
func between(kind, id, role string, orgs ...string) paper {
	p := paper{
		kind: kind, id: id, version: 1, effective: effective, expires: expires,
		parties:  []bound{{"igci", "centre", ""}},
		purposes: []string{"cybercrime", "cyberthreats", "criminal-trends"},
		flows: []paperFlow{
			{name: "up", per: role, from: []string{"each"}, to: []string{"igci"}, max: stix.Red},
			{name: "down", per: role, from: []string{"igci"}, to: []string{"each"}, max: stix.Red},
		},
	}
	for _, org := range orgs {
		p.parties = append(p.parties, bound{org, role, ""})
	}
	return p
}

func quoted(words []string) string {
	return `["` + strings.Join(words, `", "`) + `"]`
}

// toml is the file.
func (p paper) toml() string {
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
	for _, m := range p.takers {
		line("[[participant]]\narticle = \"1\"\norgs = [%q]\nrole = %q\nunder = %q", m.org, m.role, m.under)
	}
	if p.kind == "operation" {
		line("[scope]\narticle = \"1\"\npurpose = %s", quoted(p.purposes))
	} else {
		line("[purpose]\narticle = \"1\"\ncategories = %s", quoted(p.purposes))
	}
	most, unmarked := "", ""
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
		line("owner_deletes = %t", !f.keeps)
		if i > 0 {
			most, unmarked = most+", ", unmarked+", "
		}
		most += fmt.Sprintf("%s = %q", f.name, f.max)
		unmarked += f.name + ` = "reject"`
	}
	line("[handling]\narticle = \"1\"\ntlp_max = { %s }\nunmarked = { %s }", most, unmarked)
	if p.red != nil {
		line("red_recipients = %s", quoted(p.red))
	}
	for _, l := range p.lent {
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

// letterOf is a bureau's letter: the reader sees what the bureau reads in a flow.
func letterOf(bureau, under, flow, reader string) paper {
	return paper{
		kind: "reader-letter", id: "letter-" + bureau, version: 1, effective: effective, expires: expires,
		parties: []bound{{bureau, "bureau", ""}}, takers: []bound{{reader, "reader", under}},
		purposes: []string{"cybercrime", "cyberthreats", "criminal-trends"},
		flows:    []paperFlow{{name: flow, from: []string{bureau}, to: []string{"each"}, max: stix.Amber}},
	}
}
