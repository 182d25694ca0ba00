package exchange

import (
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii/agreement"
)

// Principal is an authenticated caller. Only taxii/auth makes one.
type Principal struct {
	Account  string // "org/name"
	Org      string
	Person   bool
	Purposes []string
	Action   string
	For      string
}

// Grant is what one caller may do with one collection at one moment. Only
// [Policy] and [Operator] make useful ones; the zero Grant sees nothing.
type Grant struct {
	account, org string
	collection   *Collection
	id           uuid.UUID
	read, write  bool
	delete       bool
	ceiling      stix.TLP
	own          bool
}

// Collection is one collection as an agreement makes it.
type Collection struct {
	ID          uuid.UUID
	Alias       string
	Title       string
	Agreement   string
	Flow        string
	Participant string // "" if the flow makes one collection only
	Writer      string // organisation
	Readers     []string
	Terms       agreement.Terms
	From, Until time.Time // in force from From, exclusive of Until
	Article     string    // that opens the flow

	parent string            // agreement whose end closes the collection too, "" if none
	under  map[string]string // organisation -> agreement it takes part under
}

// Operator is the grant of upkeep on one collection: everything, on nobody's
// behalf. It is for the operator's commands, never for a request.
func Operator(collection uuid.UUID) Grant {
	return Grant{id: collection, read: true, write: true, delete: true, ceiling: stix.Red, own: true}
}

// ID is the collection's id.
func (g Grant) ID() uuid.UUID { return g.id }

// Collection is what the grant is about; nil for an operator's.
func (g Grant) Collection() *Collection { return g.collection }

// Account is "org/name" of the caller; "" for an operator's grant.
func (g Grant) Account() string { return g.account }

// Organisation is the one that the grant is for; "" for an operator's.
func (g Grant) Organisation() string { return g.org }

// CanRead tells whether objects may be read.
func (g Grant) CanRead() bool { return g.read }

// CanWrite tells whether objects may be added.
func (g Grant) CanWrite() bool { return g.write }

// CanDelete tells whether objects may be deleted.
func (g Grant) CanDelete() bool { return g.delete }

// Ceiling is the strictest label the caller sees.
func (g Grant) Ceiling() stix.TLP { return g.ceiling }

// Sees tells whether the caller may know of an object with that label. Nothing
// is withheld from the organisation that sent it.
func (g Grant) Sees(label stix.TLP) bool { return g.read && (g.own || label <= g.ceiling) }
