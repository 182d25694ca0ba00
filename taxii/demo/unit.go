package demo

import (
	"strings"
	"time"

	"comity/stix"
)

// Validity is how long an indicator is valid, but for those that are expired.
const Validity = 90 * 24 * time.Hour

// families are the malware that the servers control. A vendor names one for
// every fourth server it reports.
var families = []string{"Quietmoth", "Brasskettle", "Papercrane", "Saltlantern"}

// theme is how the infrastructure of a kind of record is described.
type theme struct {
	name, kind, indicates string
	labels                []string
	phases                []phase
}

func (r *Record) theme() theme {
	switch r.Kind {
	case Phishing:
		return theme{"Phishing host ", "phishing", "malicious-activity", nil, nil}
	case Page:
		return theme{"Compromised website ", "hosting-malware", "compromised", []string{"compromised-website"}, nil}
	case Match:
		return theme{"Suspicious host ", "unknown", "anomalous-activity", nil, nil}
	}
	return theme{"C2 server ", "command-and-control", "malicious-activity", nil, commandAndControl}
}

// Objects are the STIX objects of the record, each after those to which it refers, the
// indicator last. Every object to which another refers is among them. All have the
// record's origin as creator, in a relay too. An object that two records share, such as
// the vendor's identity, a country or an address, has the same id and bytes in both.
func (r *Record) Objects() []stix.Object {
	var (
		m      = makerOf(r.Origin)
		t      = r.theme()
		u      = unit{maker: m, at: r.Time, label: r.Label}
		bounds = seenAround(r)
	)
	// Objects that many records share have a label and a time of their own.
	u.addAs(object{Type: "identity", Name: r.Origin, Class: "organization", Sectors: []string{"technology"}}, r.Origin, Start, stix.Amber)
	parts := u.values(r)
	infra := u.add(object{
		Type: "infrastructure", Name: t.name + r.about(), Labels: t.labels, InfrastructureTypes: []string{t.kind},
		FirstSeen: stamp(bounds[0]), LastSeen: stamp(bounds[1]), KillChain: t.phases,
	}, string(r.kindOfKey())+r.Value)
	for _, part := range parts {
		u.relate(infra, "consists-of", part)
	}
	u.place(r, infra)
	if family := r.family(); family != "" {
		yes := true
		malware := u.addAs(object{Type: "malware", Name: family, IsFamily: &yes, MalwareTypes: []string{"bot"}}, family, Start, stix.Amber)
		u.relate(infra, "controls", malware)
	}
	indicator := object{
		Type: "indicator", Name: t.name + r.about(), IndicatorTypes: []string{t.indicates}, Revoked: r.Kind == Revoked,
		Pattern: r.pattern(), PatternType: "stix", KillChain: t.phases,
		ValidFrom: stamp(r.Time), ValidUntil: stamp(r.Time.Add(Validity)),
	}
	if r.Kind == Expired {
		indicator.ValidUntil = stamp(r.Time.Add(24 * time.Hour))
	}
	key := string(r.kindOfKey()) + r.Value
	if r.Kind == Repeat {
		key += "|again"
	}
	indicator = m.make(indicator, key, r.Time, r.Label)
	u.relate(indicator.ID, "indicates", infra)
	u.keep(indicator)
	return u.objects
}

// kindOfKey is a prefix of keys, so that different infrastructure has different ids.
func (r *Record) kindOfKey() Kind {
	if r.Kind == Page || r.Kind == Match || r.Kind == Phishing {
		return r.Kind + "|"
	}
	return ""
}

// about is the value of the record as names have it.
func (r *Record) about() string { return strings.ReplaceAll(r.Value, "[.]", ".") }

// family is the malware that the record names, or "".
func (r *Record) family() string {
	if theme := r.theme(); theme.phases == nil || hash("family", r.Value, r.Origin)%4 != 0 {
		return ""
	}
	return families[hash("family", r.Key)%uint64(len(families))]
}

// seenAround is the times at which the vendor first and last saw the server: a moment in
// the day before the record, and the time of the record.
func seenAround(r *Record) [2]time.Time {
	ago := time.Duration(1+hash("seen", r.Value, r.Origin)%1440) * time.Minute
	return [2]time.Time{r.Time.Add(-ago), r.Time}
}

// observableType is the type of the observable that Value is.
func (r *Record) observableType() string {
	switch {
	case r.Kind == Page:
		return "url"
	case strings.HasSuffix(strings.TrimSuffix(strings.ToLower(r.Value), "."), ".example"):
		return "domain-name"
	case strings.Contains(r.Value, ":"):
		return "ipv6-addr"
	}
	return "ipv4-addr"
}

func (r *Record) pattern() string { return "[" + r.observableType() + ":value = '" + r.Value + "']" }

// unit gathers the objects of one record.
type unit struct {
	maker
	at      time.Time
	label   stix.TLP
	objects []stix.Object
}

func (u *unit) keep(o object) stix.ID {
	view, err := stix.NewObject(o.encode())
	if err != nil {
		panic("demo: " + err.Error()) // every object is made in this file
	}
	u.objects = append(u.objects, view)
	return view.ID
}

func (u *unit) add(o object, key string) stix.ID { return u.addAs(o, key, u.at, u.label) }

func (u *unit) addAs(o object, key string, at time.Time, label stix.TLP) stix.ID {
	return u.keep(u.make(o, key, at, label))
}

func (u *unit) relate(from stix.ID, kind string, to stix.ID) {
	u.keep(u.maker.relate(from, kind, to, u.at, u.label))
}

// values adds the observables, and returns those that the infrastructure
// consists of. The target of a resolution is none of them.
func (u *unit) values(r *Record) (parts []stix.ID) {
	if r.Kind == Page {
		parts = append(parts, u.keep(observable("domain-name", r.Key, false)))
	}
	value := u.keep(observable(r.observableType(), r.Value, strings.Contains(r.Value, "[.]")))
	if r.Resolves != "" {
		u.relate(value, "resolves-to", u.keep(observable("ipv4-addr", r.Resolves, false)))
	}
	return append(parts, value)
}

// place locates the infrastructure in its country or, for a website, its owner.
func (u *unit) place(r *Record, infra stix.ID) {
	if r.Claimed == "" {
		return
	}
	location := u.addAs(object{Type: "location", Country: r.Claimed}, r.Claimed, Start, stix.Amber)
	if r.Kind != Page {
		u.relate(infra, "located-at", location)
		return
	}
	sectors := []string{"retail"}
	if r.government {
		sectors = []string{"government-national"}
	}
	owner := u.add(object{Type: "identity", Name: "Owner of " + r.Key, Class: "organization", Sectors: sectors}, "owner|"+r.Key)
	u.relate(infra, "related-to", owner)
	u.relate(owner, "located-at", location)
}

// Objects are the STIX objects of the issue: a grouping of an observation and the
// observable, made by the country's bureau under AMBER.
func (i *Issue) Objects() []stix.Object {
	u := unit{maker: makerOf(i.Bureau()), at: i.Time, label: stix.Amber}
	u.addAs(object{Type: "identity", Name: i.Bureau(), Class: "organization", Sectors: []string{"government-national"}}, i.Bureau(), Start, stix.Amber)
	r := Record{Value: i.Value}
	value := u.keep(observable(r.observableType(), i.Value, false))
	seen := u.add(object{
		Type: "observed-data", FirstObserved: stamp(i.Time), LastObserved: stamp(i.Time), Observed: 1, Refs: []stix.ID{value},
	}, i.Value)
	u.add(object{
		Type: "grouping", Name: "Flagged: " + i.Value, Context: "suspicious-activity", Labels: []string{"flagged-issue"},
		Refs: []stix.ID{seen, value},
	}, i.Value)
	return u.objects
}

// Bureau is the slug of the bureau that flagged the issue.
func (i *Issue) Bureau() string { return BureauOf(i.Country) }
