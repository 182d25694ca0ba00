package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/operation"
)

// figures are what a demonstration comes to.
type figures struct {
	Centre        operation.Stats          `json:"centre"`
	Bureaus       operation.Stats          `json:"bureaus"`
	Contributions []operation.Contribution `json:"contributions"`
	feeds         map[string]feed          // by bureau
}

// settle waits until all that was pushed is in the findings.
func (p *play) settle() error {
	_, err := p.stats("")
	return err
}

func (p *play) stats(as string) (operation.Stats, error) {
	return call[operation.Stats](p.shell, "op/stats", admin.Operation{ID: demoOperation, As: as})
}

// publish lets one person of the centre draft the release and another publish it.
func (p *play) publish() error {
	if _, err := call[operation.Release](p.shell, "report/draft", admin.Draft{ID: demoOperation, As: drafter}); err != nil {
		return err
	}
	r, err := call[operation.Release](p.shell, "report/publish", admin.Publish{ID: demoOperation, As: publisher})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.talk, "%-8s published %s objects: %d reports and the feeds of %d countries, drafted by %s, published by %s\n",
		demoCentre, thousands(r.Objects), len(r.Reports), r.Feeds, drafter, publisher)
	return nil
}

// withdraw lets a vendor take its data back.
func (p *play) withdraw(vendor string) error {
	certificate, err := call[audit.Certificate](p.shell, "agreement/withdraw", admin.Withdraw{
		ID: "dea-" + vendor, Party: vendor, Reason: "article 12, on notice",
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.talk, "%-8s withdrew: %s records of its data are removed\n", vendor, thousands(int(certificate.Records)))
	return p.settle()
}

// figures asks for them, as an operator would, and looks at what bureaus get.
func (p *play) figures() (f *figures, err error) {
	f = &figures{}
	if f.Centre, err = p.stats(""); err != nil {
		return nil, err
	}
	if f.Bureaus, err = p.stats("bureaus"); err != nil {
		return nil, err
	}
	if f.Contributions, err = call[[]operation.Contribution](p.shell, "op/contributions", admin.Operation{ID: demoOperation}); err != nil {
		return nil, err
	}
	f.feeds, err = p.feeds()
	return f, err
}

// show prints the board and what differs from the truth; differences are an
// error.
func (p *play) show(f *figures, want *figures) error {
	differences := differences(f, want)
	if p.json {
		enc := json.NewEncoder(p.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(struct {
			*figures
			Matches     bool     `json:"matches"`
			Differences []string `json:"differences"`
		}{f, len(differences) == 0, differences}); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(p.out)
		board(p.out, f.Centre)
		fmt.Fprintf(p.out, "Digest %s\nBureaus together: %s C2 servers, digest %s\n\n", f.Centre.C2.Digest, thousands(f.Bureaus.C2.Identified), f.Bureaus.C2.Digest)
		contributionTable(p.out, f.Contributions)
		fmt.Fprintln(p.out)
		for _, d := range differences {
			fmt.Fprintln(p.out, d)
		}
	}
	if len(differences) > 0 {
		p.say("%d figures are not what they must be", len(differences))
		return errQuiet
	}
	if !p.json {
		fmt.Fprintf(p.out, "%d of %d, digest matches\n", f.Centre.Reports.Count, want.Centre.Reports.Count)
	}
	return nil
}

// differences are the figures that are not as wanted, one a line, by name. Of
// contributions only what the truth tells is compared, and a contributor that
// gave nothing is as good as none.
func differences(got, want *figures) []string {
	g, w := got.named(), want.named()
	all := maps.Clone(g)
	maps.Copy(all, w)
	lines := []string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if g[name] != w[name] {
			lines = append(lines, fmt.Sprintf("%s: got %s, want %s", name, orNothing(g[name]), orNothing(w[name])))
		}
	}
	return lines
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// named is every figure by its name, such as centre.c2.by_country.BN.
func (f *figures) named() map[string]string {
	all := map[string]string{}
	for name, s := range map[string]operation.Stats{"centre": f.Centre, "bureaus": f.Bureaus} {
		s.As, s.Operation, s.Snapshot = "", "", time.Time{}
		nameAll(all, name, s)
	}
	for bureau, feed := range f.feeds {
		nameAll(all, "feeds."+bureau, feed)
	}
	for _, c := range f.Contributions {
		if c.Given+c.Relayed > 0 {
			c.Fresh, c.NotCounted, c.ActedOn, c.Neutralised, c.Received = 0, nil, 0, 0, 0
			nameAll(all, "contributions."+c.Origin, c)
		}
	}
	return all
}

// nameAll names what v holds. Of what is absent and of what is zero it says
// nothing: they are the same.
func nameAll(all map[string]string, name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("demo: " + err.Error()) // it holds numbers and strings only
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) == nil {
		for member, value := range members {
			nameAll(all, name+"."+member, value)
		}
		return
	}
	if s := string(text); s != "0" && s != `""` && s != "null" && s != "[]" {
		all[name] = s
	}
}
