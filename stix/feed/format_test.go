package feed_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/feed"
)

var update = flag.Bool("update", false, "write the golden files; then read the difference")

// longName has 253 bytes, the most that a name may have.
var longName = strings.Repeat(strings.Repeat("a", 61)+".", 4)[:244] + ".example."

// hostile are indicators with values and names that some product reads in another way
// than they are meant, or cannot read.
var hostile = []struct{ name, pattern, more string }{
	{"C2", "[ipv4-addr:value = '203.0.113.7' OR domain-name:value = 'bad.example']", `"confidence":70,"valid_until":"2026-12-01T00:00:00Z","indicator_types":["malicious-activity"]`},
	{"C2, again", "[ipv4-addr:value = '203.0.113.7']", `"confidence":90,"indicator_types":["anonymization"]`},
	{"networks in networks", "[ipv4-addr:value ISSUBSET '198.51.100.77/24' OR ipv4-addr:value = '198.51.100.78' OR ipv4-addr:value = '198.51.100.128/25']", ""},
	{"addresses of both families", "[ipv6-addr:value = '2001:DB8::1' OR ipv6-addr:value = '::ffff:203.0.113.9' OR ipv6-addr:value ISSUBSET '2001:db8:1::/48' OR ipv6-addr:value = '2001:db8:1::5']", `"valid_until":"2026-11-20T18:00:00Z"`},
	{"half of the internet", "[ipv4-addr:value = '96.0.0.1/3' OR ipv6-addr:value = '8000::/1']", ""},
	{"twins that differ in case", "[domain-name:value = 'Bad.Example' OR domain-name:value = 'WWW.bad.example.']", ""},
	{"odd names", "[domain-name:value IN ('bücher.example', '_dmarc.bad.test', '" + longName + "', 'bad-er.test', '1.2.3.test')]", ""},
	{"=cmd|' /C calc'!A0", "[url:value = 'http://Bad.Example:80/a,b;c\"d#e' OR url:value = 'https://203.0.113.7:8443/*/^?q=[1]|$x']", ""},
	{"a \"name\", with\nlines\x1b[31m", "[url:value IN ('http://bad.example', 'ftp://bad.example/x', 'http://u:p@bad.example/p', 'http://bad.example/ü?ö=1', 'http://bad.example/a b', 'http://bad.example/?%00%%c', 'http://[2001:db8::1]/')]", ""},
	{"mail", "[email-addr:value IN ('Pilot@Bad.Example', '=1+1@bad.example', 'a\\'b@bad.example')]", ""},
	{"hardware", "[mac-addr:value = 'D2-FB-49-24-37-18' OR autonomous-system:number = 64496]", ""},
	{"file: \"a:b\"", "[file:hashes.MD5 = '79054025255FB1A26E4BC422AEF54EB4' OR file:hashes.'SHA-1' = '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12' OR file:hashes.'SHA-256' = '" + strings.Repeat("0A", 32) + "' OR file:hashes.'SHA-512' = '" + strings.Repeat("0b", 64) + "']", ""},
	{"certificate", "[x509-certificate:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4' OR x509-certificate:hashes.'SHA-1' = '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12' OR x509-certificate:hashes.'SHA-256' = '" + strings.Repeat("0a", 32) + "']", ""},
	{"names that a zone reads as triggers", "[domain-name:value = '32.7.113.0.203.rpz-ip' OR domain-name:value = 'bad.example.rpz-nsdname']", ""},
	{"all names below", "[domain-name:value LIKE '%.wild.example' OR domain-name:value = 'a.wild.example']", ""},
}

// rules are indicators with rules of scanners, some of which would spoil all others.
var rules = []struct{ language, text string }{
	{"yara", "import \"pe\"\nrule good : tag { meta: a = \"x\" n = -1 strings: $a = \"bad\" nocase $b = { 4D 5A [2-4] ( 61 | ?2 ) } $c = /ba[d]+\\/x/i condition: all of them and pe.is_dll() }"},
	{"yara", "rule silent { condition: filesize > 10 }\nprivate rule loop { strings: $a = \"x\" condition: for any i in (1..#a) : ( @a[i] < 10 and silent ) }"},
	{"yara", "rule good { condition: true }"},
	{"yara", "global rule all_others { condition: false }"},
	{"yara", "include \"/etc/passwd\"\nrule leak { condition: true }"},
	{"yara", "rule open { condition: true "},
	{"yara", "rule undefined { condition: $a }"},
	{"yara", "rule other_pack { condition: not_here }"},
	{"sigma", "title: Bad process\nid: 11111111-2222-4333-8444-555555555555\nlogsource:\n  product: windows\n  category: process_creation\ndetection:\n  sel:\n    Image|endswith: '\\bad.exe'\n  condition: sel\nlevel: high\n"},
	{"sigma", "title: Twin\nid: 11111111-2222-4333-8444-555555555555\nlogsource: {product: linux}\ndetection: {sel: {a: b}, condition: sel}\n"},
	{"sigma", "title: [broken\n"},
	{"sigma", "title: No detection\nlogsource: {product: linux}\n"},
	{"snort", "# a comment\nalert tcp any any -> [203.0.113.7, 203.0.113.8] 80 \\\n  (msg:\"Bad\"; content:\"a\\;b|3B|\"; sid:1000001; rev:2;)"},
	{"snort", "alert http (msg:\"Bad\"; http_uri; content:\"bad\", nocase; sid:1000002;)"},
	{"snort", "pass ip any any -> any any (msg:\"off\"; sid:1000003;)"},
	{"suricata", "alert dns any any -> any any (msg:\"Bad\"; dns.query; content:\"bad.example\"; sid:2000001; rev:1;)"},
	{"suricata", "alert dns any any -> any any (msg:\"Twin\"; dns.query; content:\"worse.example\"; sid:2000001; rev:1;)"},
	{"suricata", "drop ip any any -> any any (msg:\"cut\"; sid:2000002;)"},
	{"suricata", "pass ip any any -> any any (msg:\"off\"; sid:2000003;)"},
	{"suricata", "alert http any any -> any any (msg:\"lua\"; lua:bad.lua; sid:2000004;)"},
	{"suricata", "alert dns any any -> any any (msg:\"save\"; dns.query; dataset:set,x,type string,save /etc/x; sid:2000005;)"},
	{"suricata", "alert ip any any -> any any (msg:\"quote; sid:2000006;)"},
}

// entries are those of the hostile indicators and the rules.
func entries(t testing.TB) []*feed.Entry {
	t.Helper()
	x := feed.Extractor{}
	var all []feed.Indicator
	for i, h := range hostile {
		name, _ := jsontext.AppendQuote(nil, h.name)
		pattern, _ := jsontext.AppendQuote(nil, h.pattern)
		members := fmt.Sprintf(`"pattern_type":"stix","name":%s,"pattern":%s`, name, pattern)
		if h.more != "" {
			members += "," + h.more
		}
		o := indicator(t, members)
		o.ID = stix.ID(fmt.Sprintf("indicator--%08d-1111-4111-8111-111111111111", i+1))
		in, reason := x.Extract(o)
		if reason != "" {
			t.Fatalf("%s: %q", h.name, reason)
		}
		all = append(all, in)
	}
	for i, r := range rules {
		quoted, _ := jsontext.AppendQuote(nil, r.text)
		o := indicator(t, `"pattern_type":"`+r.language+`","pattern":`+string(quoted))
		o.ID = stix.ID(fmt.Sprintf("indicator--%08d-2222-4222-8222-222222222222", i+1))
		in, reason := x.Extract(o)
		if reason != "" {
			t.Fatalf("%s: %q", r.text, reason)
		}
		all = append(all, in)
	}
	return merge(slices.Values(all))
}

// merge makes entries of indicators, one for each value, in the order of [feed.Compare].
func merge(indicators iter.Seq[feed.Indicator]) []*feed.Entry {
	entries := map[feed.Value]*feed.Entry{}
	for in := range indicators {
		for _, value := range in.Values {
			e := entries[value]
			if e == nil {
				e = &feed.Entry{Value: value}
				entries[value] = e
			}
			e.Add(&in)
		}
	}
	return slices.SortedFunc(maps.Values(entries), func(a, b *feed.Entry) int { return feed.Compare(a.Value, b.Value) })
}

// header is that of a feed on the 20th of November at noon.
func header(kinds feed.Kinds) *feed.Header {
	return &feed.Header{
		Feed: "soc-block", Centre: "Centre\nof \"Test\"", URL: "https://taxii.example/igci/x-feeds/soc-block/",
		Version: day(20).Add(11 * time.Hour), Now: day(20).Add(12 * time.Hour), Hold: 24 * time.Hour, Kinds: kinds,
		Zone:   feed.Zone{Origin: "soc-block.rpz.igci.example"},
		Object: func(id stix.ID) ([]byte, bool) { return []byte(`{"type":"indicator","id":"` + id + `"}`), true },
	}
}

// files are the names of all files that the formats can make: one with all kinds, or one
// for each kind.
func files() (names []string) {
	for _, f := range feed.Formats() {
		if f.Mixed {
			names = append(names, "all."+f.Ext)
			continue
		}
		for kind := range f.Kinds.All() {
			names = append(names, kind.String()+"."+f.Ext)
		}
	}
	return names
}

// write writes a file.
func write(t testing.TB, name string, entries []*feed.Entry, change func(*feed.Header)) (string, feed.Result) {
	t.Helper()
	f, kinds, ok := feed.Find(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	h := header(kinds)
	h.Subdomains = f.Subdomains
	if change != nil {
		change(h)
	}
	var b bytes.Buffer
	result, err := f.Write(&b, h, slices.Values(entries))
	if err != nil {
		t.Fatal(err)
	}
	return unpack(t, name, b.Bytes()), result
}

// unpack shows the files of an archive, each below its name. Another file is as it is.
func unpack(t testing.TB, name string, data []byte) string {
	t.Helper()
	var text strings.Builder
	show := func(name string, r io.Reader) {
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "-- %s\n%s", name, content)
	}
	switch filepath.Ext(name) {
	case ".zip":
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.File {
			r, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			show(file.Name, r)
		}
	case ".gz":
		unzipped, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(unzipped)
		for {
			file, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			show(file.Name, archive)
		}
	default:
		return string(data)
	}
	return text.String()
}

// The golden files are what each product gets of the hostile indicators. Their last line
// says what is left out.
func TestEachProductGetsWhatItCanRead(t *testing.T) {
	all := entries(t)
	for _, name := range files() {
		text, result := write(t, name, all, nil)
		for _, reason := range slices.Sorted(maps.Keys(result.LeftOut)) {
			text += fmt.Sprintf("-- left out: %s %d\n", reason, result.LeftOut[reason])
		}
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
		}
	}
}

// Each product has its own text for a list without entries. testdata/empty.golden has them all.
// Tags and dates of files follow from the entries and the version of the formats. After an upgrade
// a reader would keep an old text for ever otherwise.
func TestOtherTextsAreOfAnotherVersion(t *testing.T) {
	const want = "version 1: 3d10cf5bcb1b2880"
	digest := sha256.New()
	for _, name := range files() {
		text, _ := write(t, name, entries(t), nil)
		fmt.Fprintf(digest, "%s %d %s", name, len(text), text)
	}
	if got := fmt.Sprintf("version %d: %x", feed.Version, digest.Sum(nil)[:8]); got != want {
		t.Errorf("the texts are of %s, not %s: if Version is that of a release, raise it", got, want)
	}
}

func TestEachProductHasItsEmptyForm(t *testing.T) {
	var all, last strings.Builder
	for _, name := range files() {
		text, _ := write(t, name, nil, nil)
		_, ext, _ := strings.Cut(name, ".")
		if line := fmt.Sprintf("%s %q\n", ext, text); line != last.String() {
			all.WriteString(line)
			last.Reset()
			last.WriteString(line)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/empty.golden", []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/empty.golden")
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", all.String(), want)
	}
}

// A comment says whose list it is, on lines of its own that hostile names cannot end.
func TestCommentsAreWrittenOnRequest(t *testing.T) {
	for _, f := range feed.Formats() {
		if f.Comment == "" {
			continue
		}
		for kind := range f.Kinds.All() {
			name := kind.String() + "." + f.Ext
			bare, _ := write(t, name, entries(t), nil)
			commented, _ := write(t, name, entries(t), func(h *feed.Header) { h.Comments = true })
			begin := f.Comment + " soc-block of Centre of \"Test\"\n" + f.Comment + " https://taxii.example/igci/x-feeds/soc-block/\n" + f.Comment + " version 2026-11-20T11:00:00Z\n"
			if commented != begin+bare {
				t.Errorf("%s begins with\n%.200s", name, commented)
			}
		}
	}
}

// FortiGate drops what is behind ten million bytes.
func TestLimitKeepsTheBytesThatAProductTakes(t *testing.T) {
	var all []*feed.Entry
	for i := range 110_000 {
		all = append(all, &feed.Entry{Value: feed.Value{Kind: feed.URL, Text: fmt.Sprintf("http://bad.example/%s%06d", strings.Repeat("a", 80), i)}, Confidence: i % 100})
	}
	got, result := write(t, "url.fortinet", all, nil)
	lines := strings.Count(got, "\n")
	if len(got) > 10_000_000 || len(got) < 9_999_000 || result.Entries != lines || result.LeftOut[feed.OverLimit] != len(all)-lines {
		t.Errorf("%d bytes, %d lines, %+v", len(got), lines, result)
	}
	if strings.Contains(got, "000000\n") || !strings.Contains(got, "000099\n") {
		t.Error("the list does not keep the entries of the highest confidence")
	}
}

// A list that is longer than its product takes keeps the entries of the highest
// confidence, and of those the ones modified last, in their order.
func TestLimitKeepsTheBestEntries(t *testing.T) {
	var all []*feed.Entry
	for i := range 10 {
		all = append(all, &feed.Entry{
			Value:      feed.Value{Kind: feed.IPv4, Text: fmt.Sprintf("203.0.113.%d", i)},
			Confidence: []int{feed.Unknown, 50, 80}[i%3], Modified: day(1 + i%2),
		})
	}
	got, result := write(t, "ipv4.txt", all, func(h *feed.Header) { h.MaxEntries = 4 })
	if want := "203.0.113.1\n203.0.113.2\n203.0.113.5\n203.0.113.8\n"; got != want || result.Entries != 4 || result.LeftOut[feed.OverLimit] != 6 {
		t.Errorf("got\n%s%v", got, result)
	}
}

func TestFilesAreNamedByKindAndFormat(t *testing.T) {
	for name, want := range map[string]bool{
		"ipv4.txt": true, "all.csv": true, "all.txt": false, "ipv4.exe": false, "car.txt": false, "ipv4": false, "": false, "yara.txt": false,
	} {
		if _, _, ok := feed.Find(name); ok != want {
			t.Errorf("%s: got %t, want %t", name, ok, want)
		}
	}
}

// A product that blocks the names below a domain whether it should or not gets no list of
// a feed that means the domain alone.
func TestNoListBlocksMoreThanTheFeed(t *testing.T) {
	f, kinds, _ := feed.Find("domain.dnsmasq")
	if _, err := f.Write(io.Discard, header(kinds), slices.Values(entries(t))); err == nil {
		t.Error("dnsmasq got a list")
	}
}

// A firewall that cannot refresh its list forgets an entry when it ends, or when the feed
// may no longer be acted on.
func TestEntriesEndByThemselves(t *testing.T) {
	h := header(0)
	for _, test := range []struct {
		until time.Time
		hold  time.Duration
		want  string
	}{
		{time.Time{}, 0, "203.0.113.7,"},
		{time.Time{}, time.Hour, "203.0.113.7 timeout 3600s,"},
		{h.Now.Add(time.Minute), time.Hour, "203.0.113.7 timeout 60s,"},
		{h.Now.Add(time.Minute), 0, "203.0.113.7 timeout 60s,"},
		{h.Now, 0, "203.0.113.7 timeout 1s,"}, // not for ever
	} {
		e := &feed.Entry{Value: feed.Value{Kind: feed.IPv4, Text: "203.0.113.7"}, Until: test.until}
		got, _ := write(t, "ipv4.nft", []*feed.Entry{e}, func(h *feed.Header) { h.Hold = test.hold })
		if !strings.Contains(got, "{\n"+test.want+"\n}") {
			t.Errorf("until %v, hold %v: got\n%s", test.until, test.hold, got)
		}
	}
}

// A full disk must not leave a list that looks whole.
func TestWriteReportsTheWritersError(t *testing.T) {
	for _, name := range files() {
		f, kinds, _ := feed.Find(name)
		h := header(kinds)
		h.Subdomains = true
		if _, err := f.Write(failing{}, h, slices.Values(entries(t))); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

var errFull = errors.New("no space left")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

// readers read the value of a line as a product does, "" if the line has none. They are
// those of formats that can hold all that the test draws.
var readers = map[string]func(line string) string{
	"ipv4.txt":       wholeLine,
	"domain.txt":     wholeLine,
	"ipv6.panos":     wholeLine,
	"domain.panos":   wholeLine,
	"ipv4.fortinet":  wholeLine,
	"domain.cisco":   wholeLine,
	"ipv6.lst":       wholeLine,
	"all.f5":         func(line string) string { return strings.Replace(strings.TrimSuffix(line, ",bl,"), ",", "/", 1) },
	"ipv4.squid":     wholeLine,
	"all.cidr":       between("", " REJECT"),
	"ipv4.rsc":       between("address=", ""),
	"ipv6.nft":       between("", ","),
	"ipv4.ipset":     between("add ipv4-soc-block+ ", ""),
	"all.json":       between(`"value":"`, `"`),
	"all.decisions":  between(`"value":"`, `"`),
	"all.csv":        func(line string) string { return strings.TrimPrefix(strings.Split(line, ",")[1], "value") },
	"domain.dnsmasq": between("address=/", "/"),
	"domain.squid":   func(line string) string { return strings.TrimPrefix(line, ".") },
	"domain.hosts":   between("0.0.0.0 ", ""),
}

func wholeLine(line string) string { return line }

// between reads what stands between two texts; after "" is the end of the line.
func between(before, after string) func(string) string {
	return func(line string) string {
		_, rest, _ := strings.Cut(line, before)
		value, _, ok := strings.Cut(rest+"\n", cmp.Or(after, "\n"))
		if !ok {
			return ""
		}
		return value
	}
}

// A list that is read back stands for the same values as its entries.
func TestListsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := entriesOf(rapid.SliceOfN(value, 0, 20).Draw(t, "values"))
		for name, read := range readers {
			f, kinds, ok := feed.Find(name)
			if !ok {
				t.Fatalf("there is no %s", name)
			}
			h := header(kinds)
			h.Hold, h.Subdomains = 0, true
			var b strings.Builder
			result, err := f.Write(&b, h, slices.Values(entries))
			if err != nil {
				t.Fatal(err)
			}
			var got []feed.Value
			for line := range strings.Lines(b.String()) {
				text := read(strings.TrimSuffix(line, "\n"))
				for kind := range kinds.All() {
					if v, err := feed.Normal(kind, text); err == nil && kind == v.Kind {
						got = append(got, v)
					}
				}
			}
			var want []feed.Value
			for _, e := range entries {
				if kinds.Has(e.Kind) && (result.LeftOut[feed.Unfit] == 0 || !strings.HasPrefix(e.Text, "*.")) {
					want = append(want, e.Value)
				}
			}
			if len(got) != result.Entries || !slices.IsSortedFunc(got, feed.Compare) {
				t.Fatalf("%s: got %v, of %d entries", name, got, result.Entries)
			}
			for _, v := range want {
				if !slices.ContainsFunc(got, func(g feed.Value) bool { return g == v || includes(g, v, true) }) {
					t.Fatalf("%s: %v is missing from %v", name, v, got)
				}
			}
			for _, v := range got {
				if !slices.Contains(want, v) {
					t.Fatalf("%s: %v is not one of %v", name, v, want)
				}
			}
		}
	})
}

// A bouncer applies what came and what went since its last question, and knows a decision
// by its number.
func TestDecisionsTellWhatChanged(t *testing.T) {
	first, _ := write(t, "all.decisions", entriesOf([]feed.Value{{Kind: feed.IPv4, Text: "203.0.113.7"}, {Kind: feed.IPv4, Text: "198.51.100.0/24"}}), nil)
	var b bytes.Buffer
	err := feed.WriteDecisions(&b, header(0), slices.Values(entriesOf([]feed.Value{{Kind: feed.IPv6, Text: "2001:db8::1"}, {Kind: feed.Domain, Text: "bad.example"}})),
		slices.Values(entriesOf([]feed.Value{{Kind: feed.IPv4, Text: "203.0.113.7"}})))
	if err != nil {
		t.Fatal(err)
	}
	type decision struct {
		ID                           uint64
		Type, Scope, Value, Duration string
	}
	var start, next struct{ New, Deleted []decision }
	if err := errors.Join(json.Unmarshal([]byte(first), &start), json.Unmarshal(b.Bytes(), &next)); err != nil {
		t.Fatal(err)
	}
	if len(start.New) != 2 || len(start.Deleted) != 0 || len(next.New) != 1 || len(next.Deleted) != 1 {
		t.Fatalf("got\n%s\n%s", first, b.String())
	}
	if got := start.New[0]; got.Scope != "Range" || got.Duration != "24h0m0s" || got.Type != "ban" {
		t.Errorf("got %+v", got)
	}
	if start.New[1] != next.Deleted[0] || next.New[0].Value != "2001:db8::1" {
		t.Errorf("got\n%s\n%s", first, b.String())
	}
}

// A million addresses: see the entries per second.
func BenchmarkWrite(b *testing.B) {
	addresses := make([]feed.Entry, 1_000_000)
	for i := range addresses {
		addresses[i].Value = feed.Value{Kind: feed.IPv4, Text: fmt.Sprintf("11.%d.%d.%d", i>>16, i>>8&255, i&255)}
	}
	var million iter.Seq[*feed.Entry] = func(yield func(*feed.Entry) bool) {
		for i := range addresses {
			if !yield(&addresses[i]) {
				return
			}
		}
	}
	for _, ext := range []string{"txt", "nft", "csv"} {
		f, kinds, ok := feed.Find("ipv4." + ext)
		if !ok {
			continue
		}
		b.Run(ext, func(b *testing.B) {
			for b.Loop() {
				var size counter
				if _, err := f.Write(&size, header(kinds), million); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
			}
		})
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
