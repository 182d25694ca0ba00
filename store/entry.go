package store

import (
	"github.com/google/uuid"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// EntryOf begins an entry about an act on a collection. Its parties are those who may
// read the entry beside the centre: here, the organisation that writes the collection.
func EntryOf(g exchange.Grant, act audit.Act) audit.Entry {
	e := audit.Entry{Act: act, Account: "operator", Collection: g.ID().String()}
	if c, pr := g.Collection(), g.Principal(); c != nil {
		e.Account, e.Org, e.Home, e.Token, e.Operator = pr.Account, pr.Org, pr.Home, pr.Token, pr.Operator
		e.Agreement, e.Article, e.Parties = c.Agreement, c.Article, []string{c.Writer}
	}
	return e
}

// IsDelivery tells whether an entry records that records were delivered. In a gap of the
// audit record, all records that an account could read count as delivered.
func IsDelivery(e *audit.Entry) bool {
	return (e.Act == audit.Delivery || e.Act == audit.Gap) && uuid.Validate(e.Collection) == nil && e.From != nil && e.To != nil
}
