package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
	"comity/taxii/intake"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// recorder is a store that notes the parts that are appended.
type recorder struct {
	store.Store
	parts []store.Part
	fail  func(part int) error
}

func (r *recorder) Append(ctx context.Context, g exchange.Grant, part store.Part) (store.Status, store.Outcomes, error) {
	r.parts = append(r.parts, part)
	if r.fail != nil {
		if err := r.fail(part.N); err != nil {
			return store.Status{}, store.Outcomes{}, err
		}
	}
	return r.Store.Append(ctx, g, part)
}

// open is an intake over a real store, with the vendor's grant.
func open(t testing.TB) (in *intake.Intake, s *recorder, g exchange.Grant, dir string) {
	t.Helper()
	return openWith(t, "")
}

// openWith is open with further lines in the vendor's flow.
func openWith(t testing.TB, lines string) (in *intake.Intake, s *recorder, g exchange.Grant, dir string) {
	t.Helper()
	dir = t.TempDir()
	clock := func() time.Time { return now }
	b, err := bolt.Open(dir, clock, slog.New(slog.DiscardHandler), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	text, err := agreement.New(agreement.Draft{
		ID: "deal", Centre: agreement.Party{Org: "igci"}, Partners: []agreement.Party{{Org: "vendor"}},
		Effective: now.AddDate(-1, 0, 0), Expires: now.AddDate(1, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	source := strings.Replace(string(text), "[[flow]]\n", "[[flow]]\n"+lines, 1)
	parsed, problems := agreement.Parse("deal.toml", []byte(source))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: "test"},
		Organisations: map[string]*exchange.Organisation{"igci": {ID: "igci"}, "vendor": {ID: "vendor"}},
		Agreements:    map[string]*exchange.Deposit{"deal": {ID: "deal", Versions: []exchange.Version{{Source: source, Digest: parsed.Digest(), Waived: "a test", Signed: &now}}}},
	}
	policy, err := exchange.NewPolicy(d)
	if err != nil {
		t.Fatal(err)
	}
	g, err = policy.Decide(exchange.Principal{Account: "vendor/feed", Org: "vendor", Purposes: exchange.Purposes}, "deal.inbound", exchange.Write, now)
	if err != nil {
		t.Fatal(err)
	}
	s = &recorder{Store: b}
	return intake.New(s, dir, clock), s, g, dir
}

const green = `"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]`

// object is the n-th indicator, padded to about size bytes.
func object(n, size int) string {
	return fmt.Sprintf(`{"type":"indicator","id":"indicator--00000000-0000-4000-8000-%012x","spec_version":"2.1","created":"2020-01-01T00:00:00.000Z","modified":"2020-01-01T00:00:00.000Z","pattern":"[mutex:name = 'x']","pattern_type":"stix","valid_from":"2020-01-01T00:00:00Z",%s,"description":"%s"}`,
		n, green, strings.Repeat("x", size))
}

func envelope(objects ...string) io.Reader {
	return strings.NewReader(`{"objects":[` + strings.Join(objects, ",") + `]}`)
}

func many(n, size int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = object(i, size)
	}
	return list
}

func TestPartsAreBoundedAndInOrder(t *testing.T) {
	refused := make([]string, 2500)
	for i := range refused {
		refused[i] = `{"type":"indicator","modified":"` + strings.Repeat("x", 5000) + `"}`
	}
	for name, objects := range map[string][]string{
		"one":                    many(1, 0),
		"thousands":              many(4001, 0),
		"thousands refused":      slices.Repeat([]string{"{}"}, 4001),
		"many bytes":             many(20, 1<<20),
		"a large one first":      append([]string{object(100, 5<<20)}, many(3, 0)...),
		"a large one in between": append(append(many(3, 0), object(100, 5<<20)), object(101, 0)),
		"large ones":             {object(1, 5<<20), object(2, 6<<20)},
		"refused":                refused,
	} {
		t.Run(name, func(t *testing.T) {
			in, s, g, dir := open(t)
			pushed, err := in.Push(t.Context(), g, envelope(objects...))
			if err != nil {
				t.Fatal(err)
			}
			total := 0
			for n, part := range s.parts {
				size := 0
				for _, item := range part.Items {
					size += len(item.Object.Raw)
					if r := item.Refused; r != nil {
						size += len(r.ID) + len(r.Version) + len(r.Message)
						total += r.More
					}
				}
				if part.N != n || part.Last != (n == len(s.parts)-1) || part.Submission.ID != pushed.Status.ID || part.Submission.Account != "vendor/feed" || !part.Submission.Requested.Equal(now) {
					t.Errorf("part %d: number %d, last %t, %+v", n, part.N, part.Last, part.Submission)
				}
				if len(part.Items) == 0 || len(part.Items) > 4000 || size > 1<<20 && len(part.Items) > 1 {
					t.Errorf("part %d has %d items of %d bytes", n, len(part.Items), size)
				}
				total += len(part.Items)
			}
			status, err := s.Status(t.Context(), "vendor/feed", pushed.Status.ID)
			if err != nil || total != len(objects) || status.Successes+status.Failures != len(objects) {
				t.Errorf("%d items, %d + %d in the status, want %d: %v", total, status.Successes, status.Failures, len(objects), err)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "push-*")); len(files) > 0 {
				t.Errorf("left behind: %q", files)
			}
		})
	}
}

func TestNothingIsStoredUnlessTheWholePushIsRead(t *testing.T) {
	broken := errors.New("line cut")
	for name, tt := range map[string]struct {
		body io.Reader
		want func(error) bool
	}{
		"a syntax error at the end": {io.MultiReader(envelope(many(5000, 1000)...), strings.NewReader("}")), code(taxii.Invalid)},
		"an error of the line":      {io.MultiReader(strings.NewReader(`{"objects":[`+object(1, 0)+","), iotest.ErrReader(broken)), func(err error) bool { return errors.Is(err, broken) }},
		"no list":                   {strings.NewReader(`{"objects":{}}`), code(taxii.Unprocessed)},
		"no object":                 {envelope(), code(taxii.Unprocessed)},
		"too many":                  {envelope(slices.Repeat([]string{"0"}, 1_000_001)...), code(taxii.Unprocessed)},
		"an object without end":     {strings.NewReader(`{"objects":[` + object(1, 0) + `,{"a":"` + strings.Repeat("x", 17<<20)), code(taxii.Invalid)},
	} {
		t.Run(name, func(t *testing.T) {
			in, s, g, dir := open(t)
			if _, err := in.Push(t.Context(), g, tt.body); err == nil || !tt.want(err) {
				t.Errorf("error %v", err)
			}
			if len(s.parts) > 0 {
				t.Errorf("%d parts appended", len(s.parts))
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "push-*")); len(files) > 0 {
				t.Errorf("left behind: %q", files)
			}
		})
	}
}

// A flow may be stricter or looser than the standard: its keys decide of an
// object, and the status says why.
func TestTheFlowDecidesWhatTheStandardLeavesOpen(t *testing.T) {
	url := `{"type":"url","spec_version":"2.1","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"https://a.example/b c",` + green + `}`
	custom := strings.Replace(object(1, 0), `"pattern":`, `"x_acme":1,"pattern":`, 1)
	uuid7 := strings.Replace(object(1, 0), "-4000-", "-7000-", 1)
	for name, tt := range map[string]struct{ lines, object, failure string }{
		"a space in a URL":            {"", url, "R-149 /value: "},
		"a space where URLs may":      {"loose_urls = true\n", url, ""},
		"a UUID of version 7":         {"", uuid7, "R-017 /id: "},
		"version 7 where it may":      {"new_uuids = true\n", uuid7, ""},
		"a custom property":           {"", custom, ""},
		"a custom one where none may": {"refuse_custom = true\n", custom, "R-061 /x_acme: "},
	} {
		t.Run(name, func(t *testing.T) {
			in, _, g, _ := openWith(t, tt.lines)
			pushed, err := in.Push(t.Context(), g, envelope(tt.object))
			if err != nil {
				t.Fatal(err)
			}
			var failure taxii.StatusDetail
			if tt.failure != "" {
				if err := json.Unmarshal(pushed.Last.Failures, &failure); err != nil {
					t.Fatalf("%q: %v", pushed.Last.Failures, err)
				}
			}
			if !strings.HasPrefix(failure.Message, tt.failure) || pushed.Status.Successes+pushed.Status.Failures != 1 || (pushed.Status.Failures == 1) != (tt.failure != "") {
				t.Errorf("%+v, failure %q, want %q", pushed.Status.Counts, failure.Message, tt.failure)
			}
		})
	}
}

// The writer of an object without TLP marking sees which markings it has instead.
func TestRefusalForWantOfALabelNamesTheMarkings(t *testing.T) {
	const statement = "marking-definition--11111111-1111-4111-8111-111111111111"
	in, _, g, _ := open(t)
	bare := strings.Replace(object(1, 0), green+",", "", 1)
	marked := strings.Replace(object(2, 0), green, `"object_marking_refs":["`+statement+`"]`, 1)
	definition := `{"type":"marking-definition","spec_version":"2.1","id":"` + statement + `","created":"2020-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"Copyright"}}`
	pushed, err := in.Push(t.Context(), g, envelope(bare, marked, definition))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range bytes.Split(pushed.Last.Failures, []byte(",{")) {
		if has := bytes.Contains(line, []byte("; it has "+statement+`"`)); !bytes.Contains(line, []byte("no TLP marking")) || has != (i == 1) {
			t.Errorf("failure %d: %s", i, line)
		}
	}
	if pushed.Status.Failures != 2 {
		t.Errorf("%+v", pushed.Status.Counts)
	}
}

// One bad object never refuses its neighbours, whatever is wrong with it: the
// status names it with the reason and the place.
func TestABadObjectRefusesItselfAlone(t *testing.T) {
	const id = "indicator--00000000-0000-4000-8000-00000000ffff"
	named := strings.Replace(object(0xffff, 0), `"pattern":`, `"x_bad":%s,"pattern":`, 1)
	large := object(0xffff, 17<<20)
	for name, tt := range map[string]struct{ bad, id, message string }{
		"a duplicate member":       {fmt.Sprintf(named, `1,"x_bad":2`), id, "R-003 /x_bad: duplicate object member name, at byte"},
		"a lone surrogate":         {fmt.Sprintf(named, `"\ud800"`), id, "R-005 /x_bad: "},
		"invalid UTF-8":            {fmt.Sprintf(named, "\"\xff\""), id, "R-001 /x_bad: "},
		"a raw control character":  {fmt.Sprintf(named, "\"\x01\""), id, "R-002 /x_bad: "},
		"101 levels":               {fmt.Sprintf(named, strings.Repeat("[", 100)+strings.Repeat("]", 100)), id, "R-180 /: nested deeper than 100 levels"},
		"no number":                {fmt.Sprintf(named, "NaN"), id, "R-009 /x_bad: "},
		"no name":                  {"{1:2}", "objects/500", "R-002 /: "},
		"more than 16 MiB":         {large, id, "R-180 /: larger than 16777216 bytes, at byte"},
		"no object":                {"17", "objects/500", "R-002 /: expected a JSON object"},
		"a cyclic nesting of none": {"[[]]", "objects/500", "R-002 /: expected a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			in, s, g, _ := open(t)
			good := many(1000, 0)
			pushed, err := in.Push(t.Context(), g, envelope(slices.Insert(slices.Clone(good), 500, tt.bad)...))
			if err != nil {
				t.Fatal(err)
			}
			if c := pushed.Status.Counts; c.Stored != 1000 || c.Failures != 1 {
				t.Errorf("%+v, want 1000 stored and one failure", c)
			}
			var failure taxii.StatusDetail
			if err := json.Unmarshal(pushed.Last.Failures, &failure); err != nil {
				t.Fatalf("%s: %v", pushed.Last.Failures, err)
			}
			if failure.ID != tt.id || !strings.HasPrefix(failure.Message, tt.message) {
				t.Errorf("failure %+v, want of %s: %s", failure, tt.id, tt.message)
			}
			if n, err := s.Count(t.Context(), g.ID()); n != 1000 || err != nil {
				t.Errorf("%d records, %v", n, err)
			}
		})
	}
}

// The size of a status does not grow with the number of refusals: beyond a thousand they
// are counted by rule.
func TestManyRefusalsAreCountedByRule(t *testing.T) {
	in, s, g, _ := open(t)
	objects := slices.Concat(slices.Repeat([]string{"0"}, 900), many(1, 0), slices.Repeat([]string{`{"a":1,"a":2}`}, 200), slices.Repeat([]string{"0"}, 9000), many(3, 0))
	pushed, err := in.Push(t.Context(), g, envelope(objects...))
	if err != nil {
		t.Fatal(err)
	}
	if c := pushed.Status.Counts; c.Stored != 3 || c.Failures != 10100 || c.Successes+c.Failures != len(objects) {
		t.Errorf("%+v of %d", c, len(objects))
	}
	var failures []taxii.StatusDetail
	for n := range pushed.Status.Parts {
		outcomes, err := s.Outcomes(t.Context(), pushed.Status.ID, n)
		if err != nil {
			t.Fatal(err)
		}
		var some []taxii.StatusDetail
		if err := json.Unmarshal([]byte("["+string(outcomes.Failures)+"]"), &some); err != nil {
			t.Fatal(err)
		}
		failures = append(failures, some...)
	}
	if len(failures) != 1002 || failures[999].ID != "objects/1000" {
		t.Fatalf("%d failures are listed, want a thousand and one for each rule", len(failures))
	}
	for i, want := range []string{"R-003: 100 objects like this one are refused", "R-002: 9000 objects like this one are refused"} {
		if got := failures[1000+i].Message; !strings.HasPrefix(got, want) {
			t.Errorf("failure %q, want %q", got, want)
		}
	}
}

// repeater is a store that reads the parts of a rehearsal twice.
type repeater struct {
	store.Store
	messages [2]int // bytes of the messages, by reading
}

func (r *repeater) Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[store.Part, error]) (store.Status, func(int) (store.Outcomes, error), error) {
	for i := range r.messages {
		for part, err := range parts {
			if err != nil {
				return store.Status{}, nil, err
			}
			for _, item := range part.Items {
				if item.Refused != nil {
					r.messages[i] += len(item.Refused.Message)
				}
			}
		}
	}
	return store.Status{}, nil, nil
}

// Refusals that are counted by rule take nothing of the room for messages, so a second
// reading of the parts is as the first.
func TestMessagesAreTheSameWhenPartsAreReadAgain(t *testing.T) {
	_, s, g, dir := open(t)
	markings, objects := make([]string, 5), make([]string, 5, 50_005)
	for i := range markings {
		markings[i] = fmt.Sprintf(`"marking-definition--11111111-1111-4111-8111-%012x"`, i)
		objects[i] = `{"type":"marking-definition","spec_version":"2.1","id":` + markings[i] + `,"created":"2020-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"Copyright"}}`
	}
	unmarked := strings.Replace(object(1, 0), green, `"object_marking_refs":[`+strings.Join(markings, ",")+`]`, 1)
	objects = append(objects, slices.Repeat([]string{unmarked}, 50_000)...)
	r := &repeater{Store: s}
	if _, _, err := intake.New(r, dir, func() time.Time { return now }).Rehearse(t.Context(), g, envelope(objects...)); err != nil {
		t.Fatal(err)
	}
	if first, second := r.messages[0], r.messages[1]; first < 100_000 || first != second {
		t.Errorf("messages of %d bytes, and of %d when they are read again", first, second)
	}
}

// Everybody sends the markings of TLP, and not everybody spells them alike:
// that is no failure in each push, for ever.
func TestMarkingOfTLPSpelledOtherwiseIsNoFailure(t *testing.T) {
	const head = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp",`
	in, _, g, _ := open(t)
	for i, marking := range []string{
		head + `"name":"TLP:GREEN","definition":{"tlp":"green"}}`,
		head + `"definition":{"tlp":"green"}}`,
		head + `"definition":{"tlp":"green"},"name":"TLP:GREEN"}`,
	} {
		pushed, err := in.Push(t.Context(), g, envelope(marking))
		if err != nil {
			t.Fatal(err)
		}
		if c := pushed.Status.Counts; c.Successes != 1 || c.Failures != 0 || c.Stored != 1 && i == 0 || c.Stored != 0 && i > 0 {
			t.Errorf("push %d: %+v %s", i, c, pushed.Last.Failures)
		}
		if warned := strings.Contains(string(pushed.Last.Successes), "R-056"); warned != (i == 1) {
			t.Errorf("push %d: %s, want a message on the other spelling", i, pushed.Last.Successes)
		}
	}
}

func code(c taxii.Code) func(error) bool {
	return func(err error) bool { return taxii.CodeOf(err) == c }
}

// Of a push that broke off a prefix may be there; the retry completes it.
func TestRetryCompletesAPush(t *testing.T) {
	in, s, g, _ := open(t)
	broken := errors.New("disk full")
	s.fail = func(part int) error {
		if part == 1 {
			return broken
		}
		return nil
	}
	objects := many(9000, 0)
	if _, err := in.Push(t.Context(), g, envelope(objects...)); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	s.fail = nil
	there := len(s.parts[0].Items)
	pushed, err := in.Push(t.Context(), g, envelope(objects...))
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Status(t.Context(), "vendor/feed", pushed.Status.ID)
	if err != nil || status.Successes != 9000 || status.Stored != 9000-there {
		t.Errorf("%+v, %v", status.Counts, err)
	}
	if n, err := s.Count(t.Context(), g.ID()); n != 9000 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
}

// A large push goes through a file that nobody else can find.
func TestSpoolFileHasNoName(t *testing.T) {
	in, _, g, dir := open(t)
	looked := false
	body := io.MultiReader(strings.NewReader(`{"objects":[`+strings.Join(many(50, 200_000), ",")), lookInto(func() {
		looked = true
		if files, _ := os.ReadDir(dir); len(files) != 1 {
			t.Errorf("beside the store: %v", files)
		}
	}), strings.NewReader("]}"))
	if _, err := in.Push(t.Context(), g, body); err != nil || !looked {
		t.Errorf("%v, looked %t", err, looked)
	}
}

// lookInto is a reader of nothing that calls a function.
type lookInto func()

func (f lookInto) Read([]byte) (int, error) { f(); return 0, io.EOF }

// Otherwise a vendor would take its rules for rules that somebody uses.
func TestASenderLearnsWhichRulesNoFeedHas(t *testing.T) {
	rule := func(n int, language, text string) string {
		pattern, _ := json.Marshal(text) // cannot fail
		return strings.Replace(strings.Replace(object(n, 0), `"[mutex:name = 'x']"`, string(pattern), 1), `"pattern_type":"stix"`, `"pattern_type":"`+language+`"`, 1)
	}
	for name, tt := range map[string]struct{ object, want string }{
		"a good rule":       {rule(1, "yara", "rule good { condition: true }"), ""},
		"half a rule":       {rule(2, "yara", "rule half { condition: "), "not well-formed"},
		"a rule for others": {rule(3, "yara", "global rule all { condition: false }"), "what other rules do"},
		"no title":          {rule(4, "sigma", "detection: x"), "not well-formed"},
		"no rule":           {object(5, 0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			in, _, g, _ := openWith(t, "")
			pushed, err := in.Push(t.Context(), g, envelope(tt.object))
			if err != nil {
				t.Fatal(err)
			}
			said := string(slices.Concat(pushed.Last.Successes, pushed.Last.Warnings))
			if pushed.Status.Counts.Successes != 1 || tt.want == "" && strings.Contains(said, "feeds leave") || !strings.Contains(said, tt.want) {
				t.Errorf("%+v %s, want %q", pushed.Status.Counts, said, tt.want)
			}
		})
	}
}
