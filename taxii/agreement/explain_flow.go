package agreement

import (
	"fmt"
	"slices"
	"strings"

	"comity/stix"
)

// flowGroup holds the collections of a flow that have the same terms, and the
// parent agreements that these terms come from.
type flowGroup struct {
	collections []Collection
	parents     []string
	text        string // of the terms
}

// flow adds a paragraph for the collections of a flow, or several if the terms of their
// parents differ.
func (e *explainer) flow(f *Flow) {
	var groups []flowGroup
	for _, c := range e.expand(f) {
		var parents []*Agreement
		for _, p := range e.parents {
			if slices.Contains(c.Parents, p.ID) {
				parents = append(parents, p)
			}
		}
		terms := e.Terms(f.Name, parents...)
		e.addFeeds(f, terms, parents)
		text := e.masked(e.conditions(f, terms), parents)
		i := slices.IndexFunc(groups, func(g flowGroup) bool { return g.text == text })
		if i < 0 {
			i = len(groups)
			groups = append(groups, flowGroup{text: text})
		}
		g := &groups[i]
		g.collections = append(g.collections, c)
		for _, id := range c.Parents {
			if !slices.Contains(g.parents, id) {
				g.parents = append(g.parents, id)
			}
		}
	}
	for _, g := range groups {
		route := e.join([]sentence{{e.route(g), e.article(&f.Block)}})
		route = strings.ToUpper(route[:1]) + route[1:]
		e.paragraph("Flow " + f.Name + ". " + route + " " + unmasked(g.text, g.parents))
	}
}

// route names the senders and the recipients of a group.
func (e *explainer) route(g flowGroup) string {
	var writers, readers []string
	for _, c := range g.collections {
		if !slices.Contains(writers, c.Writer) {
			writers = append(writers, c.Writer)
		}
		for _, r := range c.Readers {
			if !slices.Contains(readers, r) {
				readers = append(readers, r)
			}
		}
	}
	from, to := e.namesOrRoles(writers), e.namesOrRoles(readers)
	if len(g.collections) > 1 && len(readers) > 1 {
		to += ", each apart from the others"
	}
	switch {
	case len(g.parents) == 1:
		to += ", under " + g.parents[0]
	case len(g.collections) > 1 && len(g.parents) > 1:
		to += ", under " + enumerate(g.parents) + ", each under its own"
	case len(g.parents) > 1:
		to += ", under the strictest terms of " + enumerate(g.parents)
	}
	return fmt.Sprintf("%s may send to %s", from, to)
}

// namesOrRoles are the names of organisations. All organisations of one role are named by
// the role if they are three or more: "every provider and every bureau".
func (e *explainer) namesOrRoles(orgs []string) string {
	var names, roles []string
	for _, org := range orgs {
		m, _ := e.Member(org)
		all := slices.DeleteFunc(e.Members(), func(n Member) bool { return n.Role != m.Role })
		if len(all) < 3 || slices.ContainsFunc(all, func(n Member) bool { return !slices.Contains(orgs, n.Org) }) {
			names = append(names, e.namesOf(org)...)
		} else if role := "every " + m.Role; !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return enumerate(append(names, roles...))
}

// conditions are sentences on the terms of a flow, in the order in which a lawyer asks for
// them: objects, labels, purposes, and the onward use of the objects.
func (e *explainer) conditions(f *Flow, t Terms) []sentence {
	var ss []sentence
	add := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	switch {
	case t.Types == nil:
		add("object_types", "Objects of every type may be sent")
	case len(t.Types) == 0:
		add("object_types", "No object may be sent: the agreements behind this one have no type in common")
	default:
		add("object_types", "Objects of these types may be sent: %s", enumerate(t.Types))
	}
	if t.UnknownTypes == Reject {
		add("unknown_types", "Types that STIX does not know are refused")
	}
	if t.RefuseCustom {
		add("refuse_custom", "Custom properties, types and extensions that no extension definition explains are refused")
	}
	if t.LooseURLs {
		add("loose_urls", "URLs may hold what should be percent-encoded, such as spaces")
	}
	if t.NewUUIDs {
		add("new_uuids", "Ids may have UUIDs of version 6 to 8")
	}
	add("stix_versions", "They are written in STIX %s", strings.Join(t.STIXVersions, " or "))
	if len(t.Require) > 0 {
		add("require", "Each must have %s", enumerate(phrases(map[string]string{
			"created_by_ref": "a creator", "valid_until": "an end of its validity", "tlp": "a TLP label",
		}, t.Require...)))
	}
	if len(t.Withhold) > 0 {
		add("withhold", "Left out are %s", enumerate(spaced(t.Withhold...)))
	}
	if t.About != "" {
		add("about", "It is about %s alone", strings.Replace(spaced(t.About)[0], "own ", "the recipient's own ", 1))
	}
	ss = append(ss, e.labels(t)...)
	add("categories", "It may be used in matters of %s", enumerate(spaced(t.Purposes...)))
	if len(t.Excluded) > 0 {
		add("excluded", "Excluded are %s", enumerate(spaced(t.Excluded...)))
	}
	add("writer_reads", "The sender %s", map[[2]bool]string{
		{true, true}: "reads back what it sent, and may delete it", {true, false}: "reads back what it sent, and may not delete it",
		{false, true}: "does not read back what it sent, and may delete it", {false, false}: "neither reads back nor deletes what it sent",
	}[[2]bool{t.WriterReads, t.OwnerDeletes}])
	if f.fromOthers(e.Agreement) {
		ss = append(ss, e.onward(t)...)
	}
	return ss
}

// labels are sentences on the labels of objects and on the recipients of TLP:RED.
func (e *explainer) labels(t Terms) []sentence {
	var ss []sentence
	add := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	switch {
	case t.Floor >= t.Max:
		add("tlp_max", "All of it is %s", tlpWords(t.Max))
	case t.Floor > stix.Clear:
		add("tlp_max", "Labels go up to %s, and a label below %s counts as %[2]s", tlpWords(t.Max), tlpWords(t.Floor))
	default:
		add("tlp_max", "Labels go up to %s", tlpWords(t.Max))
	}
	if t.Unmarked == nil {
		add("unmarked", "An object without a label is refused")
	} else {
		add("unmarked", "An object without a label is %s", tlpWords(*t.Unmarked))
	}
	if t.UnmarkedObservables == Inherit {
		alone := "refused"
		if t.Unmarked != nil {
			alone = tlpWords(*t.Unmarked)
		}
		add("unmarked_observables", "An observable, relationship, sighting, location or identity without a label takes the strictest of "+
			"the objects in the same push that refer to it or that it refers to; one that has no link to a labelled object is %s", alone)
	}
	if t.UnknownMarking == Ignore {
		add("unknown_marking", "A marking nobody here knows changes nothing")
	} else {
		add("unknown_marking", "A marking nobody here knows counts as TLP:RED")
	}
	if t.Max == stix.Red {
		if len(t.RedRecipients) == 0 {
			add("red_recipients", "TLP:RED is shown to nobody but the sender")
		} else {
			add("red_recipients", "TLP:RED is shown, besides the sender, to %s alone", enumerate(t.RedRecipients))
		}
	}
	if t.PAPMax != "red" {
		add("pap_max", "PAP labels go up to PAP:%s", strings.ToUpper(t.PAPMax))
	}
	return ss
}

// onward are sentences on passing data on and on naming the source.
func (e *explainer) onward(t Terms) []sentence {
	centre := e.namesOf(e.Centre())[0]
	var ss []sentence
	add := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	o := t.obligations()
	if len(o.onward.ToKinds) == 0 {
		add("onward", "%s may pass it on to nobody", centre)
	} else {
		text := fmt.Sprintf("%s may pass it on, %s", centre, phrases(map[string]string{"fused-only": "only as part of what it has fused"}, o.onward.Form)[0])
		if o.onward.When != "" {
			text += phrases(map[string]string{"operation": " and only in an operation"}, o.onward.When)[0]
		}
		text += ", to a " + strings.Join(spaced(o.onward.ToKinds...), " or a ")
		if o.onward.CountryLimit != "" {
			text += " (" + spaced(o.onward.CountryLimit)[0] + ")"
		}
		add("onward", "%s", text)
		for label, as := range o.leaves {
			switch from := tlpWords(stix.TLP(label)); {
			case as.Never:
				add("onward", "%s is never passed on", from)
			case as.TLP != stix.TLP(label):
				add("onward", "%s leaves as %s", from, tlpWords(as.TLP))
			}
		}
		if o.onward.ToVendors == "never" {
			add("onward", "Companies never receive it")
		}
	}
	var named, anonymous []string
	for _, to := range []struct{ recipient, attribution string }{
		{centre, o.attribution.Centre}, {"bureaus", o.attribution.Bureaus}, {"companies", o.attribution.Vendors},
	} {
		if to.attribution == "named" {
			named = append(named, to.recipient)
		} else {
			anonymous = append(anonymous, to.recipient)
		}
	}
	if len(named) > 0 {
		add("attribution", "The source is named to %s", enumerate(named))
	}
	if len(anonymous) > 0 {
		add("attribution", "The source is not named to %s", enumerate(anonymous))
	}
	return ss
}

// letter adds a paragraph for each collection that a reader letter opens.
func (e *explainer) letter() {
	for _, parent := range e.parents {
		for _, c := range e.Shared(parent) {
			f := e.Flow(c.Flow.Name)
			t := e.Terms(f.Name, parent)
			e.addFeeds(f, t, []*Agreement{parent})
			ss := []sentence{
				{fmt.Sprintf("%s may read %s, which %s writes for %s", enumerate(e.namesOf(c.Readers...)), c.Alias,
					e.namesOf(c.Writer)[0], enumerate(e.namesOf(e.signers()...))), e.article(&f.Block)},
				{"It sees what is labelled up to " + tlpWords(t.Max), t.By["tlp_max"]},
				{"It may use it in matters of " + enumerate(spaced(t.Purposes...)), t.By["categories"]},
				{"It writes nothing, and reads only while both this letter and " + parent.ID + " are in force", Clause{}},
			}
			e.paragraph("Flow " + f.Name + ". " + e.join(ss))
		}
	}
}
