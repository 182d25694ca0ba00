package agreement

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"comity/stix"
	"comity/taxii"
)

// forms are the forms of a text, by their name in the tag form: the expression, and the end
// of the message.
var forms = map[string]struct {
	expr *regexp.Regexp
	want string
}{
	"text":    {regexp.MustCompile(`\S`), "it must not be empty"},
	"line":    {regexp.MustCompile(`^[^\n\t]*\S[^\n\t]*$`), "write one line, which is not empty"},
	"word":    {regexp.MustCompile(`^[^\s\pC]+$`), "write one word without spaces"},
	"slug":    {regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`), "write up to 64 of a-z, 0-9, - and _"},
	"type":    {regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,249}$`), "write a STIX type name such as indicator"},
	"country": {regexp.MustCompile(`^[A-Z]{2}$`), "write two capital letters (ISO 3166-1)"},
	"account": {regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*:[a-z0-9][a-z0-9_.-]*$`), "RED reaches persons and posts, not organisations: write org:name"},
	"digest":  {regexp.MustCompile(`^sha256:[0-9a-f]{64}$`), "write sha256: and 64 hexadecimal digits"},
}

// maxNumber is the greatest integer that JSON implementations agree on (RFC 8259 §6).
const maxNumber = 1<<53 - 1

// formProblem describes the fault of a string or number that should have the form, "" if
// it has the form.
func formProblem(form string, v any) string {
	if n, ok := v.(int64); ok {
		return numberProblem(form, n)
	}
	s := v.(string)
	name, list, _ := strings.Cut(form, " ")
	switch name {
	case "", "date":
		return ""
	case "oneof":
		choices := strings.Fields(list)
		if slices.Contains(choices, s) {
			return ""
		}
		return fmt.Sprintf("%q is none of %s%s", s, strings.Join(choices, ", "), hint(s, choices))
	case "prefix":
		if _, err := netip.ParsePrefix(s); err != nil {
			return fmt.Sprintf("%q is no address range: write it as 198.18.0.0/15", s)
		}
		return ""
	}
	if f := forms[name]; !f.expr.MatchString(s) {
		return fmt.Sprintf("%q: %s", s, f.want)
	}
	return ""
}

// CheckID checks the form of the id of an agreement or organisation. The error is a
// [taxii.Error] with code Invalid.
func CheckID(id string) error {
	if msg := formProblem("slug", id); msg != "" {
		return taxii.Errorf(taxii.Invalid, "%s", msg)
	}
	return nil
}

func numberProblem(form string, n int64) string {
	switch {
	case form == "percent" && (n < 0 || n > 100):
		return fmt.Sprintf("%d: write a number from 0 to 100", n)
	case form == "positive" && (n < 1 || n > maxNumber):
		return fmt.Sprintf("%d: write a number from 1 to %d, or leave the field out", n, maxNumber)
	}
	return ""
}

// hint suggests the choice nearest to s, if one is near.
func hint(s string, choices []string) string {
	return stix.DidYouMean(s, slices.Values(choices))
}
