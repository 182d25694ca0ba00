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

// flow writes a paragraph for the collections of a flow, or one for those of
// each parent where these differ.
func (e *explainer) flow(f *Flow) {
	var groups []flowGroup
	for _, c := range e.expand(f) {
		var parents []*Agreement
		for _, p := range e.parents {
			if slices.Contains(c.Parents, p.ID) {
				parents = append(parents, p)
			}
		}
		text := e.masked(e.conditions(f, e.Terms(f.Name, parents...)), parents)
		i := slices.IndexFunc(groups, func(s flowGroup) bool { return s.text == text })
		if i < 0 {
			i = len(groups)
			groups = append(groups, flowGroup{text: text})
		}
		s := &groups[i]
		s.collections = append(s.collections, c)
		for _, id := range c.Parents {
			if !slices.Contains(s.parents, id) {
				s.parents = append(s.parents, id)
			}
		}
	}
	for _, s := range groups {
		lead := e.text([]sentence{{e.lead(s), e.article(&f.Block)}})
		lead = strings.ToUpper(lead[:1]) + lead[1:]
		e.say("Flow " + f.Name + ". " + lead + " " + unmasked(s.text, s.parents))
	}
}

// lead says who may send to whom.
func (e *explainer) lead(s flowGroup) string {
	var writers, readers []string
	for _, c := range s.collections {
		if !slices.Contains(writers, c.Writer) {
			writers = append(writers, c.Writer)
		}
		for _, r := range c.Readers {
			if !slices.Contains(readers, r) {
				readers = append(readers, r)
			}
		}
	}
	from, to := e.group(writers), e.group(readers)
	if len(s.collections) > 1 && len(readers) > 1 {
		to += ", each apart from the others"
	}
	switch {
	case len(s.parents) == 1:
		to += ", under " + s.parents[0]
	case len(s.collections) > 1 && len(s.parents) > 1:
		to += ", under " + enumerate(s.parents) + ", each under its own"
	case len(s.parents) > 1:
		to += ", under the strictest terms of " + enumerate(s.parents)
	}
	return fmt.Sprintf("%s may send to %s", from, to)
}

// group are organisations by their names, or by their roles where these have
// many and all are meant: "every provider and every bureau".
func (e *explainer) group(orgs []string) string {
	var names, roles []string
	for _, org := range orgs {
		m, _ := e.Member(org)
		all := slices.DeleteFunc(e.Members(), func(n Member) bool { return n.Role != m.Role })
		if len(all) < 3 || slices.ContainsFunc(all, func(n Member) bool { return !slices.Contains(orgs, n.Org) }) {
			names = append(names, e.called(org)...)
		} else if role := "every " + m.Role; !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return enumerate(append(names, roles...))
}

// conditions are the terms of a flow, in the order a lawyer asks for them:
// what, how labelled, what for, and what becomes of it.
func (e *explainer) conditions(f *Flow, t Terms) []sentence {
	var ss []sentence
	say := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	switch {
	case t.Types == nil:
		say("object_types", "Objects of every type may be sent")
	case len(t.Types) == 0:
		say("object_types", "No object may be sent: the agreements behind this one have no type in common")
	default:
		say("object_types", "Objects of these types may be sent: %s", enumerate(t.Types))
	}
	if t.UnknownTypes == Reject {
		say("unknown_types", "Types that STIX does not know are refused")
	}
	if t.RefuseCustom {
		say("refuse_custom", "Custom properties, types and extensions that no extension definition explains are refused")
	}
	if t.LooseURLs {
		say("loose_urls", "URLs may hold what should be percent-encoded, such as spaces")
	}
	if t.NewUUIDs {
		say("new_uuids", "Ids may have UUIDs of version 6 to 8")
	}
	say("stix_versions", "They are written in STIX %s", strings.Join(t.STIXVersions, " or "))
	if len(t.Require) > 0 {
		say("require", "Each must have %s", enumerate(saying(map[string]string{
			"created_by_ref": "a creator", "valid_until": "an end of its validity", "tlp": "a TLP label",
		}, t.Require...)))
	}
	if len(t.Withhold) > 0 {
		say("withhold", "Left out are %s", enumerate(spaced(t.Withhold...)))
	}
	if t.About != "" {
		say("about", "It is about %s alone", strings.Replace(spaced(t.About)[0], "own ", "the recipient's own ", 1))
	}
	ss = append(ss, e.labels(t)...)
	say("categories", "It may be used in matters of %s", enumerate(spaced(t.Purposes...)))
	if len(t.Excluded) > 0 {
		say("excluded", "Excluded are %s", enumerate(spaced(t.Excluded...)))
	}
	say("writer_reads", "The sender %s", map[[2]bool]string{
		{true, true}: "reads back what it sent, and may delete it", {true, false}: "reads back what it sent, and may not delete it",
		{false, true}: "does not read back what it sent, and may delete it", {false, false}: "neither reads back nor deletes what it sent",
	}[[2]bool{t.WriterReads, t.OwnerDeletes}])
	if f.fromOthers(e.Agreement) {
		ss = append(ss, e.onward(t)...)
	}
	return ss
}

// labels says how objects are labelled, and who is shown TLP:RED.
func (e *explainer) labels(t Terms) []sentence {
	var ss []sentence
	say := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	switch {
	case t.Floor >= t.Max:
		say("tlp_max", "All of it is %s", tlpWords(t.Max))
	case t.Floor > stix.Clear:
		say("tlp_max", "Labels go up to %s, and a label below %s counts as %[2]s", tlpWords(t.Max), tlpWords(t.Floor))
	default:
		say("tlp_max", "Labels go up to %s", tlpWords(t.Max))
	}
	if t.Unmarked == nil {
		say("unmarked", "An object without a label is refused")
	} else {
		say("unmarked", "An object without a label is %s", tlpWords(*t.Unmarked))
	}
	if t.UnmarkedObservables == Inherit {
		alone := "refused"
		if t.Unmarked != nil {
			alone = tlpWords(*t.Unmarked)
		}
		say("unmarked_observables", "An observable, relationship, sighting, location or identity without a label takes the strictest of "+
			"the objects in the same push that refer to it or that it refers to; one that has no link to a labelled object is %s", alone)
	}
	if t.UnknownMarking == Ignore {
		say("unknown_marking", "A marking nobody here knows changes nothing")
	} else {
		say("unknown_marking", "A marking nobody here knows counts as TLP:RED")
	}
	if t.Max == stix.Red {
		if len(t.RedRecipients) == 0 {
			say("red_recipients", "TLP:RED is shown to nobody but the sender")
		} else {
			say("red_recipients", "TLP:RED is shown, besides the sender, to %s alone", enumerate(t.RedRecipients))
		}
	}
	if t.PAPMax != "red" {
		say("pap_max", "PAP labels go up to PAP:%s", strings.ToUpper(t.PAPMax))
	}
	return ss
}

// onward says what the recipient may pass on, and whether it names the source.
func (e *explainer) onward(t Terms) []sentence {
	centre := e.called(e.Centre())[0]
	var ss []sentence
	say := func(key, format string, args ...any) {
		ss = append(ss, sentence{fmt.Sprintf(format, args...), t.By[key]})
	}
	o := t.obligations()
	if len(o.onward.ToKinds) == 0 {
		say("onward", "%s may pass it on to nobody", centre)
	} else {
		text := fmt.Sprintf("%s may pass it on, %s", centre, saying(map[string]string{"fused-only": "only as part of what it has fused"}, o.onward.Form)[0])
		if o.onward.When != "" {
			text += saying(map[string]string{"operation": " and only in an operation"}, o.onward.When)[0]
		}
		text += ", to a " + strings.Join(spaced(o.onward.ToKinds...), " or a ")
		if o.onward.CountryLimit != "" {
			text += " (" + spaced(o.onward.CountryLimit)[0] + ")"
		}
		say("onward", "%s", text)
		for label, as := range o.leaves {
			switch from := tlpWords(stix.TLP(label)); {
			case as.Never:
				say("onward", "%s is never passed on", from)
			case as.TLP != stix.TLP(label):
				say("onward", "%s leaves as %s", from, tlpWords(as.TLP))
			}
		}
		if o.onward.ToVendors == "never" {
			say("onward", "Companies never receive it")
		}
	}
	var told, untold []string
	for _, to := range []struct{ who, how string }{
		{centre, o.attribution.Centre}, {"bureaus", o.attribution.Bureaus}, {"companies", o.attribution.Vendors},
	} {
		if to.how == "named" {
			told = append(told, to.who)
		} else {
			untold = append(untold, to.who)
		}
	}
	if len(told) > 0 {
		say("attribution", "The source is named to %s", enumerate(told))
	}
	if len(untold) > 0 {
		say("attribution", "The source is not named to %s", enumerate(untold))
	}
	return ss
}

// letter says what a reader letter opens.
func (e *explainer) letter() {
	for _, parent := range e.parents {
		for _, c := range e.Shared(parent) {
			f := e.Flow(c.Flow.Name)
			t := e.Terms(f.Name, parent)
			ss := []sentence{
				{fmt.Sprintf("%s may read %s, which %s writes for %s", enumerate(e.called(c.Readers...)), c.Alias,
					e.called(c.Writer)[0], enumerate(e.called(e.signers()...))), e.article(&f.Block)},
				{"It sees what is labelled up to " + tlpWords(t.Max), t.By["tlp_max"]},
				{"It may use it in matters of " + enumerate(spaced(t.Purposes...)), t.By["categories"]},
				{"It writes nothing, and reads only while both this letter and " + parent.ID + " are in force", Clause{}},
			}
			e.say("Flow " + f.Name + ". " + e.text(ss))
		}
	}
}
