package console

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// agreementURL is the page of an agreement.
func agreementURL(id string) string { return root + "agreements/" + url.PathEscape(id) }

func versionURL(id string, version int64) string {
	return agreementURL(id) + "/versions/" + strconv.FormatInt(version, 10)
}

// bound tells whether an agreement binds the organisation of the person: that at home for a
// seconded one. An operator of the centre may read all agreements.
func (v *visit) bound(agreement string) bool {
	return v.operator() || v.snapshot.Policy.Member(agreement, cmp.Or(v.Home, v.Org))
}

// readable is an agreement as the person may read it, without grants: whole if it binds the
// organisation of the person. An organisation that only an unsigned version names reads that
// version, which it has to sign, and nothing of the text in force.
func (c *Console) readable(v *visit, id string) (shown admin.Agreement, err error) {
	ctx, org := v.r.Context(), cmp.Or(v.Home, v.Org)
	if !v.bound(id) && !v.snapshot.Policy.Invited(id, org) {
		return shown, errNotThere
	}
	if shown, err = c.Admin.Agreement(ctx, admin.ShowAgreement{ID: id}); err != nil || v.bound(id) {
		return shown, err
	}
	for _, version := range slices.Backward(shown.Versions) {
		if len(version.Missing) == 0 {
			continue
		}
		waiting, err := c.Admin.Agreement(ctx, admin.ShowAgreement{ID: id, Version: version.Version})
		if err != nil {
			return shown, err
		}
		text, problems := agreement.Parse(id, []byte(waiting.Source))
		if err := problems.Err(); err != nil {
			return shown, err
		}
		if _, named := text.Member(org); named {
			return admin.Agreement{
				ID: id, Kind: string(text.Kind), Version: text.Version, Title: text.Title, State: exchange.Deposited, Effective: text.Term.Effective,
				Expires: text.Term.Expires, Digest: version.Digest, Versions: []admin.Version{version}, Source: waiting.Source,
			}, nil
		}
	}
	return shown, errNotThere
}

// agreementRow is an agreement in the list of those that bind the person's organisation.
type agreementRow struct {
	admin.Agreement
	URL string
}

// agreements lists the agreements of the person's organisation.
func (c *Console) agreements(v *visit) error {
	all, err := c.Admin.Agreements(v.r.Context())
	if err != nil {
		return err
	}
	var rows []agreementRow
	for _, a := range all {
		if !v.bound(a.ID) {
			if a, err = c.readable(v, a.ID); err != nil {
				if err != errNotThere {
					return err
				}
				continue
			}
		}
		rows = append(rows, agreementRow{a, agreementURL(a.ID)})
	}
	return c.render(v, "agreements", "Agreements", rows)
}

// agreementPage shows one agreement to a member of it.
type agreementPage struct {
	admin.Agreement
	Events    []event
	Explained []string // paragraphs
	Grants    []admin.Grant
	Older     int64 // the version that Changes compares with; 0 for none
	Changes   []agreement.Change
	Source    string
	Waiting   []waitingVersion
	Org       string   // of the person
	ActURL    string   // where an operator acts on the agreement; "" for others
	Members   []string // organisations, for an operator
}

// waitingVersion is a version that waits for signatures.
type waitingVersion struct {
	Version int64
	URL     string
	Sign    bool // the signature of the person's organisation is missing
}

// event is something that happened to an agreement, or will.
type event struct {
	Time time.Time
	Text string
	Will bool
}

// agreement shows an agreement: its state over time, what it says in plain words, who may do
// what, and what the last amendment changed.
func (c *Console) agreement(v *visit) error {
	ctx, id := v.r.Context(), v.pathValue("agreement")
	shown, err := c.readable(v, id)
	if err != nil {
		return err
	}
	out := agreementPage{Agreement: shown, Source: shown.Source, Events: eventsOf(shown, v.now), Org: v.Org}
	text, problems := agreement.Parse(id, []byte(shown.Source))
	if err := problems.Err(); err != nil {
		return err
	}
	for _, version := range shown.Versions {
		if len(version.Missing) > 0 {
			out.Waiting = append(out.Waiting, waitingVersion{version.Version, versionURL(id, version.Version), v.Home == "" && slices.Contains(version.Missing, v.Org)})
		}
	}
	if v.operator() {
		out.ActURL = agreementURL(id) + "/act"
		for _, m := range text.Members() {
			out.Members = append(out.Members, m.Org)
		}
	}
	// A parent is another agreement, which its members alone may read.
	parents := func(id string) *agreement.Agreement {
		if !v.bound(id) {
			return nil
		}
		return v.snapshot.Policy.Agreement(id, v.now)
	}
	var plain strings.Builder
	if err := text.Explain(&plain, parents); err != nil {
		return err
	}
	out.Explained = strings.Split(strings.TrimSpace(plain.String()), "\n\n")[1:] // without the title
	if !v.bound(id) {
		return c.render(v, "agreement", shown.Title, out)
	}
	if out.Grants, err = c.Admin.Grants(ctx, admin.View{Agreement: id}); err != nil {
		return err
	}
	if i := slices.IndexFunc(shown.Versions, func(a admin.Version) bool { return a.Digest == shown.Digest }); i > 0 {
		before, err := c.Admin.Agreement(ctx, admin.ShowAgreement{ID: id, Version: shown.Versions[i-1].Version})
		if err != nil {
			return err
		}
		old, problems := agreement.Parse(id, []byte(before.Source))
		if err := problems.Err(); err != nil {
			return err
		}
		out.Older, out.Changes = shown.Versions[i-1].Version, agreement.Diff(old, text, parents)
	}
	return c.render(v, "agreement", shown.Title, out)
}

// eventsOf is the life of an agreement in order of time.
func eventsOf(a admin.Agreement, now time.Time) (events []event) {
	add := func(t time.Time, format string, args ...any) {
		events = append(events, event{t, fmt.Sprintf(format, args...), t.After(now)})
	}
	for _, version := range a.Versions {
		add(version.Deposited, "version %d deposited", version.Version)
		if version.Signed != nil && version.Waived != "" {
			add(*version.Signed, "version %d signed; signatures waived: %s", version.Version, version.Waived)
		} else if version.Signed != nil {
			add(*version.Signed, "version %d signed by all", version.Version)
		}
	}
	for _, act := range a.Acts {
		add(act.At, "%s: %s", strings.TrimSpace(string(act.Kind)+" "+act.Party), act.Reason)
	}
	add(a.Effective, "takes effect")
	add(a.Expires, "expires")
	slices.SortStableFunc(events, func(a, b event) int { return a.Time.Compare(b.Time) })
	return events
}
