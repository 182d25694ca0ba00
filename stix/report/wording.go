package report

import (
	"fmt"

	"comity/stix/fusion"
)

// wording is how a kind of finding, and a report about such findings, is described.
type wording struct {
	infrastructure, kind string // name (before the key) and type of the infrastructure
	indicator, indicates string // name (before the key) and type of the indicator
	means                string // the meaning of a match of the indicator
	phases               []phase

	singular, plural, where string // as in "3 servers located in Cambodia"
	unit                    string // a short word for one finding
	topic                   string // of a report, before the country
	why                     string // why such a report matters to the country
}

// wordingOf is the wording for a kind.
func wordingOf(kind fusion.Kind) wording {
	switch kind {
	case fusion.C2:
		return wording{
			"C2 server ", "command-and-control", "C2 traffic to ", "malicious-activity",
			"Who speaks to this speaks to a command-and-control server.",
			[]phase{{"lockheed-martin-cyber-kill-chain", "command-and-control"}},
			"command-and-control server", "command-and-control servers", "located in", "server",
			"command-and-control servers in",
			"Through such a server somebody directs infected computers in any country. It can be taken down only where it stands.",
		}
	case fusion.Website:
		return wording{
			"Compromised website ", "hosting-malware", "Traffic to compromised website ", "compromised",
			"Who loads this may be given malware by a website that was broken into.", nil,
			"compromised website", "compromised websites", "in", "website",
			"compromised websites in",
			"Such a website passes malware on to those who visit it. Its owner may not know.",
		}
	}
	return wording{
		"Suspicious host ", "unknown", "Traffic to suspicious host ", "anomalous-activity",
		"Who speaks to this speaks to a host that somebody warned of.", nil,
		"finding", "findings", "about an issue flagged by", "finding",
		"an issue flagged by",
		"What was flagged is known to others too: the case does not stand alone.",
	}
}

// count is n findings in a country, such as "3 compromised websites in Laos".
func (w wording) count(n int, country string) string {
	return fmt.Sprintf("%s %s %s", w.number(n), w.where, countryInText(country))
}

func (w wording) number(n int) string {
	if n == 1 {
		return "1 " + w.singular
	}
	return fmt.Sprintf("%d %s", n, w.plural)
}
