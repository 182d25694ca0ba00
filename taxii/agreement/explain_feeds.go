package agreement

import (
	"fmt"
	"slices"
	"strings"
)

// feedGroup has the flows with the same terms of feeds, and the parent agreements that
// these terms come from.
type feedGroup struct {
	flows, parents []string
	text           string // of the terms
}

// addFeeds adds a flow to the group with its terms of feeds.
func (e *explainer) addFeeds(f *Flow, t Terms, parents []*Agreement) {
	text := e.masked(feedSentences(t), parents)
	i := slices.IndexFunc(e.feeds, func(g feedGroup) bool { return g.text == text })
	if i < 0 {
		i = len(e.feeds)
		e.feeds = append(e.feeds, feedGroup{text: text})
	}
	g := &e.feeds[i]
	if !slices.Contains(g.flows, f.Name) {
		g.flows = append(g.flows, f.Name)
	}
	for _, p := range parents {
		if !slices.Contains(g.parents, p.ID) {
			g.parents = append(g.parents, p.ID)
		}
	}
}

// feedParagraphs adds a paragraph on feeds, or several if the terms of the flows differ.
func (e *explainer) feedParagraphs() {
	for _, g := range e.feeds {
		title := "Feeds"
		if len(e.feeds) > 1 {
			title += " of flow " + strings.Join(g.flows, ", ") + prefixed(", under ", enumerate(g.parents))
		}
		e.paragraph(title + ". " + unmasked(g.text, g.parents))
	}
}

// feedSentences are sentences on the terms of feeds.
func feedSentences(t Terms) []sentence {
	var ss []sentence
	add := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	f, all := t.Feeds, defaultFeeds()
	switch {
	case len(f.Actions) == 0:
		add("actions", "No object may go into a feed for security tools")
		return ss
	case len(f.Formats) == 0:
		add("formats", "No object may go into a feed for security tools: the agreements behind this one have no format in common")
		return ss
	case len(missing(all.Actions, f.Actions)) == 0:
		add("actions", "The objects may go into feeds for security tools")
	default:
		add("actions", "The objects may go into feeds for security tools, but only to %s", enumerate(phrases(map[string]string{
			"search": "search logs", "lookup": "look values up", "notify": "notify those concerned",
		}, f.Actions...)))
	}
	if len(missing(all.Formats, f.Formats)) > 0 {
		add("formats", "The feeds come only as %s", enumerate(phrases(map[string]string{
			"list": "lists", "rules": "detection rules", "rpz": "response policy zones", "misp": "MISP feeds",
			"bouncer": "CrowdSec decisions", "stream": "event streams", "webhook": "webhooks",
		}, f.Formats...)))
	}
	add("hold", "A tool that cannot refresh a feed may act on it for %s", f.Hold.words())
	if f.MinConfidence > 0 {
		add("min_confidence", "A feed to block has only objects with a confidence of %d or more", f.MinConfidence)
	}
	if f.RequireValidUntil {
		add("require_valid_until", "An object without an end of its validity is in no feed")
	}
	if f.URLCredentials {
		add("url_credentials", "The URL of a feed may contain its secret")
	}
	if f.AtEnd == GoneAtEnd {
		add("at_end", "When access ends, a feed is gone instead of empty")
	}
	return ss
}
