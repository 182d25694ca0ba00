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

// world is an exchange with the agreements of testdata and the operation, without a
// server. Its clock starts at the snapshot, advances a second before each push and stands
// still otherwise.
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

// savedWorld is the file of a world's store, and its clock, of which tests get copies.
type savedWorld struct {
	sync.Once
	file  []byte
	clock int64
}

// These are the worlds that tests begin with: without a push; with all pushes of vendors
// and bureaus; and with a publication of all of it.
var empty, pushed, published savedWorld

// newWorld returns a world of the scenario small, in which nothing was pushed yet.
func newWorld(t testing.TB) *world {
	return restored(t, &empty, func(t testing.TB) *world { return buildWorld(t, "small") })
}

// pushedWorld returns a world in which vendors and bureaus have pushed everything.
func pushedWorld(t testing.TB) *world {
	return restored(t, &pushed, func(t testing.TB) *world {
		w := newWorld(t)
		w.pushAll(func(demo.Record) bool { return true })
		w.flagAll()
		return w
	})
}

// publishedWorld returns a world in which everything was pushed and published.
func publishedWorld(t testing.TB) *world {
	return restored(t, &published, func(t testing.TB) *world {
		w := pushedWorld(t)
		w.publish()
		return w
	})
}

func restored(t testing.TB, d *savedWorld, make func(testing.TB) *world) *world {
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

// copy returns the file of a world's store, and its clock.
func (w *world) copy() ([]byte, int64) {
	w.Helper()
	var file bytes.Buffer
	_, err := w.store.Backup(w.Context(), &file)
	w.must(err)
	return file.Bytes(), w.clock.Load()
}

// fork returns a copy of a world.
func (w *world) fork() *world {
	w.Helper()
	file, clock := w.copy()
	return open(w.TB, w.scenario, file, clock)
}

// open returns a world with a copy of the file of a store; nil for an empty store.
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

// restart replaces the Runner by a new one, as a restart of the server does.
func (w *world) restart() { w.runner = w.newRunner() }

// newRunner returns another Runner on the same store, as another process has one.
func (w *world) newRunner() *operation.Runner {
	return operation.New(w.store, w.current, w.custody, w.dir, w.now, slog.New(slog.DiscardHandler))
}

// buildWorld returns a world with all parties and their agreements, which are in force.
func buildWorld(t testing.TB, scenario string) *world {
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

func (w *world) now() time.Time           { return time.UnixMicro(w.clock.Load()).UTC() }
func (w *world) advance(by time.Duration) { w.clock.Add(by.Microseconds()) }

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

// person returns the principal of a person of the centre.
func person(name string) exchange.Principal {
	return exchange.Principal{Account: "igci/" + name, Org: "igci", Person: true, Purposes: exchange.Purposes, Action: "search"}
}

// service returns the principal of an organisation's service.
func service(org string) exchange.Principal {
	return exchange.Principal{Account: org + "/feed", Org: org, Purposes: exchange.Purposes, Action: "search"}
}

// alias returns the alias of a party's collection of a flow, such as
// op-asean-demo.car.kh.
func alias(flow, org string) string { return op + "." + flow + "." + strings.TrimPrefix(org, "ncb-") }

// push pushes objects to an organisation's collection of a flow, as the server would, and
// returns the refused ones.
func (w *world) push(org, flow string, objects ...stix.Object) (refused []stix.ID) {
	w.Helper()
	w.advance(time.Second)
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

// objectsOf returns the objects of those records of a vendor that keep accepts, each once.
func (w *world) objectsOf(vendor string, keep func(demo.Record) bool) []stix.Object {
	return slices.Concat(w.batches(vendor, keep, math.MaxInt)...)
}

// batches returns the same objects in pushes of at least n objects; the last may have fewer.
// All objects of one record are in one push.
func (w *world) batches(vendor string, keep func(demo.Record) bool, n int) (all [][]stix.Object) {
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

// pushAll pushes the objects of those records of all vendors that keep accepts.
func (w *world) pushAll(keep func(demo.Record) bool) {
	w.Helper()
	for _, vendor := range demo.Vendors() {
		for _, objects := range w.batches(vendor, keep, 5_000) {
			if refused := w.push(vendor, "in", objects...); refused != nil {
				w.Fatalf("%s: refused %v", vendor, refused)
			}
		}
	}
}

// flagAll makes every bureau flag its issues.
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

func (w *world) catchUp() {
	w.Helper()
	w.must(w.runner.CatchUp(w.Context()))
}

// publish makes anna draft and ben publish.
func (w *world) publish() operation.Release {
	w.Helper()
	_, err := w.runner.Draft(w.Context(), op, anna, nil)
	w.must(err)
	r, err := w.runner.Publish(w.Context(), op, ben)
	w.must(err)
	return r
}

// collection returns the collection with that alias.
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

// allVersions returns all versions of all objects in a collection, in the order of
// date_added.
func (w *world) allVersions(alias string) (objects []stix.Object) {
	w.Helper()
	return w.read(exchange.Operator(w.collection(alias).ID), func(g exchange.Grant, q store.Query) (*store.Page, error) {
		q.Versions.All = true
		return w.store.Scan(w.Context(), g, q)
	})
}

// fetch returns the objects that an organisation's service gets there, and records the
// delivery.
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

// rawObjects returns the bytes of objects.
func rawObjects(objects []stix.Object) (list []string) {
	for i := range objects {
		list = append(list, string(objects[i].Raw))
	}
	return list
}

// entries returns the audit entries of an act, oldest first.
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

// counts returns the number of objects in every collection that the centre writes.
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

// figures are the answers of all methods of a Runner that report on an operation.
type figures struct {
	Centre, Bureaus operation.Stats
	Contributions   []operation.Contribution
	Rows            map[string]any // of findings, by audience
	Issues          []operation.Issue
	Outcomes        []operation.Outcome
	Reports         []operation.Report
}

// figures asks the Runner for all of them. It leaves out the time from last seen to
// receipt, and the number of returns to contributors, since both depend on the pushes.
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

// expectedState fuses all contributions that keep accepts in one go, for the centre and for
// the bureaus.
func (w *world) expectedState(keep func(*fusion.Contribution) bool) *fusion.State {
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
		all, refused := fusion.Read(w.objectsOf(vendor, allRecords), fusion.Source{
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

func allRecords(demo.Record) bool { return true }

// These are the audiences of expectedState.
const (
	centre = iota
	bureaus
)

// without accepts the contributions that are left when a vendor withdraws.
func without(vendor string) func(*fusion.Contribution) bool {
	return func(c *fusion.Contribution) bool { return c.Origin != vendor && c.Submitter != vendor }
}

// servers returns the figures of C2 servers for an audience.
func servers(state *fusion.State, audience int) operation.C2Stats {
	findings, _ := state.Findings(audience)
	s := fusion.Summarise(fusion.C2, findings)
	return operation.C2Stats{
		Identified: s.Findings, Corroborated: s.Corroborated, Digest: fusion.Digest(fusion.C2, findings),
		ByCountry: s.ByCountry, ByOrigins: s.ByOrigins, ByConfidence: s.ByConfidence,
	}
}

// sites returns the figures of websites for an audience.
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

// checkCode checks the code of an error.
func checkCode(t testing.TB, what string, err error, code taxii.Code) {
	t.Helper()
	if err == nil || taxii.CodeOf(err) != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// checkTimes runs rapid.Check with n draws, unless the command line sets their number.
func checkTimes(t *testing.T, n int, f func(*rapid.T)) {
	t.Helper()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		defer checks.Value.Set(checks.DefValue)
		if err := checks.Value.Set(strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, f)
}
