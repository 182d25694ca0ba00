package admin

import (
	"fmt"

	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// directoryEntry says what became of something that org has in the directory. It is a
// line of that organisation.
func directoryEntry(d *exchange.Directory, by Actor, org, format string, args ...any) []audit.Entry {
	return []audit.Entry{{
		Act: audit.Directory, Account: by.String(), Org: d.Centre.ID,
		Text: fmt.Sprintf(format, args...), Parties: []string{org},
	}}
}

// agreementEntry says what was done about an agreement. It is a line of every member.
func agreementEntry(d *exchange.Directory, by Actor, text *agreement.Agreement, article, format string, args ...any) audit.Entry {
	return audit.Entry{
		Act: audit.Agreement, Account: by.String(), Org: d.Centre.ID,
		Agreement: text.ID, Article: article, Digest: text.Digest(), Text: fmt.Sprintf(format, args...),
	}
}
