package convert

import (
	"fmt"
	"slices"
	"strings"

	"comity/stix"
)

// labelProperty is the property of STIX 2.1 that replaces the labels of a type. Words
// outside its vocabulary stay labels. With a nil vocabulary, all words move.
type labelProperty struct {
	property   string
	vocabulary []string
	name       string
}

// labels has the types whose labels meant something else in STIX 2.0 (part 2,
// §2.4 to §2.11), with the vocabularies of STIX 2.1 §10, which contain those
// of 2.0.
var labels = map[string]labelProperty{
	"identity": {property: "roles"},
	"indicator": {"indicator_types", strings.Fields(`anomalous-activity anonymization attribution benign
		compromised malicious-activity unknown`), "indicator-type-ov"},
	"malware": {"malware_types", strings.Fields(`adware backdoor bot bootkit ddos downloader dropper exploit-kit
		keylogger ransomware remote-access-trojan resource-exploitation rogue-security-software rootkit
		screen-capture spyware trojan unknown virus webshell wiper worm`), "malware-type-ov"},
	"report": {"report_types", strings.Fields(`attack-pattern campaign identity incident indicator intrusion-set
		malware observed-data threat-actor threat-report tool vulnerability`), "report-type-ov"},
	"threat-actor": {"threat_actor_types", strings.Fields(`activist competitor crime-syndicate criminal hacker
		insider-accidental insider-disgruntled nation-state private-sector sensationalist spy terrorist
		unknown`), "threat-actor-type-ov"},
	"tool": {"tool_types", strings.Fields(`credential-exploitation denial-of-service exploitation
		information-gathering network-capture remote-access unknown vulnerability-scanning`), "tool-type-ov"},
}

// domain converts an object that becomes one object: a domain object, a
// relationship, a marking definition, or a custom object.
func domain(o *stix.Object, members object, moved moves, note notes) object {
	members = moveLabels(o.Type, members, moved, note)
	switch o.Type {
	case "indicator":
		members = addPatternType(members)
	case "malware":
		// STIX 2.0 did not tell families from instances. OASIS prescribes
		// nothing; its stepper takes false, which claims less.
		if members.index("is_family") < 0 {
			note("", "STIX 2.0 does not say whether this is a family: is_family is taken to be false", false)
			members = members.after("malware_types", member{"is_family", []byte("false")})
		}
	case "marking-definition":
		members = nameTLP(o, members)
	}
	return setVersion(moveMarkings(members, moved.follow, note))
}

// nameTLP gives the four markings of TLP 1.0 the name that STIX 2.1 fixes for
// them (§7.2.1.4); their ids are the same.
func nameTLP(o *stix.Object, members object) object {
	at := members.index("definition")
	_, known := stix.MarkingTLP(o.ID)
	if !known || o.Forged() || members.index("name") >= 0 || at < 0 || members[at].value.Kind() != '{' {
		return members
	}
	level := parse(members[at].value).text("tlp")
	if level == "" {
		return members
	}
	return members.after("definition_type", member{"name", quote("TLP:" + strings.ToUpper(level))})
}

// setVersion gives an object the spec_version that STIX 2.1 requires (§3.2).
func setVersion(members object) object {
	version := member{"spec_version", quote("2.1")}
	if i := members.index("spec_version"); i >= 0 {
		members[i] = version
		return members
	}
	return members.after("type", version)
}

// addPatternType adds pattern_type and pattern_version, which STIX 2.0 implied (STIX 2.1
// §4.7). The pattern is not changed, so it needs the version 2.0.
func addPatternType(members object) object {
	if members.index("pattern_type") < 0 {
		members = members.after("pattern", member{"pattern_type", quote("stix")})
	}
	if members.text("pattern_type") == "stix" && members.index("pattern_version") < 0 {
		members = members.after("pattern_type", member{"pattern_version", quote("2.0")})
	}
	return members
}

// moveLabels moves labels into the property that STIX 2.1 has for them.
func moveLabels(typeName string, members object, moved moves, note notes) object {
	to, known := labels[typeName]
	at := members.index("labels")
	if !known || at < 0 {
		return members
	}
	words, ok := texts(members[at].value)
	if !ok {
		return members
	}
	if members.index(to.property) >= 0 {
		note("labels", to.property+" is there already: all labels stay labels", false)
		return members
	}
	var typed, rest []string
	for i, word := range words {
		old := fmt.Sprintf("labels.[%d]", i)
		if to.vocabulary == nil || slices.Contains(to.vocabulary, word) {
			moved[old] = []string{fmt.Sprintf("%s.[%d]", to.property, len(typed))}
			typed = append(typed, word)
			continue
		}
		note(old, fmt.Sprintf("%q is not in %s: it stays a label", word, to.name), false)
		moved[old] = []string{fmt.Sprintf("labels.[%d]", len(rest))}
		rest = append(rest, word)
	}
	var instead []member
	if typed != nil {
		instead = append(instead, member{to.property, quoteAll(typed)})
		moved["labels"] = append(moved["labels"], to.property)
	}
	if rest != nil {
		instead = append(instead, member{"labels", quoteAll(rest)})
		moved["labels"] = append(moved["labels"], "labels")
	}
	return slices.Replace(members, at, at+1, instead...)
}
