package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/link"
)

type linkCmd struct {
	Add    linkAddCmd    `cmd:"" help:"Tie a collection to one of another TAXII 2.1 server. comity help links explains it."`
	List   linkListCmd   `cmd:"" help:"List links with how they do; --json tells more."`
	Show   linkShowCmd   `cmd:"" help:"Show what a link has done, what was refused and why, and what was withdrawn since."`
	Run    linkRunCmd    `cmd:"" help:"Run a link now, paused or not."`
	Pause  linkPauseCmd  `cmd:"" help:"Let a link rest until it is resumed."`
	Resume linkResumeCmd `cmd:"" help:"Let a paused link go on where it stopped."`
	Clear  linkClearCmd  `cmd:"" help:"Empty the list of withdrawn objects, once they are deleted at the other server."`
	Remove linkRemoveCmd `cmd:"" help:"Remove a link, with its position."`
}

type linkAddCmd struct {
	Name        string        `arg:"" placeholder:"NAME"`
	Pull        string        `xor:"direction" required:"" placeholder:"URL" help:"Pull from this TAXII server: https://HOST, or the URL of its discovery, of an API root or of a collection."`
	Push        string        `xor:"direction" required:"" placeholder:"URL" help:"Push to this TAXII server."`
	Remote      string        `placeholder:"COLLECTION" help:"Collection of that server, by id, alias or title; without it, the only one."`
	Into        string        `placeholder:"ALIAS" help:"Our collection that a link pulls into."`
	From        string        `placeholder:"ALIAS" help:"Our collection that a link pushes from."`
	As          string        `required:"" placeholder:"ORG/ACCOUNT" help:"Account whose grants the link has."`
	Peer        string        `placeholder:"ORG/ACCOUNT" help:"Account with which that server pushes to this one: what it pushed is not sent back."`
	Every       time.Duration `default:"5m" help:"Time between two runs (default ${default}); a link that pushes also runs when something was added."`
	Credentials string        `placeholder:"FILE" help:"What to show to that server: a TOML file of mode 0600, read at each run. comity help links has its keys."`
	PlainHTTP   bool          `name:"plain-http" help:"Let credentials and objects travel in the clear to another machine."`
}

func (c *linkAddCmd) Run(sh *shell) error {
	l := exchange.Link{
		Name: c.Name, Direction: exchange.Pull, URL: c.Pull, Collection: c.Into, Remote: c.Remote,
		Account: c.As, Peer: c.Peer, Every: int(c.Every / time.Second), PlainHTTP: c.PlainHTTP,
	}
	if c.Push != "" {
		l.Direction, l.URL, l.Collection = exchange.Push, c.Push, c.From
	}
	if (c.Pull != "") != (c.Into != "") || (c.Push != "") != (c.From != "") {
		return errors.New("write --pull URL --into ALIAS, or --push URL --from ALIAS")
	}
	if c.Credentials != "" {
		var err error
		if l.Credentials, err = filepath.Abs(c.Credentials); err != nil { // the server has another working directory
			return err
		}
	}
	return sh.showLink("link/add", l)
}

type linkListCmd struct{}

func (c *linkListCmd) Run(sh *shell) error {
	list, err := call[[]link.Status](sh, "link/list", nil)
	if err != nil {
		return err
	}
	return printTable(sh, list, "link,direction,server,collection,account,state,last success,objects,refused,withdrawn", list, func(l link.Status) []any {
		return []any{l.Name, l.Direction, l.Server(), l.Collection, l.Account, linkState(l), timeOrNever(l.LastSuccess), l.Objects, refusedByLink(l), len(l.Withdrawn)}
	})
}

// linkState is how a link does, in a word.
func linkState(l link.Status) string {
	switch {
	case l.Running:
		return "running"
	case l.Paused:
		return "paused"
	case l.Failures > 0:
		return "failing"
	case l.LastSuccess.IsZero():
		return "new"
	}
	return "ok"
}

func refusedByLink(l link.Status) (n int64) {
	for _, count := range l.Refused {
		n += count
	}
	return n
}

// linkArg is the argument of most link commands.
type linkArg struct {
	Name string `arg:"" placeholder:"NAME"`
}

type linkShowCmd struct{ linkArg }

func (c *linkShowCmd) Run(sh *shell) error { return sh.showLink("link/show", c.Name) }

type linkRunCmd struct{ linkArg }

func (c *linkRunCmd) Run(sh *shell) error { return sh.showLink("link/run", c.Name) }

type linkPauseCmd struct{ linkArg }

func (c *linkPauseCmd) Run(sh *shell) error { return sh.showLink("link/pause", c.Name) }

type linkResumeCmd struct{ linkArg }

func (c *linkResumeCmd) Run(sh *shell) error { return sh.showLink("link/resume", c.Name) }

type linkClearCmd struct{ linkArg }

func (c *linkClearCmd) Run(sh *shell) error { return sh.showLink("link/clear", c.Name) }

type linkRemoveCmd struct{ linkArg }

func (c *linkRemoveCmd) Run(sh *shell) error {
	l, err := call[exchange.Link](sh, "link/remove", c.Name)
	if err != nil {
		return err
	}
	return sh.print(l, func(w io.Writer) { fmt.Fprintf(w, "removed %s\n", l.Name) })
}

// showLink calls a verb that answers with the status of a link.
func (sh *shell) showLink(verb string, in any) error {
	l, err := call[link.Status](sh, verb, in)
	if err != nil {
		return err
	}
	return sh.print(l, func(w io.Writer) {
		fmt.Fprintf(w, "link\t%s\n%s\t%s %s\n", l.Name, l.Direction, l.URL, l.Remote)
		fmt.Fprintf(w, "collection\t%s as %s\nstate\t%s\n", l.Collection, l.Account, linkState(l))
		fmt.Fprintf(w, "last success\t%s\n", timeOrNever(l.LastSuccess))
		if l.Problem != "" {
			fmt.Fprintf(w, "problem\t%s\nfailures\t%d, next try %s\n", oneLine(l.Problem), l.Failures, taxii.FormatTime(l.NextTry))
		}
		for _, sentence := range l.Notices {
			fmt.Fprintf(w, "notice\t%s\n", oneLine(sentence))
		}
		fmt.Fprintf(w, "objects\t%d\n", l.Objects)
		if len(l.Refused) > 0 {
			fmt.Fprintln(w)
			table(w, "refused,because", slices.Sorted(maps.Keys(l.Refused)), func(rule string) []any { return []any{l.Refused[rule], rule} })
			fmt.Fprintln(w)
			table(w, "last refused,object,message", l.Recent, func(r link.Refusal) []any { return []any{taxii.FormatTime(r.Time), r.ID, r.Message} })
		}
		if len(l.Withdrawn) > 0 {
			fmt.Fprintln(w)
			table(w, "withdrawn,object,because", l.Withdrawn, func(o link.Withdrawn) []any { return []any{taxii.FormatTime(o.Time), o.ID, o.Why} })
		}
	})
}
