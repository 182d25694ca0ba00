package admin

import (
	"fmt"
	"strings"

	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// directoryEntry is the entry of a change in the directory. It concerns the organisation
// org.
func directoryEntry(d *exchange.Directory, by Actor, org, format string, args ...any) []audit.Entry {
	return []audit.Entry{{
		Act: audit.Directory, Account: by.String(), Org: by.org(d),
		Text: fmt.Sprintf(format, args...), Parties: []string{org},
	}}
}

// agreementEntry is the entry of an act on an agreement. It concerns every member.
func agreementEntry(d *exchange.Directory, by Actor, text *agreement.Agreement, article, format string, args ...any) audit.Entry {
	return audit.Entry{
		Act: audit.Agreement, Account: by.String(), Org: by.org(d),
		Agreement: text.ID, Article: article, Digest: text.Digest(), Text: fmt.Sprintf(format, args...),
	}
}

// changes describe the fields that an edit changed.
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

// entries is the entry of an edit; none if it changed nothing.
func (c changes) entries(d *exchange.Directory, by Actor, org, subject string) []audit.Entry {
	if len(c) == 0 {
		return nil
	}
	return directoryEntry(d, by, org, "%s edited: %s", subject, strings.Join(c, ", "))
}
