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

// helpBlock is a part of a page of help: a paragraph, a list, or lines that stay as they are.
type helpBlock struct {
	Text  string
	Items []string
	Exact bool
}

// help shows a page of comity help. Its blocks are parted by blank lines; commands and tables
// are indented.
func (c *Console) help(v *visit) error {
	text, ok := c.config.Help[v.path["topic"]]
	if !ok {
		return errNotThere
	}
	title, text, _ := strings.Cut(text, "\n")
	var blocks []helpBlock
	for _, block := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if items, ok := strings.CutPrefix(block, "- "); ok {
			blocks = append(blocks, helpBlock{Items: strings.Split(items, "\n- ")})
		} else {
			blocks = append(blocks, helpBlock{Text: strings.ReplaceAll(strings.TrimPrefix(block, "  "), "\n  ", "\n"), Exact: strings.HasPrefix(block, "  ")})
		}
	}
	return c.render(v, "help", title, blocks)
}
