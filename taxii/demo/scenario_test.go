package demo_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii/demo"
)

func scenario(t testing.TB, name string) *demo.Scenario {
	t.Helper()
	s, err := demo.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestFirstValues(t *testing.T) {
	equal(t, `h("k",0)`, demo.H("k", 0), uint64(4478115148841183631))
	equal(t, `h("v",0,"alder")`, demo.H("v", 0, "alder"), uint64(13365430309411201722))
	s := scenario(t, "asean")

	first := s.Servers[0]
	equal(t, "entity 0", []any{first.Country, first.Form, first.Origins, first.Key()}, []any{"BN", demo.Address, []string{"fir"}, "198.18.0.1"})
	record := s.Records[0]
	equal(t, "its minute", record.Time.Sub(demo.Start), 17_079*time.Minute)
	equal(t, "its observable", observableOf(t, record), stix.ID("ipv4-addr--9b6503e8-3f22-58ad-a3b1-52235a5b12b7"))

	at := slices.IndexFunc(s.Records, func(r demo.Record) bool { return s.Servers[r.Index].Form == demo.Domain })
	equal(t, "first of form C", s.Records[at].Value, "c2-00016.bn.example")
	equal(t, "its observable", observableOf(t, s.Records[at]), stix.ID("domain-name--e3871945-8962-59f9-a783-f741d11372da"))
}

func observableOf(t *testing.T, r demo.Record) stix.ID {
	t.Helper()
	for _, o := range r.Objects() {
		if o.Type == "ipv4-addr" || o.Type == "domain-name" {
			return o.ID
		}
	}
	t.Fatalf("no observable in the record of %s", r.Value)
	return ""
}

// One server that three vendors reported: twice a domain, once an address.
func TestServer2087(t *testing.T) {
	s := scenario(t, "asean")
	v := s.Servers[2087]
	equal(t, "server", []any{v.Country, v.Form, v.Origins, v.Key()}, []any{"KH", demo.Resolution, []string{"birch", "alder", "dogwood"}, "198.18.32.26"})
	type said struct {
		Vendor, Value, Resolves string
		Minute                  int
	}
	var got []said
	for _, r := range s.Records {
		if r.Counted() && r.Index == 2087 && r.Key == v.Key() {
			got = append(got, said{r.Vendor, r.Value, r.Resolves, int(r.Time.Sub(demo.Start).Minutes())})
		}
	}
	equal(t, "records", got, []said{
		{"birch", "c2-02087.kh.example", "198.18.32.26", 5_899},
		{"alder", "198.18.32.26", "", 7_933},
		{"dogwood", "c2-02087.kh.example", "", 2_468},
	})
}

func TestCounts(t *testing.T) {
	s, truth := scenario(t, "asean"), demo.ASEAN()
	kinds := map[demo.Kind]int{}
	asserted, targets := map[string]bool{}, map[string]bool{}
	submissions := 0
	for _, r := range s.Records {
		kinds[r.Kind]++
		if !r.Counted() {
			continue
		}
		submissions++
		asserted[normal(r.Value)] = true
		targets[r.Resolves] = true
	}
	equal(t, "records", len(s.Records), truth.Records)
	equal(t, "counted", submissions, truth.Counted)
	equal(t, "kinds", kinds, map[demo.Kind]int{
		demo.Plain: truth.Counted - truth.Relays, demo.Relay: truth.Relays, demo.Repeat: truth.Repeats,
		demo.Unroutable: 60, demo.Warned: 12, demo.Expired: 150, demo.Revoked: 40, demo.Outside: 900, demo.Phishing: 40,
	})

	v4, v6 := 0, 0
	for value := range asserted {
		if addr, err := netip.ParseAddr(value); err == nil && addr.Is4() {
			v4++
		} else if err == nil {
			v6++
		}
		delete(targets, value)
	}
	delete(targets, "")
	equal(t, "observables", []int{v4, v6, len(asserted) - v4 - v6}, []int{truth.IPv4, truth.IPv6, truth.Domains})
	equal(t, "only targets", len(targets), truth.Targets)
}

func TestLabels(t *testing.T) {
	s := scenario(t, "asean")
	labels := map[string]int{}
	for _, v := range s.Servers {
		switch one := len(v.Origins) == 1; {
		case v.Label == stix.Red && one:
			labels["red"]++
		case v.Label == stix.Red:
			labels["red2"]++
		case v.Label == stix.AmberStrict:
			labels["strict"]++
		}
		if v.Relayed {
			labels["relay"]++
		}
		if v.Claimed != v.Country && v.Releasable() {
			if _, err := netip.ParseAddr(v.Key()); err != nil {
				t.Errorf("the country of %s is in conflict: it should be an address", v.Key())
			}
		}
		if v.Label == stix.Red && v.Form == demo.Resolution {
			t.Errorf("%s is RED and a resolution", v.Key())
		}
	}
	equal(t, "labels", labels, map[string]int{"red": 17, "red2": 9, "strict": 120, "relay": 64})
}

func TestWebsites(t *testing.T) {
	s, truth := scenario(t, "asean"), demo.ASEAN()
	urls := 0
	for _, site := range s.Sites {
		urls += len(site.URLs)
	}
	equal(t, "submissions", len(s.Pages), truth.Submissions)
	equal(t, "URLs", urls, truth.URLs)
}

// What is counted off the scenario is what the documents say of it.
func TestTruth(t *testing.T) {
	want := demo.ASEAN()
	want.Sent = demo.Sent{}
	equal(t, "truth", scenario(t, "asean").Truth(), want)
}

func TestPresets(t *testing.T) {
	for _, name := range demo.Presets() {
		s := scenario(t, name)
		keys := map[string]bool{}
		for i := range s.Servers {
			keys[s.Servers[i].Key()] = true
		}
		equal(t, name+": distinct servers", len(keys), len(s.Servers))
	}
	s := scenario(t, "synergia")
	equal(t, "synergia", []int{len(s.Servers), len(s.Countries)}, []int{30_000, 95})
	if _, err := demo.New("nowhere"); err == nil {
		t.Error("New takes a name that is no preset")
	}
}
