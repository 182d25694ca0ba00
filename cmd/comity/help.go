package main

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"comity/stix/feed"
	"comity/stix/validate"
	"comity/taxii/agreement"
	taxiifeed "comity/taxii/feed"
	"comity/taxii/metrics"
)

// pages are the topics of comity help, which explain more than flags. Those of references
// are only the beginning of a page.
//
//go:embed help
var pages embed.FS

// references write the rest of some pages, by topic.
var references = map[string]func(io.Writer) error{
	"agreement":  agreement.WriteReference,
	"feed":       feedReference,
	"monitoring": metrics.WriteReference,
	"validate":   ruleReference,
}

// helpTopic writes the topic that the command line names; found is false if it names
// none. A topic may have the name of a command.
func helpTopic(args []string, w io.Writer) (found bool, err error) {
	if len(args) != 2 || args[0] != "help" || !slices.Contains(topics(), args[1]) {
		return false, nil
	}
	return true, writeTopic(args[1], w)
}

func writeTopic(topic string, w io.Writer) error {
	page, err := pages.ReadFile("help/" + topic + ".txt")
	if err != nil {
		return err
	}
	if _, err := w.Write(page); err != nil {
		return err
	}
	if reference := references[topic]; reference != nil {
		err = reference(w)
	}
	return err
}

// helpTexts are the texts of all topics.
func helpTexts() (map[string]string, error) {
	texts := map[string]string{}
	for _, topic := range topics() {
		var text strings.Builder
		if err := writeTopic(topic, &text); err != nil {
			return nil, err
		}
		texts[topic] = text.String()
	}
	return texts, nil
}

// topics are the names of all topics.
func topics() (names []string) {
	files, err := pages.ReadDir("help")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(file.Name(), ".txt"))
	}
	return names
}

func feedReference(w io.Writer) error {
	rows := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprint(rows, "FORMAT\tFOR\tUSE\tKINDS\n")
	for _, f := range feed.Formats() {
		use := "any"
		if f.Block {
			use = "block"
		}
		var kinds []string
		for kind := range f.Kinds.All() {
			kinds = append(kinds, kind.String())
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\t%s\n", f.Ext, f.Reader, use, strings.Join(kinds, " "))
	}
	rows.Flush()
	_, err := fmt.Fprintf(w, "\nThe feed file is TOML. Keys without \"without it\" are required.\n\n%s", taxiifeed.Reference)
	return err
}

func ruleReference(w io.Writer) error {
	rows := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range validate.Rules() {
		level := r.Level
		if level == "both" {
			level = "error, warning"
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\t%s\n", r.Number, level, r.Section, r.Text)
	}
	return rows.Flush()
}
