package demo

import (
	"fmt"
	"regexp"
	"strings"
)

// Text adapts one of the agreements in testdata to the scenario. The charter and the
// operation get its countries and its least numbers of findings for a report. Other
// agreements stay unchanged.
func (s *Scenario) Text(source []byte) []byte {
	p := asean()
	text := strings.NewReplacer(
		quoted(p.countries, BureauOf), quoted(s.Countries, BureauOf),
		quoted(p.countries, nil), quoted(s.Countries, nil),
		minimum(p.minServers), minimum(s.MinServers),
		minimum(p.minSites), minimum(s.MinSites),
	).Replace(string(source))
	if !charter.MatchString(text) {
		return []byte(text)
	}
	for _, c := range s.Countries {
		if org := BureauOf(c.Code); !strings.Contains(text, fmt.Sprintf("%q", org)) {
			text += fmt.Sprintf(member, org, c.Code)
		}
	}
	return []byte(text)
}

var charter = regexp.MustCompile(`(?m)^kind\s*= "charter"`)

// member is a bureau that joins the charter.
const member = `
[[party]]
article = "1"
org     = %q
role    = "bureau"
kind    = "national-bureau"
name    = "National Central Bureau of %[2]s"
country = %[2]q
`

// quoted is the countries as a list in TOML, by code or, with name, by name of the code.
func quoted(countries []Country, name func(string) string) string {
	var list []string
	for _, c := range countries {
		text := c.Code
		if name != nil {
			text = name(text)
		}
		list = append(list, fmt.Sprintf("%q", text))
	}
	return strings.Join(list, ", ")
}

func minimum(n int) string { return fmt.Sprintf("min_findings = %d\n", n) }
