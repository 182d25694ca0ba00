package exchange

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comity/stix"
)

// Handling decides who may have an object and for how long. It is decided once, at
// the push, and kept beside the object, never in it.
type Handling struct {
	TLP    stix.TLP
	Barred Actions // forbidden for the object; zero: every action is allowed
	Until  uint32  // retention: gone from that Unix second on; 0: no end
}

// Actions is a set of the uses of data that PAP and IEP markings allow or forbid.
type Actions uint8

// The actions an account can be made for.
const (
	Search Actions = 1 << iota // looks in its own logs
	Lookup                     // asks enrichment services
	Block                      // feeds a firewall or a resolver
	Notify                     // tells the victim or the host
)

// AllActions is the set of all actions.
const AllActions = Search | Lookup | Block | Notify

// ActionNames spell the actions, in the order of their bits.
var ActionNames = []string{"search", "lookup", "block", "notify"}

// ActionOf is the action of that name, 0 if there is none.
func ActionOf(name string) Actions {
	i := slices.Index(ActionNames, name)
	if i < 0 {
		return 0
	}
	return 1 << i
}

// actionOfAccount is the action of an account: objects that bar it are withheld. An
// account whose action this version does not know counts as one for all actions, so
// every object that bars any action is withheld.
func actionOfAccount(pr Principal) Actions {
	if action := ActionOf(pr.Action); action != 0 || pr.Action == "" {
		return action
	}
	return AllActions
}

// String lists the names in the set, joined by commas.
func (a Actions) String() string {
	var names []string
	for i, name := range ActionNames {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (a Actions) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It refuses a name that it
// does not know: without it, a set of barred actions would bar less.
func (a *Actions) UnmarshalText(b []byte) error {
	*a = 0
	if len(b) == 0 {
		return nil
	}
	for name := range strings.SplitSeq(string(b), ",") {
		action := ActionOf(name)
		if action == 0 {
			return fmt.Errorf("%q is no action: it is none of %s", name, strings.Join(ActionNames, ", "))
		}
		*a |= action
	}
	return nil
}

// View is the part of a [Grant] that decides which objects a scan shows. It goes
// into the record of deliveries, so that a later reader of the record can work out
// which objects were shown. The zero View shows nothing.
type View struct {
	Reads   bool     `json:"reads,omitempty"`
	Own     bool     `json:"own,omitempty"` // the viewer's organisation sent all objects, and the viewer may see them all
	Ceiling stix.TLP `json:"ceiling"`
	Action  Actions  `json:"action,omitempty"` // of the account; 0: none that markings could bar
	Types   []string `json:"types,omitempty"`  // object types that a reader letter opens; nil is all
	At      uint32   `json:"at"`               // Unix second it was asked at; 0: retention does not count
}

// Sees tells whether the viewer may know of an object with this handling. Only
// retention withholds an object from the organisation that sent it.
func (v *View) Sees(h Handling) bool {
	return v.Reads && (h.Until == 0 || v.At < h.Until) && (v.Own || h.TLP <= v.Ceiling && h.Barred&v.Action == 0)
}

// unix converts a time to the Unix seconds of [Handling] and [View].
func unix(t time.Time) uint32 { return uint32(min(max(t.Unix(), 1), 1<<32-1)) }
