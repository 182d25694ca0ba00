package fusion

import (
	"strings"
	"time"
	"unique"

	"github.com/google/uuid"

	"comity/stix"
)

// stored is a contribution in a State, and the audiences that have it.
type stored struct {
	record
	audiences uint32 // one bit each; 0 once it was removed
}

// record is a [Contribution] in half the memory: texts that many contributions
// share are kept once, times in microseconds. Equal contributions have equal
// records.
type record struct {
	submitter, origin, kind, valueType, country, owner, family unique.Handle[string]

	made, version, received, first, last, until int64

	value           string
	object, subject objectID
	resolves        string // joined by spaces: addresses have none

	label                          stix.TLP
	revoked, government, killChain bool
}

func recordOf(c *Contribution) record {
	return record{
		submitter: unique.Make(c.Submitter), origin: unique.Make(c.Origin), kind: unique.Make(string(c.Kind)), valueType: unique.Make(c.Value.Type),
		country: unique.Make(c.Country), owner: unique.Make(c.Owner), family: unique.Make(c.Family),
		made: c.Made.UnixMicro(), version: c.Version.UnixMicro(), received: c.Received.UnixMicro(),
		first: c.First.UnixMicro(), last: c.Last.UnixMicro(), until: c.Until.UnixMicro(),
		value: c.Value.Text, object: objectIDOf(c.Object), subject: objectIDOf(c.Subject), resolves: strings.Join(c.Resolves, " "),
		label: c.Label, revoked: c.Revoked, government: c.Government, killChain: c.KillChain,
	}
}

func (r *record) contribution() Contribution {
	return Contribution{
		Ref:    Ref{Submitter: r.submitter.Value(), Object: r.object.id(), Version: timeOf(r.version)},
		Origin: r.origin.Value(), Kind: Kind(r.kind.Value()), Value: stix.Value{Type: r.valueType.Value(), Text: r.value},
		Subject: r.subject.id(), Resolves: strings.Fields(r.resolves), Label: r.label,
		Made: timeOf(r.made), Received: timeOf(r.received), First: timeOf(r.first), Last: timeOf(r.last), Until: timeOf(r.until),
		Revoked: r.revoked, Country: r.country.Value(), Owner: r.owner.Value(), Government: r.government,
		Family: r.family.Value(), KillChain: r.killChain,
	}
}

// timeOf is the time that UnixMicro gives micros for; the zero time is one of them.
func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// objectID is an identifier in 24 bytes: its type, kept once, and its UUID. One
// that has no UUID in lower case is whole in typ, and its uuid is nil.
type objectID struct {
	typ  unique.Handle[string]
	uuid uuid.UUID
}

func objectIDOf(id stix.ID) objectID {
	typ, rest, _ := strings.Cut(string(id), "--")
	u, err := uuid.Parse(rest)
	if err != nil || u == uuid.Nil || u.String() != rest {
		return objectID{typ: unique.Make(string(id))}
	}
	return objectID{unique.Make(typ), u}
}

func (o objectID) id() stix.ID {
	if o.uuid == uuid.Nil {
		return stix.ID(o.typ.Value())
	}
	return stix.ID(o.typ.Value() + "--" + o.uuid.String())
}
