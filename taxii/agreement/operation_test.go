package agreement_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii/agreement"
)

// operation reads op-asean-demo, the agreements its members take part under,
// and a letter that opens it to a reader.
func operation(t testing.TB) (files []*agreement.Agreement, problems agreement.Problems) {
	t.Helper()
	for _, id := range []string{
		"op-asean-demo", "charter-bureaus", "letter-cert-kh",
		"dea-alder", "dea-birch", "dea-cedar", "dea-dogwood", "dea-elm", "dea-fir", "dea-ginkgo",
	} {
		a, ps := agreement.Parse(id+".toml", []byte(text(t, id)))
		if err := ps.Err(); err != nil {
			t.Fatal(err)
		}
		files, problems = append(files, a), append(problems, ps...)
	}
	return files, problems
}

func in(files []*agreement.Agreement) func(id string) *agreement.Agreement {
	return func(id string) *agreement.Agreement {
		i := slices.IndexFunc(files, func(a *agreement.Agreement) bool { return a.ID == id })
		if i < 0 {
			return nil
		}
		return files[i]
	}
}

func TestOperationFitsItsParents(t *testing.T) {
	files, problems := operation(t)
	problems = append(problems, agreement.Check(files, nil, true)...)
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	want := []string{
		"op-asean-demo.toml:152: warning: article 5: deconfliction: not carried out by this version",
		"op-asean-demo.toml:167: warning: article 6: publish: not carried out by this version",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLetterOpensTheBureausCollection(t *testing.T) {
	files, _ := operation(t)
	find := in(files)
	cs := find("letter-cert-kh").Shared(find("op-asean-demo"))
	if len(cs) != 1 || cs[0].Alias != "op-asean-demo.car.kh" || !slices.Equal(cs[0].Readers, []string{"cert-kh"}) {
		t.Errorf("shared: %+v", cs)
	}
	if terms := find("letter-cert-kh").Terms("car", find("op-asean-demo")); terms.Max != stix.Amber {
		t.Errorf("up to %s", terms.Max)
	}
}

func TestCollectionNamesAllItsParents(t *testing.T) {
	files, _ := operation(t)
	for _, c := range files[0].Collections() {
		want := []string{c.Under}
		if c.Flow.Name == "room" {
			want = strings.Fields("dea-alder dea-birch dea-cedar dea-dogwood dea-elm dea-fir dea-ginkgo charter-bureaus")
		}
		if !slices.Equal(c.Parents, want) {
			t.Errorf("%s: parents %v, want %v", c.Alias, c.Parents, want)
		}
	}
	for _, c := range in(files)("dea-fir").Collections() {
		if c.Parents != nil {
			t.Errorf("%s: parents %v, want none", c.Alias, c.Parents)
		}
	}
}
