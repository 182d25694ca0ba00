package admin

import (
	"fmt"

	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// operator is the account that the record names for what commands do.
const operator = "operator"

// changed is the entry that says what became of something org has in the
// directory. It is a line of that organisation.
func changed(d *exchange.Directory, org, format string, args ...any) []audit.Entry {
	return []audit.Entry{{
		Act: audit.Directory, Account: operator, Org: d.Centre.ID,
		Text: fmt.Sprintf(format, args...), Parties: []string{org},
	}}
}

// transition is the entry that says what was done about an agreement. It is a
// line of every member.
func transition(d *exchange.Directory, text *agreement.Agreement, article, format string, args ...any) audit.Entry {
	return audit.Entry{
		Act: audit.Agreement, Account: operator, Org: d.Centre.ID,
		Agreement: text.ID, Article: article, Digest: text.Digest(), Text: fmt.Sprintf(format, args...),
	}
}
