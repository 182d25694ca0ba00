package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"comity/stix"
	"comity/stix/report"
	"comity/store"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

// draft drafts a release; the form may bring the analyst's words on one report.
func (c *Console) draft(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	notes := map[string]string{}
	if text := strings.TrimSpace(v.r.PostFormValue("note")); text != "" {
		notes[v.r.PostFormValue("number")] = text
	}
	if _, err := c.Admin.Draft(v.r.Context(), v.actor(), admin.Draft{ID: id, As: v.Account, Notes: notes}); err != nil {
		return err
	}
	v.redirect(operationURL(id) + "#reports")
	return nil
}

// publish publishes the draft of another person.
func (c *Console) publish(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	if _, err := c.Admin.Publish(v.r.Context(), v.actor(), admin.Publish{ID: id, As: v.Account}); err != nil {
		return err
	}
	v.redirect(operationURL(id) + "#reports")
	return nil
}

// report sends a report as it is printed: its body, or the annex with the parameter annex.
func (c *Console) report(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	page, err := c.reportPage(v, id, v.pathValue("report"), v.r.FormValue("annex") != "")
	if err != nil {
		return err
	}
	_, style, _ := bytes.Cut(page, []byte("<style>"))
	style, _, _ = bytes.Cut(style, []byte("</style>"))
	sum := sha256.Sum256(style)
	v.Header().Set("Content-Security-Policy", strings.Replace(policy, "script-src 'self'; style-src 'self'", "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", 1))
	v.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.Write(page)
	return nil
}

// reportPage is the page of the body or the annex of a report. It is read through the account's
// grants on the collections of an operation, which is a delivery. The centre gets a report that is
// not published as it would read today.
func (c *Console) reportPage(v *visit, id, number string, annex bool) ([]byte, error) {
	for _, g := range v.snapshot.Policy.Grants(v.Principal, v.now) {
		if g.Collection().Agreement != id || !g.CanRead() {
			continue
		}
		page, err := c.deliverReport(v, g, number, annex)
		if err != nil || page != nil {
			return page, err
		}
	}
	if v.Org != v.snapshot.Policy.Centre().ID {
		return nil, errNotThere
	}
	documents, err := c.Admin.Report(v.r.Context(), admin.Report{Number: number})
	if err != nil {
		return nil, err
	}
	if d := find(documents, annex); d != nil {
		return pageOf(d, id)
	}
	return nil, errNotThere
}

// pageOf is the page of a report of an operation.
func pageOf(d *report.Document, operation string) ([]byte, error) {
	var page bytes.Buffer
	err := d.LinkedHTML(&page, operationURL(operation)+"#reports")
	return page.Bytes(), err
}

// deliverReport is the page of the body or the annex of a report in a collection, which is
// recorded as delivered; nil if there is none.
func (c *Console) deliverReport(v *visit, g exchange.Grant, number string, annex bool) ([]byte, error) {
	defer c.Recorder.Reading(g.ID())()
	state, err := c.Store.State(v.r.Context(), g.ID())
	if err != nil {
		return nil, err
	}
	key := reportKeyOf(g, number, annex)
	r := c.reports.find(key, state, g.View().At)
	if r == nil {
		r = &cachedReport{key: key, Standing: store.Standing{State: state, Asked: g.View().At}}
		objects, err := c.reportObjects(v, g, r)
		if err != nil {
			return nil, err
		}
		d := find(report.Read(objects, number), annex)
		if d == nil {
			return nil, nil
		}
		if r.page, err = pageOf(d, g.Collection().Agreement); err != nil {
			return nil, err
		}
		c.reports.add(r)
	}
	for _, d := range r.delivered {
		if err := c.Recorder.Deliver(g, d.match, d.Page); err != nil {
			return nil, err
		}
	}
	return r.page, nil
}

// find returns the body or the annex of a report; nil if it has none.
func find(documents []*report.Document, annex bool) *report.Document {
	for _, d := range documents {
		if d.Annex == annex {
			return d
		}
	}
	return nil
}

// reportObjects are the objects of a collection that r consists of; none if there is no such
// report. It sets when r ends and what is recorded as delivered. Other reports, and relationships
// of other objects, are read to find these, and nobody gets them.
func (c *Console) reportObjects(v *visit, g exchange.Grant, r *cachedReport) (objects []stix.Object, err error) {
	known := map[stix.ID]bool{}
	var next []string // ids that are known and not read yet
	// take takes the objects of the report among those that q finds.
	take := func(q store.Query, ofReport func(*stix.Object) bool) error {
		for q.Limit, q.MaxBytes = readAtOnce, maxPage; ; {
			page, err := c.Store.Scan(v.r.Context(), g, q)
			if err != nil {
				return err
			}
			found, err := objectsOf(page)
			if err != nil {
				return err
			}
			taken := q
			taken.IDs = nil
			for _, o := range found {
				if !ofReport(&o) {
					continue
				}
				known[o.ID] = true
				objects, taken.IDs = append(objects, o), append(taken.IDs, string(o.ID))
				o.References(func(_ string, id stix.ID) {
					if !known[id] && id.Type() != "marking-definition" {
						known[id], next = true, append(next, string(id))
					}
				})
			}
			if len(taken.IDs) > 0 {
				d := deliveryOf(taken, page)
				d.Count = len(taken.IDs)
				r.delivered = append(r.delivered, d)
			}
			if page.Until > 0 && (r.Until == 0 || page.Until < r.Until) {
				r.Until = page.Until
			}
			if !page.More {
				return nil
			}
			q.After = page.Last
		}
	}
	takeNext := func() error {
		for len(next) > 0 {
			var m taxii.Match
			n := min(len(next), readAtOnce)
			m.IDs, next = next[:n:n], next[n:]
			for _, id := range m.IDs {
				m.Types = append(m.Types, stix.ID(id).Type())
			}
			slices.Sort(m.Types)
			m.Types = slices.Compact(m.Types)
			if err := take(store.Query{Match: m}, func(*stix.Object) bool { return true }); err != nil {
				return err
			}
		}
		return nil
	}
	if err := take(store.Query{Match: taxii.Match{Types: []string{"report"}}}, func(o *stix.Object) bool {
		return find(report.Read([]stix.Object{*o}, r.key.number), r.key.annex) != nil
	}); err != nil || len(objects) == 0 {
		return nil, err
	}
	if err := takeNext(); err != nil {
		return nil, err
	}
	if err := take(store.Query{Match: taxii.Match{Types: []string{"relationship", "note"}}}, func(o *stix.Object) (from bool) {
		if known[o.ID] {
			return false // it is among the objects already
		}
		o.References(func(property string, id stix.ID) {
			from = from || known[id] && (property == "source_ref" || property == "object_refs")
		})
		return from
	}); err != nil {
		return nil, err
	}
	return objects, takeNext()
}

// readAtOnce is the number of objects of a report that are read at once. A page of objects by their
// ids looks up all the ids, so there are no more ids than one page takes.
const readAtOnce = 1000
