package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

type feedCmd struct {
	Add     feedAddCmd     `cmd:"" help:"Take a feed file: from now on the account can read the feed."`
	Preview feedPreviewCmd `cmd:"" help:"Show what a feed file would list, and keep nothing."`
	List    feedListCmd    `cmd:"" help:"List feeds."`
	Show    feedShowCmd    `cmd:"" help:"Show what a feed lists, what it leaves out and why, its files, and who read them."`
	Test    feedTestCmd    `cmd:"" help:"Send a message to the webhook of a feed now."`
	Rotate  feedRotateCmd  `cmd:"" help:"Make new secrets of a feed; the last ones stay valid until the next rotation."`
	Remove  feedRemoveCmd  `cmd:"" help:"Remove a feed."`
}

type feedAddCmd struct {
	File    string `arg:"" placeholder:"FILE" help:"As comity help feed describes it."`
	Replace bool   `help:"Put it in the place of the feed of that id."`
}

func (c *feedAddCmd) Run(sh *shell) error { return sh.feedFile("feed/add", c.File, c.Replace) }

type feedPreviewCmd struct {
	File string `arg:"" placeholder:"FILE" help:"As comity help feed describes it."`
}

func (c *feedPreviewCmd) Run(sh *shell) error { return sh.feedFile("feed/preview", c.File, false) }

// feedFile calls a verb whose argument is a feed file. A file that is wrong, or asks for more than
// its account may have, is an error in usage.
func (sh *shell) feedFile(verb, name string, replace bool) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	page, err := call[feed.Page](sh, verb, admin.FeedFile{Name: name, Source: string(source), Replace: replace})
	if code := taxii.CodeOf(err); err != nil && (code == taxii.Invalid || code == taxii.Forbidden) {
		return usage{err}
	}
	if err != nil {
		return err
	}
	return sh.printFeed(&page)
}

type feedListCmd struct{}

func (c *feedListCmd) Run(sh *shell) error {
	list, err := call[[]exchange.Feed](sh, "feed/list", nil)
	if err != nil {
		return err
	}
	return printTable(sh, list, "feed,account,use,added", list, func(f exchange.Feed) []any {
		return []any{exchange.FeedKey(f.Account, f.ID), f.Account, f.Use, taxii.FormatTime(f.Added)}
	})
}

type feedShowCmd struct {
	Feed    string `arg:"" placeholder:"ORG/ID" help:"The organisation and the id of the feed, as comity feed list shows them."`
	Secrets bool   `help:"Show the secrets of the feed instead: keys to read it over the DNS and to verify its webhook, and its URL with a secret if the agreements allow one."`
}

func (c *feedShowCmd) Run(sh *shell) error {
	if c.Secrets {
		return sh.secrets("feed/secrets", c.Feed)
	}
	page, err := call[feed.Page](sh, "feed/show", c.Feed)
	if err != nil {
		return err
	}
	return sh.printFeed(&page)
}

type feedTestCmd struct {
	Feed string `arg:"" placeholder:"ORG/ID" help:"The organisation and the id of the feed, as comity feed list shows them."`
}

// Run fails if the receiver does not take the message.
func (c *feedTestCmd) Run(sh *shell) error {
	got, err := call[feed.WebhookTest](sh, "feed/test", c.Feed)
	if err != nil {
		return err
	}
	if err := sh.print(got, func(w io.Writer) {
		fmt.Fprintf(w, "url\t%s\nstatus\t%d\nseconds\t%.3f\n", got.URL, got.Status, got.Seconds)
		if got.Answer != "" {
			fmt.Fprintf(w, "answer\t%s\n", oneLine(got.Answer))
		}
	}); err != nil || got.Problem == "" {
		return err
	}
	return fmt.Errorf("the receiver did not take the message: %s", got.Problem)
}

type feedRotateCmd struct {
	Feed string `arg:"" placeholder:"ORG/ID" help:"The organisation and the id of the feed, as comity feed list shows them."`
}

func (c *feedRotateCmd) Run(sh *shell) error { return sh.secrets("feed/rotate", c.Feed) }

// secrets calls a verb that answers with the secrets of a feed.
func (sh *shell) secrets(verb, key string) error {
	list, err := call[[]feed.Secret](sh, verb, key)
	if err != nil {
		return err
	}
	return sh.print(list, func(w io.Writer) {
		table(w, "purpose,name,secret", list, func(s feed.Secret) []any { return []any{s.Purpose, s.Name, s.Value} })
	})
}

type feedRemoveCmd struct {
	Feed string `arg:"" placeholder:"ORG/ID" help:"The organisation and the id of the feed, as comity feed list shows them."`
}

func (c *feedRemoveCmd) Run(sh *shell) error {
	f, err := call[exchange.Feed](sh, "feed/remove", c.Feed)
	if err != nil {
		return err
	}
	return sh.print(f, func(w io.Writer) { fmt.Fprintf(w, "removed %s\n", exchange.FeedKey(f.Account, f.ID)) })
}

// webhookRow says how messages to a receiver go.
func webhookRow(p *feed.WebhookPage) []any {
	state := "up to date"
	switch {
	case p.Dead:
		state = "given up: " + p.Problem + "; comity feed test tries again"
	case p.Failures > 0:
		state = p.Problem + "; next attempt " + taxii.FormatTime(p.Next)
	}
	return []any{p.URL, p.Content, timeOrNever(p.Last), p.Failures, state}
}

func (sh *shell) printFeed(p *feed.Page) error {
	return sh.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "feed\t%s\naccount\t%s\n", p.ID, p.Account)
		if p.Problem != "" {
			fmt.Fprintf(w, "problem\t%s\n", p.Problem)
			return
		}
		fmt.Fprintf(w, "use\t%s\nversion\t%s\n", p.Use, p.Version)
		if !p.Expires.IsZero() {
			fmt.Fprintf(w, "credentials expire\t%s\n", taxii.FormatTime(p.Expires))
		}
		for _, alias := range p.Collections {
			fmt.Fprintf(w, "collection\t%s\n", alias)
		}
		fmt.Fprintln(w)
		table(w, "kind,entries", slices.Sorted(maps.Keys(p.Entries)), func(kind string) []any { return []any{kind, p.Entries[kind]} })
		if len(p.LeftOut) > 0 {
			fmt.Fprintln(w)
			table(w, "left out,because", slices.Sorted(maps.Keys(p.LeftOut)), func(reason stixfeed.Reason) []any {
				return []any{p.LeftOut[reason], reason}
			})
		}
		if len(p.Sample) > 0 {
			fmt.Fprintln(w)
			table(w, "kind,value,indicators", p.Sample, func(s feed.Sample) []any { return []any{s.Kind, s.Value, len(s.IDs)} })
		}
		if len(p.Files) > 0 {
			fmt.Fprintln(w)
			table(w, "file,media type,for", p.Files, func(f feed.File) []any { return []any{f.URL, f.MediaType, f.Reader} })
		}
		if p.Webhook != nil {
			fmt.Fprintln(w)
			table(w, "webhook,content,last taken,failures since,state", []*feed.WebhookPage{p.Webhook}, webhookRow)
		}
		if len(p.Failures) > 0 {
			fmt.Fprintln(w)
			table(w, "failures in 24 h,status", slices.Sorted(maps.Keys(p.Failures)), func(status string) []any { return []any{p.Failures[status], status} })
		}
		if len(p.Agents) > 0 {
			fmt.Fprintln(w)
			table(w, "program,first read", p.Agents, func(a feed.Agent) []any { return []any{a.Agent, taxii.FormatTime(a.First)} })
		}
		if len(p.Pulls) > 0 {
			fmt.Fprintln(w)
			table(w, "file,last read,status,bytes,left out,by", p.Pulls, func(p feed.Pull) []any {
				left := 0
				for _, n := range p.LeftOut {
					left += n
				}
				return []any{p.File, taxii.FormatTime(p.Time), p.Status, size(p.Bytes), left, p.Agent}
			})
		}
	})
}
