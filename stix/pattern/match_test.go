package pattern_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/pattern"
)

// object returns an object. If the text has no identifier, the object gets one with the
// number n.
func object(t testing.TB, n int, text string) stix.Object {
	t.Helper()
	var members map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if members["id"] == nil {
		members["id"] = id(members["type"].(string), n)
	}
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false)
	if err := e.Encode(members); err != nil {
		t.Fatal(err)
	}
	o, err := stix.NewObject(bytes.TrimSpace(raw.Bytes()))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func id(typeName string, n int) string {
	return fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typeName, n)
}

// observe returns one observation of the first object and the others to which it refers.
func observe(t testing.TB, texts ...string) *pattern.Observation {
	t.Helper()
	known := map[stix.ID]stix.Object{}
	var first stix.Object
	for n, text := range texts {
		o := object(t, n, text)
		if known[o.ID] = o; n == 0 {
			first = o
		}
	}
	obs, err := pattern.Observe(first, func(id stix.ID) (stix.Object, bool) {
		o, ok := known[id]
		return o, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return obs
}

func match(t testing.TB, text string, observations ...*pattern.Observation) pattern.Match {
	t.Helper()
	got, err := parse(t, text, pattern.Strict).Match(observations)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return got
}

// Each operator on one object, with every kind of value and constant.
func TestTests(t *testing.T) {
	const decomposed, composed = "cafe\u0301", "caf\u00e9"
	file := observe(t, `{"type":"file","name":"Calc.exe","size":4096,"x_f":2.5,"x_big":9007199254740991,"x_yes":true,
		"x_list":["a","b",5],"x_empty":[],"x_map":{"k-1":"v","K.2":{"deep":1}},"x_nested":[[1,2],[3]],
		"hashes":{"MD5":"098f6bcd4621d373cade4e832627b4f6","SHA-256":"AB"},
		"magic_number_hex":"4d5a","x_odd_hex":"4d5","x_data_bin":"TVo=","ctime":"2024-02-29T10:00:00.50Z","x_late":"2024-02-29T10:00:00.0000000001Z",
		"x_text":"`+decomposed+`","x_lines":"one\ntwo","x_no_time":"2024-02-30T10:00:00Z","x_smile":"😀","x_high":"￿",
		"extensions":{"windows-pebinary-ext":{"pe_type":"exe","sections":[{"entropy":3.5},{"entropy":7.75}]},
		"extension-definition--c932fcc6-e032-476c-826f-cb970a5a1ade":{"extension_type":"property-extension","x_rank":3}}}`)
	v4 := observe(t, `{"type":"ipv4-addr","value":"198.51.100.7"}`)
	net := observe(t, `{"type":"ipv4-addr","value":"198.51.100.77/24"}`)
	v6 := observe(t, `{"type":"ipv6-addr","value":"2001:db8::7"}`)
	odd := observe(t, `{"type":"ipv4-addr","value":"hello"}`)

	tests := []struct {
		on   *pattern.Observation
		text string
		want bool
	}{
		// = and !=
		{file, "file:name = 'Calc.exe'", true},
		{file, "file:name = 'calc.exe'", false},
		{file, "file:name != 'calc.exe'", true},
		{file, "file:name != 'Calc.exe'", false},
		{file, "file:name NOT = 'calc.exe'", true},
		{file, "file:name NOT != 'Calc.exe'", true},
		{file, "file:size = 4096", true},
		{file, "file:size = 4096.0", true},
		{file, "file:size = 4096.5", false},
		{file, "file:x_f = 2.5", true},
		{file, "file:x_big = 9007199254740991", true},
		{file, "file:x_big = 9007199254740990", false},
		{file, "file:x_yes = true", true},
		{file, "file:x_yes = false", false},
		{file, "file:x_yes != false", true},
		// < <= > >=
		{file, "file:size < 4097", true},
		{file, "file:size < 4096", false},
		{file, "file:size <= 4096", true},
		{file, "file:size > 4095.5", true},
		{file, "file:size > 4096", false},
		{file, "file:size >= 4096", true},
		{file, "file:size NOT > 4096", true},
		{file, "file:name < 'Cb'", true},
		{file, "file:name > 'a'", false},
		{file, "file:x_smile > '\uffff'", true}, // by code point, not by UTF-16
		{file, "file:x_high < '😀'", true},
		// kinds that do not compare
		{file, "file:name = 5", false},
		{file, "file:name != 5", true},
		{file, "file:name NOT = 5", true},
		{file, "file:name < 5", false},
		{file, "file:size = '4096'", false},
		{file, "file:size = true", false},
		{file, "file:x_yes = 'true'", false},
		{file, "file:x_yes IN (1)", false},
		{file, "file:x_list = 'a'", false},
		{file, "file:x_map != 'a'", true},
		{file, "file:size LIKE '4%'", false},
		{file, "file:size MATCHES '4'", false},
		{file, "file:name = h'43616c632e657865'", false},
		{file, "file:name = t'2024-02-29T10:00:00.5Z'", false},
		// a property that is missing makes the test false, with NOT as well
		{file, "file:nothing = 'a'", false},
		{file, "file:nothing != 'a'", false},
		{file, "file:nothing NOT = 'a'", false},
		{file, "file:nothing NOT LIKE 'a'", false},
		{file, "file:nothing NOT IN ('a')", false},
		{file, "file:name.deeper = 'a'", false},
		{file, "file:NAME = 'Calc.exe'", false},
		{file, "url:name = 'Calc.exe'", false},
		{file, "url:name NOT = 'Calc.exe'", false},
		// EXISTS
		{file, "EXISTS file:x_list", true},
		{file, "EXISTS file:x_empty", true},
		{file, "EXISTS file:x_empty[*]", false},
		{file, "EXISTS file:nothing", false},
		{file, "NOT EXISTS file:nothing", true},
		{file, "NOT EXISTS file:name", false},
		{file, "NOT EXISTS url:nothing", false},
		// IN
		{file, "file:size IN (1, 4096)", true},
		{file, "file:size IN (1.5, 4096.0, 2)", true},
		{file, "file:size IN (1, 2)", false},
		{file, "file:size NOT IN (1, 2)", true},
		{file, "file:size NOT IN (1, 4096)", false},
		{file, "file:name IN ('a', 'Calc.exe')", true},
		{file, "file:x_yes IN (false, true)", true},
		{file, "file:magic_number_hex IN (h'00', h'4d5a')", true},
		{file, "file:ctime IN (t'2024-02-29T10:00:00.5Z')", true},
		// LIKE
		{file, "file:name LIKE 'Calc.exe'", true},
		{file, "file:name LIKE 'Calc'", false},
		{file, "file:name LIKE '%'", true},
		{file, "file:name LIKE '%.exe'", true},
		{file, "file:name LIKE 'C%c%e'", true},
		{file, "file:name LIKE 'C%x'", false},
		{file, "file:name LIKE '____.___'", true},
		{file, "file:name LIKE '____.____'", false},
		{file, "file:name LIKE 'calc%'", false},
		{file, "file:name LIKE 'Calc*exe'", false},
		{file, "file:name NOT LIKE '%.dll'", true},
		{file, "file:x_lines LIKE 'one%two'", true},
		{file, "file:x_lines LIKE 'one_two'", true},
		{file, "file:x_smile LIKE '_'", true},
		{file, "file:x_text LIKE '" + composed + "'", true},
		{file, "file:x_text LIKE 'caf_'", true},
		{file, "file:x_text = '" + composed + "'", false}, // only LIKE and MATCHES normalise
		{file, "file:x_text = '" + decomposed + "'", true},
		{file, "file:magic_number_hex LIKE 'MZ'", true},
		// MATCHES
		{file, "file:name MATCHES 'alc'", true},
		{file, "file:name MATCHES '^alc'", false},
		{file, `file:name MATCHES '^[A-Z]\\w+\\.exe$'`, true},
		{file, "file:name MATCHES '(?i)CALC'", true},
		{file, "file:name MATCHES ''", true},
		{file, "file:name NOT MATCHES 'dll'", true},
		{file, "file:x_lines MATCHES 'one.two'", true},
		{file, "file:x_lines MATCHES '^two'", false},
		{file, "file:x_text MATCHES '^caf" + decomposed[3:] + "$'", true},
		{file, "file:x_text MATCHES '^caf.$'", true},
		{file, `file:magic_number_hex MATCHES '^\\x4d\\x5a$'`, true},
		// ISSUBSET and ISSUPERSET
		{v4, "ipv4-addr:value ISSUBSET '198.51.100.0/24'", true},
		{v4, "ipv4-addr:value ISSUBSET '198.51.100.99/24'", true},
		{v4, "ipv4-addr:value ISSUBSET '198.51.100.7'", true},
		{v4, "ipv4-addr:value ISSUBSET '198.51.100.7/32'", true},
		{v4, "ipv4-addr:value ISSUBSET '0.0.0.0/0'", true},
		{v4, "ipv4-addr:value ISSUBSET '198.51.101.0/24'", false},
		{v4, "ipv4-addr:value NOT ISSUBSET '198.51.101.0/24'", true},
		{v4, "ipv4-addr:value ISSUPERSET '198.51.100.0/24'", false},
		{v4, "ipv4-addr:value ISSUPERSET '198.51.100.7'", true},
		{net, "ipv4-addr:value ISSUPERSET '198.51.100.128/25'", true},
		{net, "ipv4-addr:value ISSUPERSET '198.51.100.0/24'", true},
		{net, "ipv4-addr:value ISSUBSET '198.51.100.0/24'", true},
		{net, "ipv4-addr:value ISSUBSET '198.51.100.0/25'", false},
		{net, "ipv4-addr:value ISSUPERSET '198.51.0.0/16'", false},
		{v6, "ipv6-addr:value ISSUBSET '2001:db8::/32'", true},
		{v6, "ipv6-addr:value ISSUBSET '2001:db9::/32'", false},
		{v6, "ipv6-addr:value ISSUBSET '::/0'", true},
		{odd, "ipv4-addr:value ISSUBSET '0.0.0.0/0'", false},
		{odd, "ipv4-addr:value NOT ISSUBSET '0.0.0.0/0'", true},
		// hex and binary
		{file, "file:magic_number_hex = h'4d5a'", true},
		{file, "file:magic_number_hex = b'TVo='", true},
		{file, "file:magic_number_hex = 'MZ'", true},
		{file, "file:magic_number_hex = '4d5a'", false},
		{file, "file:magic_number_hex < h'4d5b'", true},
		{file, "file:magic_number_hex > h'4d'", true},
		{file, "file:magic_number_hex > '😀'", false},
		{file, "file:x_data_bin = b'TVo='", true},
		{file, "file:x_data_bin = h'4d5a'", true},
		{file, "file:x_data_bin != h'4d5a'", false},
		{file, "file:x_data_bin = 'MZ'", true},
		{file, "file:x_odd_hex = h'4d5a'", false},
		{file, "file:x_odd_hex != h'4d5a'", true},
		// timestamps
		{file, "file:ctime = t'2024-02-29T10:00:00.5Z'", true},
		{file, "file:ctime = '2024-02-29T10:00:00.5Z'", false},
		{file, "file:ctime = '2024-02-29T10:00:00.50Z'", true},
		{file, "file:ctime > t'2024-02-29T10:00:00Z'", true},
		{file, "file:ctime >= t'2024-02-29T10:00:00.500Z'", true},
		{file, "file:ctime < t'2024-02-29T10:00:00.5000000001Z'", true},
		{file, "file:x_late > t'2024-02-29T10:00:00Z'", true},
		{file, "file:x_late < t'2024-02-29T10:00:00.00000000011Z'", true},
		{file, "file:x_late = t'2024-02-29T10:00:00.000000000100Z'", true},
		{file, "file:x_no_time < t'2025-01-01T00:00:00Z'", false},
		// paths
		{file, "file:hashes.MD5 = '098f6bcd4621d373cade4e832627b4f6'", true},
		{file, "file:hashes.'SHA-256' = 'AB'", true},
		{file, "file:x_map.'k-1' = 'v'", true},
		{file, "file:x_map.'K.2'.deep = 1", true},
		{file, "file:'x_map'.'K.2'.'deep' = 1", true},
		{file, "file:x_list[0] = 'a'", true},
		{file, "file:x_list[2] = 5", true},
		{file, "file:x_list[3] = 5", false},
		{file, "file:x_list[*] = 'b'", true},
		{file, "file:x_list[*] = 'c'", false},
		{file, "file:x_list[*] NOT = 'a'", true}, // some element is not
		{file, "file:x_list[*] LIKE 'b'", true},
		{file, "file:x_nested[*][1] = 2", true},
		{file, "file:x_nested[1][*] = 3", true},
		{file, "file:x_nested[1][1] = 2", false},
		{file, "file:x_map[*] = 'v'", false},
		{file, "file:x_list.'0' = 'a'", false},
		{file, "file:extensions.'windows-pebinary-ext'.sections[*].entropy > 7", true},
		{file, "file:extensions.'windows-pebinary-ext'.sections[0].entropy > 7", false},
		{file, "file:extensions.'extension-definition--c932fcc6-e032-476c-826f-cb970a5a1ade'.x_rank = 3", true},
		// AND, OR and parentheses
		{file, "file:size = 1 OR file:name = 'Calc.exe'", true},
		{file, "file:size = 1 AND file:name = 'Calc.exe'", false},
		{file, "file:size = 4096 AND file:name = 'Calc.exe'", true},
		{file, "file:size = 4096 OR file:size = 1 AND file:size = 2", true},
		{file, "(file:size = 4096 OR file:size = 1) AND file:size = 2", false},
		{file, "url:value = 'x' OR file:size = 4096", true},
	}
	for _, tt := range tests {
		got := match(t, "["+tt.text+"]", tt.on)
		want := pattern.Match{}
		if tt.want {
			want = pattern.Match{Found: true, Observations: []int{0}}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("[%s]: got %v, want %v", tt.text, got, want)
		}
	}
}

func TestReferencesAreFollowed(t *testing.T) {
	mail := observe(t,
		`{"type":"email-message","from_ref":"`+id("email-addr", 1)+`","to_refs":["`+id("email-addr", 1)+`","`+id("email-addr", 2)+`"],
			"subject":"hello","sender_ref":"`+id("email-addr", 9)+`",
			"body_multipart":[{"body_raw_ref":"`+id("file", 4)+`"}]}`,
		`{"type":"email-addr","value":"ann@example.org","belongs_to_ref":"`+id("user-account", 3)+`"}`,
		`{"type":"email-addr","value":"bob@example.org"}`,
		`{"type":"user-account","user_id":"1001"}`,
		`{"type":"file","name":"a.pdf"}`)
	container := observe(t, `{"type":"observed-data","spec_version":"2.1","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z",
		"first_observed":"2024-01-01T00:00:00Z","last_observed":"2024-01-01T00:00:00Z","number_observed":1,"objects":{
		"0":{"type":"ipv4-addr","value":"198.51.100.7"},
		"1":{"type":"network-traffic","src_ref":"0","dst_ref":"7","protocols":["tcp"],"contains_refs":["0","1","2"]},
		"3":{"type":"file","name":"0"},
		"2":{"type":"x-list","x_loop_refs":["2","2","1"],"x_end":"here"}}}`)
	bare := observe(t, `{"type":"directory","path":"/tmp","contains_refs":["`+id("directory", 0)+`","`+id("file", 5)+`"]}`)

	for _, tt := range []struct {
		on   *pattern.Observation
		text string
		want bool
	}{
		{mail, "email-message:from_ref.value = 'ann@example.org'", true},
		{mail, "email-message:from_ref.value = 'bob@example.org'", false},
		{mail, "email-message:to_refs[1].value = 'bob@example.org'", true},
		{mail, "email-message:to_refs[0].value = 'bob@example.org'", false},
		{mail, "email-message:to_refs[*].value = 'bob@example.org'", true},
		{mail, "email-message:to_refs.value = 'bob@example.org'", false},
		{mail, "email-message:from_ref.belongs_to_ref.user_id = '1001'", true},
		{mail, "email-message:to_refs[*].belongs_to_ref.user_id = '1001'", true},
		{mail, "email-message:body_multipart[*].body_raw_ref.name = 'a.pdf'", true},
		{mail, "email-message:from_ref = '" + id("email-addr", 1) + "'", true},
		{mail, "email-message:from_ref.type = 'email-addr'", true},
		{mail, "EXISTS email-message:from_ref.value", true},
		{mail, "EXISTS email-message:sender_ref", true},
		{mail, "EXISTS email-message:sender_ref.value", false}, // dangling
		{mail, "email-message:subject.value = 'ann@example.org'", false},
		{mail, "email-addr:value = 'ann@example.org'", false}, // only the message was observed
		{container, "network-traffic:src_ref.value = '198.51.100.7'", true},
		{container, "network-traffic:src_ref.value ISSUBSET '198.51.100.0/24'", true},
		{container, "file:name.value = '198.51.100.7'", false}, // a name is no reference
		{container, "network-traffic:dst_ref.value = '198.51.100.7'", false},
		{container, "network-traffic:contains_refs[*].contains_refs[*].x_end = 'here'", true},
		{container, "x-list:x_loop_refs[*].x_loop_refs[*].x_loop_refs[*].x_end = 'here'", true},
		// an object that is reached in many ways counts once
		{container, "x-list:" + strings.Repeat("x_loop_refs[*].", 60) + "x_end = 'here'", true},
		{container, "x-list:" + strings.Repeat("x_loop_refs[*].", 60) + "x_end = 'there'", false},
		{container, "ipv4-addr:value = '198.51.100.7'", true},
		{bare, "directory:contains_refs[*].path = '/tmp'", true}, // itself
		{bare, "directory:contains_refs[*].name = 'x'", false},
	} {
		if got := match(t, "["+tt.text+"]", tt.on).Found; got != tt.want {
			t.Errorf("[%s]: got %v, want %v", tt.text, got, tt.want)
		}
	}
}

// One object must satisfy all tests of a bracket. Two brackets need two observations.
func TestOneBracketIsOneObject(t *testing.T) {
	both := observe(t, `{"type":"observed-data","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z",
		"number_observed":1,"objects":{"0":{"type":"file","name":"a","size":1},"1":{"type":"file","name":"b","size":2}}}`)
	for text, want := range map[string]bool{
		"[file:name = 'a' AND file:size = 1]":                      true,
		"[file:name = 'a' AND file:size = 2]":                      false,
		"[file:name = 'a' OR file:size = 2]":                       true,
		"[(file:name = 'a' OR file:name = 'b') AND file:size = 2]": true,
		"[file:name = 'a'] AND [file:size = 2]":                    false,
		"[file:name = 'a'] OR [file:size = 3]":                     true,
	} {
		if got := match(t, text, both).Found; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// An observation has the objects that object_refs names, and no others. An empty
// container beside it adds nothing.
func TestObservedDataHasItsObjectRefs(t *testing.T) {
	obs := observe(t, `{"type":"observed-data","spec_version":"2.1","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z",
		"first_observed":"2024-01-01T00:00:00Z","last_observed":"2024-01-01T00:00:00Z","number_observed":2,
		"created_by_ref":"`+id("identity", 9)+`","objects":{},
		"object_refs":["`+id("network-traffic", 1)+`","`+id("url", 3)+`","`+id("relationship", 4)+`"]}`,
		`{"type":"network-traffic","protocols":["tcp"],"src_ref":"`+id("ipv4-addr", 2)+`"}`,
		`{"type":"ipv4-addr","value":"198.51.100.7"}`,
		`{"type":"mutex","name":"not named"}`,
		`{"type":"relationship","created":"2024-01-01T00:00:00.000Z","relationship_type":"x"}`)
	for text, want := range map[string]bool{
		"[network-traffic:src_ref.value = '198.51.100.7']":                                       true,
		"[ipv4-addr:value = '198.51.100.7']":                                                     false,
		"[mutex:name = 'not named']":                                                             false,
		"[EXISTS relationship:id]":                                                               false,
		"[EXISTS network-traffic:id] REPEATS 2 TIMES":                                            true,
		"[EXISTS network-traffic:id] REPEATS 3 TIMES":                                            false,
		"[EXISTS network-traffic:id] START t'2024-01-01T00:00:00Z' STOP t'2024-01-01T00:00:01Z'": true,
	} {
		if got := match(t, text, obs).Found; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// A construct that only PCRE has is an error that says so.
func TestRegexpBeyondRE2IsAnError(t *testing.T) {
	for _, expr := range []string{
		"(?=a)b", "(?<!a)b", `(a)\\1`, "(?>a)", "a++", "(", "[", `\\p{Nonsense}`,
		"((a{100}){100}){100}", strings.Repeat("(a{900})", 400), strings.Repeat("a", 5000),
	} {
		p := parse(t, "[file:name = 'a' OR file:name MATCHES '"+expr+"']", pattern.Strict)
		_, err := p.Match(nil)
		var fault *pattern.RegexpError
		if !errors.As(err, &fault) {
			t.Errorf("%.40s: %v, want a RegexpError", expr, err)
			continue
		}
		if len(err.Error()) > 300 || !strings.HasPrefix(err.Error(), "file:name MATCHES ") {
			t.Errorf("%.40s: the error reads %s", expr, err)
		}
	}
	many := "[file:name MATCHES '(a{900})'" + strings.Repeat(" OR file:name MATCHES 'a{900}'", 300) + "]"
	var fault *pattern.RegexpError
	if _, err := parse(t, many, pattern.Strict).Compile(); !errors.As(err, &fault) {
		t.Errorf("300 large expressions: %v, want a RegexpError", err)
	}
}
