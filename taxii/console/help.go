package console

import (
	"maps"
	"slices"
	"strings"
)

// helpTopic is one line of the list of pages of help.
type helpTopic struct{ Name, Title string }

// helpTopics lists the pages of comity help.
func (c *Console) helpTopics(v *visit) error {
	var out []helpTopic
	for _, name := range slices.Sorted(maps.Keys(c.config.Help)) {
		title, _, _ := strings.Cut(c.config.Help[name], "\n")
		out = append(out, helpTopic{name, title})
	}
	return c.render(v, "helptopics", "Help", out)
}

// help shows a page of comity help as the command prints it.
func (c *Console) help(v *visit) error {
	text, ok := c.config.Help[v.path["topic"]]
	if !ok {
		return errNotThere
	}
	title, text, _ := strings.Cut(text, "\n")
	return c.render(v, "help", title, strings.TrimSpace(text))
}
