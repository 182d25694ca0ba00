package report_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
)

func TestRows(t *testing.T) {
	r := example()
	rows := report.Rows(r.Objects())
	var keys []string
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	want := []string{"198.18.4.100", "198.18.32.26", "198.18.32.7", "2001:db8:7::19", "c2-09999.kh.example", "c2-00031.kh.example"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("the worst first, of these the governments', then by key:\n%s", diff)
	}
	first := report.Row{
		Kind: fusion.C2, Key: "198.18.32.26", Values: r.Findings[0].Values, Country: "KH", Basis: fusion.ByReference,
		Families: []string{"Quietmoth"}, First: time.Date(2017, 2, 19, 4, 10, 0, 0, time.UTC), Last: time.Date(2017, 4, 11, 22, 31, 0, 0, time.UTC),
		Sources: 3, Confidence: 90, Severity: fusion.High, Label: stix.Amber, Numbers: []string{"CAR-2017-KH-C2"},
		Finding:   report.ID(r.Namespace, r.Operation, "infrastructure", "c2|198.18.32.26"),
		Indicator: report.ID(r.Namespace, r.Operation, "indicator", "c2|198.18.32.26"),
	}
	if diff := cmp.Diff(first, rows[1]); diff != "" {
		t.Error(diff)
	}
	if got := rows[2]; !got.Government || got.Status != "in-progress" {
		t.Errorf("got %+v", got)
	}
	if got := rows[4].Label; got != stix.AmberStrict {
		t.Errorf("got %v, want amber+strict", got)
	}
}

// The newest version of an object counts, wherever it stands. Revoked objects do not
// count.
func TestRowsVersions(t *testing.T) {
	r := example()
	before := r.Objects()
	r.At, r.Findings[0].Status = r.At.Add(time.Hour), "sinkholed"
	after := r.Objects()
	for name, objects := range map[string][]stix.Object{"newest last": slices.Concat(before, after), "newest first": slices.Concat(after, before)} {
		if rows := report.Rows(objects); len(rows) != len(r.Findings) || rows[1].Status != "sinkholed" {
			t.Errorf("%s: got %d rows, %+v", name, len(rows), rows[1])
		}
	}
	gone := object(t, `{"type":"infrastructure","spec_version":"2.1","id":"`+string(report.Rows(after)[1].Finding)+
		`","created":"2017-04-14T00:00:00.000Z","modified":"2017-05-14T00:00:00.000Z","revoked":true,"name":"gone"}`)
	if rows := report.Rows(append(after, gone)); len(rows) != len(r.Findings)-1 {
		t.Errorf("got %d rows, want %d", len(rows), len(r.Findings)-1)
	}
}

func object(t *testing.T, raw string) stix.Object {
	t.Helper()
	o, err := stix.NewObject([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Objects made by others, such as pulled ones, may lack properties that this package
// writes.
func TestRowsOfOthers(t *testing.T) {
	const head = `"spec_version":"2.1","created":"2017-04-14T00:00:00.000Z","modified":"2017-04-14T00:00:00.000Z"`
	objects := []stix.Object{
		object(t, `{"type":"autonomous-system","spec_version":"2.1","id":"autonomous-system--f720c34b-98ae-597f-ade5-27dc241e8c74","number":64496}`),
		object(t, `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--24394a39-8e79-5c60-b468-01f9ba983415","value":"198.18.32.26","belongs_to_refs":["autonomous-system--f720c34b-98ae-597f-ade5-27dc241e8c74"]}`),
		object(t, `{"type":"infrastructure",`+head+`,"id":"infrastructure--be816996-e18b-56f4-81db-c647c8208bec","name":"x","labels":["sources:many","severity:high"]}`),
		object(t, `{"type":"relationship",`+head+`,"id":"relationship--55c006f2-7898-5ddc-8f37-45e390bc4609","relationship_type":"consists-of","source_ref":"infrastructure--be816996-e18b-56f4-81db-c647c8208bec","target_ref":"ipv4-addr--24394a39-8e79-5c60-b468-01f9ba983415"}`),
		object(t, `{"type":"relationship",`+head+`,"id":"relationship--55c006f2-7898-5ddc-8f37-45e390bc4610","relationship_type":"located-at","source_ref":"infrastructure--be816996-e18b-56f4-81db-c647c8208bec","target_ref":"location--17c3d7cc-7600-5f6d-8d81-e4e04a644181"}`),
	}
	want := []report.Row{{
		Kind: fusion.Other, Key: "198.18.32.26", Values: []stix.Value{{Type: "ipv4-addr", Text: "198.18.32.26"}}, AS: 64496,
		Severity: fusion.High, Label: stix.Red, Finding: "infrastructure--be816996-e18b-56f4-81db-c647c8208bec",
	}}
	if diff := cmp.Diff(want, report.Rows(objects)); diff != "" {
		t.Error(diff)
	}
}
