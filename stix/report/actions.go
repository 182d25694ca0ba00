package report

import (
	"fmt"
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// action is a recommended action.
type action struct {
	name, who, text string
	by              time.Time
}

// actions writes the recommended actions of a report, which its body and its annex
// share. They name no value.
func (w *writer) actions(p *part) (ids []stix.ID) {
	bureau := "the National Central Bureau of " + countryInText(w.Country)
	recommended := []action{{"Acknowledge the report", bureau, "Say that the report has arrived and who deals with it.", p.Acknowledge}}
	switch p.Theme {
	case fusion.C2:
		recommended = append(recommended,
			action{"Take the servers down", "the police, with the providers of the networks",
				"Secure evidence first, then have each server taken down, sinkholed or seized, those of a government before others.", p.Answer},
			w.detect())
	case fusion.Website:
		recommended = append(recommended,
			action{"Clean the websites", "the owners, told by the national CERT",
				"Remove what was planted, close the way it came in by, and change passwords, at government portals before others.", p.Answer},
			w.detect())
	default:
		recommended = append(recommended, action{"Compare with the case", "the unit that flagged the issue",
			"Compare what is reported here with what is known of the case, and ask the centre before acting on it.", p.Answer})
	}
	recommended = append(recommended, action{"Report what became of it", bureau,
		"Answer for each finding: in-progress, taken-down, sinkholed, seized, unreachable, disputed or no-action.", p.Answer})

	for n, a := range recommended {
		by := ""
		if !a.by.IsZero() {
			by = ", by " + day(a.by)
		}
		ids = append(ids, w.add(object{
			Type: "course-of-action", Name: a.name, Description: fmt.Sprintf("For %s%s. %s", a.who, by, a.text),
		}, fmt.Sprintf("%s|action|%d", p.key, n+1), p.label))
	}
	return ids
}

// detect is the action of using the indicators as far as the PAP level permits.
func (w *writer) detect() action {
	a := action{name: "Look for traffic", who: "the national CERT and operators of networks"}
	switch w.PAP {
	case stix.PAPRed:
		a.text = "Search your own logs with the indicators. Do nothing that leaves your network."
	case stix.PAPAmber:
		a.text = "Search with the indicators, in look-up services too. Block nothing: that would be seen."
	default:
		a.text = "Search with the indicators, and block what they match."
	}
	return a
}
