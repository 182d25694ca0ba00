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

// figures are the results of a demonstration.
type figures struct {
	Centre        operation.Stats          `json:"centre"`
	Bureaus       operation.Stats          `json:"bureaus"`
	Contributions []operation.Contribution `json:"contributions"`
	Blocked       int                      `json:"blocked"` // addresses that Cambodia's firewall gets
	received      map[string]received      // by bureau
}

// waitForFindings waits until every pushed object is in the findings.
func (p *play) waitForFindings() error {
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
	fmt.Fprintf(p.progressOut, "%-8s published %s objects: %d reports and the feeds of %d countries, drafted by %s, published by %s\n",
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
	fmt.Fprintf(p.progressOut, "%-8s withdrew: %s records of its data are removed\n", vendor, thousands(int(certificate.Records)))
	return p.waitForFindings()
}

// figures reads the figures by the commands of an operator, and the feeds of the bureaus.
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
	if f.Blocked, err = p.listed(); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	f.received, err = p.receive()
	return f, err
}

// show prints the board, and the differences from the truth, which are an error.
func (p *play) show(f *figures, want *figures) error {
	differences := differences(f, want)
	if p.json {
		if err := indented(p.out, struct {
			*figures
			Matches     bool     `json:"matches"`
			Differences []string `json:"differences"`
		}{f, len(differences) == 0, differences}); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(p.out)
		board(p.out, f.Centre)
		fmt.Fprintf(p.out, "Digest %s\nBureaus together: %s C2 servers, digest %s\nCambodia's firewall: %s addresses\n\n",
			f.Centre.C2.Digest, thousands(f.Bureaus.C2.Identified), f.Bureaus.C2.Digest, thousands(f.Blocked))
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

// differences lists the figures that differ from the wanted ones, by name. It compares
// only the contributions that the truth has; a contributor that gave nothing counts as
// absent.
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
	flatten(all, "blocked", f.Blocked)
	for name, s := range map[string]operation.Stats{"centre": f.Centre, "bureaus": f.Bureaus} {
		s.As, s.Operation, s.Snapshot = "", "", time.Time{}
		flatten(all, name, s)
	}
	for bureau, got := range f.received {
		flatten(all, "feeds."+bureau, got)
	}
	for _, c := range f.Contributions {
		if c.Given+c.Relayed > 0 {
			c.Fresh, c.NotCounted, c.ActedOn, c.Neutralised, c.Received = 0, nil, 0, 0, 0
			flatten(all, "contributions."+c.Origin, c)
		}
	}
	return all
}

// flatten adds the figures of v to all, by their names. It leaves out zeros, so that an
// absent figure equals zero.
func flatten(all map[string]string, name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("demo: " + err.Error()) // it holds numbers and strings only
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) == nil {
		for member, value := range members {
			flatten(all, name+"."+member, value)
		}
		return
	}
	if s := string(text); s != "0" && s != `""` && s != "null" && s != "[]" {
		all[name] = s
	}
}
