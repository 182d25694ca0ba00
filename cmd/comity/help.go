package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"comity/taxii/agreement"
)

// topics are the pages of comity help that document more than flags, by name. A
// topic may have the name of a command.
func topics() map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"agreement": helpAgreement,
	}
}

// helpTopic writes the page that the command line asks for; found is false if it
// asks for none.
func helpTopic(args []string, w io.Writer) (found bool, err error) {
	if len(args) != 2 || args[0] != "help" {
		return false, nil
	}
	page, found := topics()[args[1]]
	if !found {
		return false, nil
	}
	return true, page(w)
}

// topicNames are the names of all topics, for the help of the program.
func topicNames() []string { return slices.Sorted(maps.Keys(topics())) }

func helpAgreement(w io.Writer) error {
	fmt.Fprint(w, `The agreement file

An agreement is one TOML file: the articles that the parties sign in words, and
blocks that carry them out, each of which names its article. It is the only
source of access. comity agreement new writes one from a few answers, comity
agreement check says what is wrong with one and where, comity agreement explain
says in plain words what one allows. For the commands see
comity agreement --help.

A duration is written P90D, P2Y or PT24H; a time 2027-01-01T00:00:00Z; a TLP
label clear, green, amber, amber+strict or red. An id has up to 64 of a-z, 0-9,
- and _. Blocks and keys that are not required can be left out. In an agreement
whose participants take part under another, what is left out is as in that
other one. Comments are not part of what is signed.

`)
	return agreement.WriteReference(w)
}
