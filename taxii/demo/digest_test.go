package demo_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"comity/stix"
	"comity/taxii/demo"
)

// normal is the normal form of an address or a domain as it was sent.
func normal(value string) string {
	value = strings.TrimSuffix(strings.ToLower(strings.ReplaceAll(value, "[.]", ".")), ".")
	if addr, err := netip.ParseAddr(value); err == nil {
		return addr.String()
	}
	return value
}

// grouped fuses records in the slow and obvious way: by what a domain resolves
// to if it was ever said to resolve, else by the value itself.
func grouped(records []demo.Record, wanted func(demo.Record) bool) map[string][]string {
	target := map[string]string{}
	for _, r := range records {
		if wanted(r) && r.Resolves != "" {
			target[normal(r.Value)] = r.Resolves
		}
	}
	origins := map[string][]string{}
	for _, r := range records {
		if !wanted(r) {
			continue
		}
		key := normal(r.Value)
		if address, ok := target[key]; ok {
			key = address
		}
		if !slices.Contains(origins[key], r.Origin) {
			origins[key] = append(origins[key], r.Origin)
		}
	}
	return origins
}

func digest(origins map[string][]string) string {
	var lines []string
	for key, of := range origins {
		slices.Sort(of)
		lines = append(lines, key+" "+strings.Join(of, ","))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// Grouped by entity, the records have the digests of the truth.
func TestDigests(t *testing.T) {
	s, truth := scenario(t, "asean"), demo.ASEAN()
	for _, view := range []struct {
		name  string
		sees  func(demo.Record) bool
		truth demo.View
	}{
		{"centre", counted, truth.Centre},
		{"bureaus", func(r demo.Record) bool { return r.Counted() && r.Label != stix.Red }, truth.Bureaus},
	} {
		origins := grouped(s.Records, view.sees)
		counts, confidence := make([]int, len(view.truth.Origins)), map[int]int{}
		for _, of := range origins {
			counts[len(of)-1]++
			confidence[[]int{50, 70, 90}[min(len(of), 3)-1]]++
		}
		equal(t, view.name+": servers", len(origins), view.truth.Servers)
		equal(t, view.name+": origins", counts, view.truth.Origins)
		equal(t, view.name+": confidence", confidence, view.truth.Confidence)
		equal(t, view.name+": digest", digest(origins), view.truth.Digest)
	}
}

func counted(r demo.Record) bool { return r.Counted() }

func TestContributions(t *testing.T) {
	s, truth := scenario(t, "asean"), demo.ASEAN()
	rows := map[string]*demo.VendorTruth{}
	for _, v := range demo.Vendors() {
		rows[v] = &demo.VendorTruth{Vendor: v}
	}
	for _, origins := range grouped(s.Records, counted) {
		for _, v := range origins {
			rows[v].Given++
		}
		if len(origins) == 1 {
			rows[origins[0]].Sole++
		}
	}
	for _, r := range s.Records {
		if r.Kind == demo.Relay {
			rows[r.Vendor].Relayed++
		}
		if r.Kind == demo.Plain && r.Label == stix.Red && len(s.Servers[r.Index].Origins) == 1 {
			rows[r.Vendor].RedOne++
		}
	}
	var got []demo.VendorTruth
	for _, v := range demo.Vendors() {
		got = append(got, *rows[v])
	}
	equal(t, "contributions", got, truth.Vendors)
}
