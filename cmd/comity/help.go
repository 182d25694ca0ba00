package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"comity/stix/feed"
	"comity/stix/validate"
	"comity/taxii/agreement"
	taxiifeed "comity/taxii/feed"
	"comity/taxii/metrics"
)

// topics are the pages of comity help that document more than flags, by name. A
// topic may have the name of a command.
func topics() map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"agreement": helpAgreement,
		"metrics":   helpMetrics,
		"feed":      helpFeed,
		"validate":  helpValidate,
	}
}

// helpTopic writes the topic that the command line names; found is false if it names
// none.
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

func helpMetrics(w io.Writer) error {
	fmt.Fprint(w, `The metrics of comity serve --admin-listen ADDR

http://ADDR/metrics has these for Prometheus. comity monitoring rules prints alert
rules that use them, comity monitoring dashboard a dashboard for Grafana. Times are
in seconds since 1970 (UTC).

`)
	return metrics.WriteReference(w)
}

func helpFeed(w io.Writer) error {
	fmt.Fprint(w, `Feeds and the feed file

A feed is a question that a firewall, a resolver or another tool asks again and
again: which values do the indicators name that my account may read now? The
answer ends with the access, and what is revoked or removed is gone from the next
one. The agreement says what may become a feed, in its block [feeds]: see comity
help agreement.

comity feed preview FILE shows what a feed file lists and what it leaves out, and
comity feed add FILE makes the feed. The account reads its files with the token of
the account, by Basic or Bearer, at

  https://SERVER/CENTRE/x-feeds/ID/KIND.FORMAT    such as .../soc-block/ipv4.txt

with .md5 or .sha256 behind it for a checksum. ?n=1000 and ?start=1000 ask for a
part, ?comments=1 for comment lines. KIND is all for formats of several kinds.

A script that keeps the entries itself asks for changes: KIND.json?since= gives
all entries and a cursor, KIND.json?since=CURSOR what came and went after it.

  {"full":false,"add":[{"kind":"ipv4","value":"203.0.113.7",...}],
   "remove":[{"kind":"ipv4","value":"203.0.113.9"}],"cursor":"..."}

add has changed entries too. If full is true, add has all entries, and the script
drops what it has: at first, after a restart of the server and after an hour without
a request. KIND.txt?since=CURSOR is a line for each value, with + or -, and has
X-Feed-Full and X-Feed-Cursor among its headers. merge and max do not apply.

.../x-feeds/ID/stream tells the same as server-sent events: add and remove, whose data
is an entry, reset before all entries, and heartbeat each minute. A client that comes
back with Last-Event-ID gets what it missed; after a restart of the server, a reset.
The stream ends with the access of the account. An account has up to 4 of them. For
the objects themselves, /CENTRE/collections/ID/x-stream/ tells create, update and
delete as OpenCTI does; its ids and the next of TAXII pages are interchangeable.

Resolvers read a feed for block as a response policy zone: comity connect ORG/NAME
--client bind prints the settings. With comity serve --dns-listen or --dns-tls-listen
the server answers SOA, AXFR and IXFR for the zone ID.ORG.rpz.CENTRE. that are signed
(hmac-sha256) with the key ID.ORG., which comity feed show ORG/ID --secrets shows. A
change is in the zone within a second. comity feed rotate ORG/ID makes another key; the
one before is valid until the next rotation.

Bouncers of CrowdSec read a feed for block: api_url is .../x-feeds/ID/ and api_key the
token, one for each bouncer. They get decisions as they come and go. A decision lasts
as long as the agreement lets a tool act without asking again ([feeds] hold), and
half-way a bouncer gets all of them anew: each is deleted and new in one answer. After
a restart of the server too; what left in between ends by its duration then.

`)
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
	fmt.Fprintf(w, "\nThe feed file is TOML. Keys without \"without it\" are required.\n\n%s", taxiifeed.Reference)
	return nil
}

func helpValidate(w io.Writer) error {
	fmt.Fprint(w, `The rules of comity validate

What is pushed, imported or validated is held against these rules of STIX 2.1,
and STIX 2.0 against those that it shares. An error refuses the object; a warning
does not. Findings name the rule, the object and the place inside it as a JSON
pointer. --only and --except choose rules by number, --strict makes errors of
warnings. For all flags see comity validate --help.

`)
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
