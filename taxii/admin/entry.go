package admin

import (
	"fmt"
	"strings"

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

// changes are what an edit changed, in words.
type changes []string

// text sets a field if there is a new value.
func (c *changes) text(name string, field, value *string) {
	if value == nil || *value == *field {
		return
	}
	c.add("%s %q instead of %q", name, *value, *field)
	*field = *value
}

func (c *changes) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

// entries are the line of an edit; none if it changed nothing.
func (c changes) entries(d *exchange.Directory, by Actor, org, subject string) []audit.Entry {
	if len(c) == 0 {
		return nil
	}
	return directoryEntry(d, by, org, "%s edited: %s", subject, strings.Join(c, ", "))
}
