package agreement

import (
	"cmp"

	"comity/stix"
)

// obligations are the blocks that a child agreement takes from its parent as a whole, with
// the defaults of their keys.
type obligations struct {
	onward      Onward
	leaves      [stix.Red + 1]LeavesAs // by the label that the data has
	attribution Attribution
	personal    PersonalData
	retention   Retention
}

func (t *Terms) obligations() *obligations {
	p := &obligations{
		onward:      *cmp.Or(t.Onward, &Onward{}),
		attribution: *cmp.Or(t.Attribution, &Attribution{}),
		personal:    *cmp.Or(t.PersonalData, &PersonalData{}),
		retention:   *cmp.Or(t.Retention, &Retention{}),
	}
	p.onward.Form = cmp.Or(p.onward.Form, "fused-only")
	p.onward.ToVendors = cmp.Or(p.onward.ToVendors, "never")
	for label := range p.leaves {
		p.leaves[label] = p.onward.leaves(stix.TLP(label))
	}
	at := &p.attribution
	for _, to := range []*string{&at.Centre, &at.Bureaus, &at.Vendors} {
		*to = cmp.Or(*to, "anonymous")
	}
	return p
}

// leaves is the label with which data of a label is passed on. Data of a label that
// leaves_as does not name is not passed on.
func (o *Onward) leaves(label stix.TLP) LeavesAs {
	as, ok := o.LeavesAs[label]
	if !ok {
		return LeavesAs{Never: true}
	}
	return as
}

func (p *obligations) limits() []limit {
	named := []string{"anonymous", "named"}
	ls := []limit{
		{"onward", "to_kinds", fewer, &p.onward.ToKinds, nil},
		{"onward", "form", lower, &p.onward.Form, []string{"fused-only"}},
		{"onward", "to_vendors", lower, &p.onward.ToVendors, []string{"never"}},
		{"attribution", "centre", lower, &p.attribution.Centre, named},
		{"attribution", "bureaus", lower, &p.attribution.Bureaus, named},
		{"attribution", "vendors", lower, &p.attribution.Vendors, named},
		{"personal_data", "forbidden", more, &p.personal.Forbidden, nil},
		{"personal_data", "allow_if", fewer, &p.personal.AllowIf, nil},
		{"retention", "keep", lower, &p.retention.Keep, nil},
		{"retention", "never_over", lower, &p.retention.NeverOver, nil},
	}
	for label := range p.leaves {
		ls = append(ls, limit{"onward", "leaves_as." + stix.TLP(label).String(), higher, &p.leaves[label], nil})
	}
	return ls
}

// allLimits are the limits and the obligations, for comparison. The obligations are copies,
// so changes to them do not change t.
func (t *Terms) allLimits() []limit {
	return append(t.limits(), t.obligations().limits()...)
}

// tighten makes t no wider than u in any term. The clause behind a term is that of the
// stricter one. Blocks of obligations are combined term by term.
func (t *Terms) tighten(u Terms) {
	mine, others := t.obligations(), u.obligations()
	theirs := append(u.limits(), others.limits()...)
	for i, l := range append(t.limits(), mine.limits()...) {
		narrowed := l.tighten(theirs[i])
		if narrowed && l.key == "keep" {
			mine.retention.Counted = others.retention.Counted // keep and counted belong together
		}
		clause, ok := u.By[l.clauseKey()]
		if ok && (narrowed || t.By[l.clauseKey()] == Clause{}) {
			t.By[l.clauseKey()] = clause
		}
	}
	mine.merge(others)
	if t.Onward != nil || u.Onward != nil {
		t.Onward = &mine.onward
	}
	if t.Attribution != nil || u.Attribution != nil {
		t.Attribution = &mine.attribution
	}
	if t.PersonalData != nil || u.PersonalData != nil {
		t.PersonalData = &mine.personal
	}
	if t.Retention != nil || u.Retention != nil {
		t.Retention = &mine.retention
	}
}

// merge takes from q the terms that cannot be compared and that p lacks. The override of the
// attribution stays only if both have it.
func (p *obligations) merge(q *obligations) {
	p.onward.LeavesAs = map[stix.TLP]LeavesAs{}
	for label, as := range p.leaves {
		p.onward.LeavesAs[stix.TLP(label)] = as
	}
	p.onward.When = cmp.Or(p.onward.When, q.onward.When)
	p.onward.CountryLimit = cmp.Or(p.onward.CountryLimit, q.onward.CountryLimit)
	if p.attribution.Override != q.attribution.Override {
		p.attribution.Override = ""
	}
	p.personal.OnFind = cmp.Or(p.personal.OnFind, q.personal.OnFind)
	p.retention.Review = cmp.Or(p.retention.Review, q.retention.Review)
	p.retention.Leaves = cmp.Or(p.retention.Leaves, q.retention.Leaves)
}
