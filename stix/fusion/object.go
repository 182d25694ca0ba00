package fusion

import (
	"time"

	"comity/stix"
	"comity/stix/rawjson"
)

// kindOf returns the kind of an infrastructure.
func kindOf(infra stix.Object) Kind {
	switch {
	case lists(infra, "labels", "compromised-website"):
		return Website
	case lists(infra, "infrastructure_types", "command-and-control"):
		return C2
	}
	return Other
}

// lists tells whether a property of o is a list that has a word.
func lists(o stix.Object, property, word string) bool {
	for e := rawjson.ElementsOf(rawjson.Member(o.Raw, property)); e.Next(); {
		if s, _ := rawjson.Text(e.Value); string(s) == word {
			return true
		}
	}
	return false
}

// contributes tells whether observables of a type contribute.
func contributes(typ string) bool {
	return typ == "ipv4-addr" || typ == "ipv6-addr" || typ == "domain-name" || typ == "url"
}

func text(o stix.Object, property string) string {
	s, _ := rawjson.Text(rawjson.Member(o.Raw, property))
	return string(s)
}

func id(o stix.Object, property string) stix.ID { return stix.ID(text(o, property)) }

func instant(o stix.Object, property string) time.Time {
	t, _ := stix.ParseTimestamp(text(o, property))
	return micros(t)
}

// micros is a moment to the microsecond, as [State] keeps it.
func micros(t stix.Timestamp) time.Time { return t.Time().Truncate(time.Microsecond) }
