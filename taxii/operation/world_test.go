package operation_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"flag"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/demo"
	"comity/taxii/exchange"
	"comity/taxii/intake"
	"comity/taxii/operation"
	"comity/testdata"
)

// op is the operation of all tests.
const op = "op-asean-demo"

// The persons of the centre.
var (
	anna = person("anna")
	ben  = person("ben")
)

// world is an exchange with the agreements of testdata and the operation, without
// a server. Its clock starts at the snapshot and stands still, but for a second
// before each push.
type world struct {
	testing.TB
	scenario *demo.Scenario
	dir      string
	clock    atomic.Int64 // µs
	bolt     *bolt.Store
	store    *faults // over bolt
	current  *exchange.Current
	recorder *audit.Recorder
	custody  *custody.Service
	runner   *operation.Runner
}

// dawn is what a world was copied from: the file of its store, and its clock.
type dawn struct {
	sync.Once
	file  []byte
	clock int64
}

// The worlds that tests begin with: nothing pushed; all pushed, and the issues
// flagged; all published.
var empty, pushed, published dawn

// newWorld is one of small in which nothing was pushed yet.
func newWorld(t testing.TB) *world {
	return from(t, &empty, func(t testing.TB) *world { return found(t, "small") })
}

// pushedWorld is one in which vendors and bureaus have sent everything.
func pushedWorld(t testing.TB) *world {
	return from(t, &pushed, func(t testing.TB) *world {
		w := newWorld(t)
		w.pushAll(func(demo.Record) bool { return true })
		w.flagAll()
		return w
	})
}

// publishedWorld is one in which moreover everything is published.
func publishedWorld(t testing.TB) *world {
	return from(t, &published, func(t testing.TB) *world {
		w := pushedWorld(t)
		w.publish()
		return w
	})
}

func from(t testing.TB, d *dawn, make func(testing.TB) *world) *world {
	t.Helper()
	d.Do(func() { d.file, d.clock = make(t).copy() })
	return open(t, small(), d.file, d.clock)
}

var small = sync.OnceValue(func() *demo.Scenario {
	s, err := demo.New("small")
	if err != nil {
		panic(err)
	}
	return s
})

// copy is the file of a world's store, and its clock.
func (w *world) copy() ([]byte, int64) {
	w.Helper()
	var file bytes.Buffer
	_, err := w.store.Backup(w.Context(), &file)
	w.must(err)
	return file.Bytes(), w.clock.Load()
}

// fork is a copy of a world.
func (w *world) fork() *world {
	w.Helper()
	file, clock := w.copy()
	return open(w.TB, w.scenario, file, clock)
}

// open is a world over the file of a store.
func open(t testing.TB, s *demo.Scenario, file []byte, clock int64) *world {
	t.Helper()
	w := &world{TB: t, scenario: s, dir: t.TempDir()}
	w.clock.Store(clock)
	if file != nil {
		w.must(os.WriteFile(filepath.Join(w.dir, bolt.FileName), file, 0o600))
	}
	dated := time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{"geo-lab.csv": s.Geo(), "operation-warning.txt": s.WarningList()} {
		path := filepath.Join(w.dir, name)
		w.must(os.WriteFile(path, []byte(text), 0o600))
		w.must(os.Chtimes(path, dated, dated))
	}
	var err error
	w.bolt, err = bolt.Open(w.dir, w.now, slog.New(slog.DiscardHandler), 0)
	w.must(err)
	t.Cleanup(func() { w.bolt.Close() })
	w.store = &faults{Store: w.bolt}
	log := slog.New(slog.DiscardHandler)
	w.current = exchange.NewCurrent(w.store)
	w.recorder = audit.New(w.store.Record, w.now, log)
	w.custody = custody.New(w.store, w.current, w.recorder, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), w.now, log)
	w.restart()
	return w
}

// restart gives the work to a new Runner. The old one is abandoned.
func (w *world) restart() {
	w.runner = operation.New(w.store, w.current, w.custody, w.dir, w.now, slog.New(slog.DiscardHandler))
}

// found is an empty world: all parties and their agreements, which are in force.
func found(t testing.TB, scenario string) *world {
	t.Helper()
	s := small()
	if scenario != "small" {
		var err error
		if s, err = demo.New(scenario); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, s, nil, demo.Snapshot.UnixMicro())
	names := []string{"charter-bureaus", op}
	for _, vendor := range demo.Vendors() {
		names = append(names, "dea-"+vendor)
	}
	w.amend(func(d *exchange.Directory) {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://exchange.igci.example/"}
		for _, name := range names {
			source, err := testdata.Files.ReadFile("agreements/" + name + ".toml")
			w.must(err)
			source = s.Text(source)
			text, problems := agreement.Parse(name+".toml", source)
			w.must(problems.Err())
			for _, p := range text.Parties {
				if d.Organisations[p.Org] == nil {
					d.Organisations[p.Org] = &exchange.Organisation{
						ID: p.Org, Kind: p.Kind, Name: p.Name, Country: p.Country, Identity: string(demo.Identity(p.Org)), Added: demo.Start,
					}
				}
			}
			d.Agreements[name] = &exchange.Deposit{ID: name, Announced: exchange.InForce, Versions: []exchange.Version{
				{File: name + ".toml", Source: string(source), Digest: text.Digest(), Deposited: demo.Start, Waived: "a test", Signed: &demo.Start},
			}}
		}
	})
	return w
}

func (w *world) now() time.Time        { return time.UnixMicro(w.clock.Load()).UTC() }
func (w *world) move(by time.Duration) { w.clock.Add(by.Microseconds()) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) amend(change func(*exchange.Directory)) {
	w.Helper()
	w.must(w.store.Amend(context.Background(), func(d *exchange.Directory) ([]audit.Entry, error) {
		change(d)
		return nil, nil
	}))
}

func (w *world) policy() *exchange.Policy {
	w.Helper()
	newest, err := w.current.Snapshot(w.Context())
	w.must(err)
	return newest.Policy
}

// person is one of the centre's own.
func person(name string) exchange.Principal {
	return exchange.Principal{Account: "igci/" + name, Org: "igci", Person: true, Purposes: exchange.Purposes, Action: "search"}
}

// service is that of an organisation.
func service(org string) exchange.Principal {
	return exchange.Principal{Account: org + "/feed", Org: org, Purposes: exchange.Purposes, Action: "search"}
}

// alias is that of the collection of a flow that a party has: in.alder, car.kh.
func alias(flow, org string) string { return op + "." + flow + "." + strings.TrimPrefix(org, "ncb-") }

// push sends objects to the collection of a flow, as the server would, and returns
// which of them were refused.
func (w *world) push(org, flow string, objects ...stix.Object) (refused []stix.ID) {
	w.Helper()
	w.move(time.Second)
	g, err := w.policy().Decide(service(org), alias(flow, org), exchange.Write, w.now())
	w.must(err)
	p := demo.Push{Org: org, Objects: objects}
	in := intake.New(w.store, w.dir, w.now)
	done, err := in.Push(w.Context(), g, bytes.NewReader(p.Envelope()))
	w.must(err)
	w.must(w.custody.Revoked(w.Context(), g.Collection(), done.Revoked))
	if done.Status.Failures == 0 {
		return nil
	}
	for n := range done.Status.Parts {
		out, err := w.store.Outcomes(w.Context(), done.Status.ID, n)
		w.must(err)
		for i := range objects {
			if bytes.Contains(out.Failures, []byte(objects[i].ID)) {
				refused = append(refused, objects[i].ID)
			}
		}
	}
	return refused
}

// sent is what a vendor says in the records that are kept, each object once.
func (w *world) sent(vendor string, keep func(demo.Record) bool) []stix.Object {
	return slices.Concat(w.packages(vendor, keep, math.MaxInt)...)
}

// packages are the same as pushes of at least n objects but for the last, the
// objects of one record in one.
func (w *world) packages(vendor string, keep func(demo.Record) bool, n int) (all [][]stix.Object) {
	var objects []stix.Object
	met := map[stix.ID]bool{}
	for r := range w.scenario.All(vendor) {
		if !keep(*r) {
			continue
		}
		for _, o := range r.Objects() {
			if !met[o.ID] {
				met[o.ID] = true
				objects = append(objects, o)
			}
		}
		if len(objects) >= n {
			all, objects = append(all, objects), nil
			clear(met)
		}
	}
	return append(all, objects)
}

// pushAll pushes what every vendor says in the records that are kept.
func (w *world) pushAll(keep func(demo.Record) bool) {
	w.Helper()
	for _, vendor := range demo.Vendors() {
		for _, objects := range w.packages(vendor, keep, 5_000) {
			if refused := w.push(vendor, "in", objects...); refused != nil {
				w.Fatalf("%s: refused %v", vendor, refused)
			}
		}
	}
}

// flagAll lets every bureau flag its issues.
func (w *world) flagAll() {
	w.Helper()
	for _, bureau := range w.bureaus() {
		for p := range w.scenario.IssuePushes(bureau, 10_000) {
			if refused := w.push(bureau, "issues", p.Objects...); refused != nil {
				w.Fatalf("%s: refused %v", bureau, refused)
			}
		}
	}
}

func (w *world) bureaus() (slugs []string) {
	for _, c := range w.scenario.Countries {
		slugs = append(slugs, demo.BureauOf(c.Code))
	}
	return slugs
}

func (w *world) settle() {
	w.Helper()
	w.must(w.runner.CatchUp(w.Context()))
}

// publish lets anna draft and ben publish.
func (w *world) publish() operation.Release {
	w.Helper()
	_, err := w.runner.Draft(w.Context(), op, anna, nil)
	w.must(err)
	r, err := w.runner.Publish(w.Context(), op, ben)
	w.must(err)
	return r
}

// collection is the one with an alias.
func (w *world) collection(alias string) *exchange.Collection {
	w.Helper()
	for _, c := range w.policy().Collections(w.now()) {
		if c.Alias == alias {
			return c
		}
	}
	w.Fatalf("there is no collection %s", alias)
	return nil
}

// all are all versions of all objects in a collection, as they were added.
func (w *world) all(alias string) (objects []stix.Object) {
	w.Helper()
	return w.read(exchange.Operator(w.collection(alias).ID), func(g exchange.Grant, q store.Query) (*store.Page, error) {
		q.Versions.All = true
		return w.store.Scan(w.Context(), g, q)
	})
}

// fetch is what an organisation's service gets there, with the delivery on record.
func (w *world) fetch(org, alias string) []stix.Object {
	w.Helper()
	g, err := w.policy().Decide(service(org), alias, exchange.Read, w.now())
	w.must(err)
	return w.read(g, func(g exchange.Grant, q store.Query) (*store.Page, error) { return w.custody.Scan(w.Context(), g, q) })
}

func (w *world) read(g exchange.Grant, scan func(exchange.Grant, store.Query) (*store.Page, error)) (objects []stix.Object) {
	w.Helper()
	q := store.Query{Limit: 10_000}
	for {
		page, err := scan(g, q)
		w.must(err)
		for i := range page.Len() {
			o, err := stix.NewObject(bytes.Clone(page.Object(i)))
			w.must(err)
			objects = append(objects, o)
		}
		if !page.More {
			return objects
		}
		q.After = page.Last
	}
}

// raws are the bytes of objects.
func raws(objects []stix.Object) (list []string) {
	for i := range objects {
		list = append(list, string(objects[i].Raw))
	}
	return list
}

// entries are those of an act, oldest first.
func (w *world) entries(act audit.Act) (list []audit.Entry) {
	w.Helper()
	for link, err := range store.Links(w.Context(), w.store, 0) {
		w.must(err)
		e, err := link.Entry()
		w.must(err)
		if e.Act == act {
			list = append(list, e)
		}
	}
	return list
}

// counts is how many objects there are in every collection that the centre writes.
func (w *world) counts() map[string]int64 {
	w.Helper()
	all := map[string]int64{}
	for _, c := range w.policy().Collections(w.now()) {
		if c.Writer == "igci" {
			n, err := w.store.Count(w.Context(), c.ID)
			w.must(err)
			all[c.Alias] = n
		}
	}
	return all
}

// figures are all that a Runner says of an operation.
type figures struct {
	Centre, Bureaus operation.Stats
	Contributions   []operation.Contribution
	Rows            map[string]any // of findings, by audience
	Issues          []operation.Issue
	Outcomes        []operation.Outcome
	Reports         []operation.Report
}

// figures asks the Runner for all of them. How long data took to come, and how often
// its contributor was told of it on the way, is left out: it depends on the pushes.
func (w *world) figures() (f figures) {
	w.Helper()
	f.Centre, f.Bureaus = w.stats(""), w.stats(operation.Bureaus)
	var err error
	f.Contributions, err = w.runner.Contributions(w.Context(), op, "")
	w.must(err)
	for i := range f.Contributions {
		f.Contributions[i].Fresh, f.Contributions[i].Received = 0, 0
	}
	f.Rows = map[string]any{}
	for _, as := range []string{"", operation.Bureaus, "ncb-kh", "alder"} {
		f.Rows[as], err = w.runner.Findings(w.Context(), op, as)
		w.must(err)
	}
	f.Issues, err = w.runner.Issues(w.Context(), op, "")
	w.must(err)
	f.Outcomes, err = w.runner.Outcomes(w.Context(), op, "")
	w.must(err)
	f.Reports, err = w.runner.Reports(w.Context(), op, "")
	w.must(err)
	return f
}

func (w *world) stats(as string) operation.Stats {
	w.Helper()
	s, err := w.runner.Stats(w.Context(), op, as)
	w.must(err)
	return s
}

// truth fuses at once what the vendors say in the records that are kept, for the
// centre and for the bureaus.
func (w *world) truth(keep func(*fusion.Contribution) bool) *fusion.State {
	w.Helper()
	geo, err := fusion.ReadGeo(strings.NewReader(w.scenario.Geo()))
	w.must(err)
	warning, err := fusion.ReadWarningList(strings.NewReader(w.scenario.WarningList()))
	w.must(err)
	order := []fusion.Basis{fusion.ByReference, fusion.BySource, fusion.ByDomain}
	rules := &fusion.Rules{
		At: demo.Snapshot, From: time.Date(2017, 2, 1, 0, 0, 0, 0, time.UTC), To: demo.Snapshot, Merge: true,
		Order: order, SiteOrder: append([]fusion.Basis{fusion.ByOwner}, order...), Geo: geo, Warning: warning,
		Reserved:   fusion.NetworksOf(netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32")),
		Government: []string{"*.gov.??.example"}, Confidence: map[int]int{1: 50, 2: 70, 3: 90}, TestSuffix: "example",
	}
	for _, c := range w.scenario.Countries {
		rules.Countries = append(rules.Countries, c.Code)
	}
	parties := map[stix.ID]string{}
	for _, v := range demo.Vendors() {
		parties[demo.Identity(v)] = v
	}
	state := fusion.NewState(rules, 2)
	for _, vendor := range demo.Vendors() {
		all, refused := fusion.Read(w.sent(vendor, every), fusion.Source{
			Submitter: vendor, Received: demo.Snapshot, Party: func(id stix.ID) string { return parties[id] },
		})
		if refused != nil {
			w.Fatal(refused)
		}
		all = slices.DeleteFunc(all, func(c fusion.Contribution) bool { return !keep(&c) })
		state.PutAll(centre, all)
		state.PutAll(bureaus, slices.DeleteFunc(all, func(c fusion.Contribution) bool { return c.Label == stix.Red }))
	}
	return state
}

func every(demo.Record) bool { return true }

// The audiences of truth.
const (
	centre = iota
	bureaus
)

// without keeps what is left when a vendor withdraws.
func without(vendor string) func(*fusion.Contribution) bool {
	return func(c *fusion.Contribution) bool { return c.Origin != vendor && c.Submitter != vendor }
}

// servers are the figures of C2 servers that an audience of the truth has.
func servers(state *fusion.State, audience int) operation.C2Stats {
	findings, _ := state.Findings(audience)
	s := fusion.Summarise(fusion.C2, findings)
	return operation.C2Stats{
		Identified: s.Findings, Corroborated: s.Corroborated, Digest: fusion.Digest(fusion.C2, findings),
		ByCountry: s.ByCountry, ByOrigins: s.ByOrigins, ByConfidence: s.ByConfidence,
	}
}

// sites are those of websites.
func sites(state *fusion.State, audience int) operation.SiteStats {
	findings, _ := state.Findings(audience)
	s := fusion.Summarise(fusion.Website, findings)
	return operation.SiteStats{Identified: s.Findings, Portals: s.Government, ByCountry: s.ByCountry}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refuses tells whether an error has a code.
func refuses(t testing.TB, what string, err error, code taxii.Code) {
	t.Helper()
	if err == nil || taxii.CodeOf(err) != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// check draws n times, unless the command line says how often.
func check(t *testing.T, n int, f func(*rapid.T)) {
	t.Helper()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		defer checks.Value.Set(checks.DefValue)
		if err := checks.Value.Set(strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, f)
}
