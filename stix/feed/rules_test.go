package feed_test

import (
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/feed"
)

// ids are those of one indicator.
var ids = []stix.ID{"indicator--11111111-1111-4111-8111-111111111111"}

// packOf writes a file that has nothing but one rule.
func packOf(t testing.TB, file string, kind feed.Kind, text string) (string, feed.Result) {
	t.Helper()
	e := &feed.Entry{Value: feed.Value{Kind: kind, Text: text}, IDs: ids}
	return write(t, file, []*feed.Entry{e}, nil)
}

// One fault in a rule makes a compiler refuse all rules of a file. What a scanner finds
// without compiling is left out.
func TestYARARulesThatWouldSpoilOthersAreLeftOut(t *testing.T) {
	for text, want := range map[string]feed.Reason{
		`rule a { condition: true }`: "",
		`rule a : x y { meta: b = "c" d = 1 e = true strings: $s = "x" condition: $s }`:                    "",
		`rule a { strings: $s1 = "x" $s2 = "y" condition: any of ($s*) }`:                                  "",
		`rule a { strings: $ = "x" condition: any of them }`:                                               "",
		`rule a { strings: $ = "x" condition: them }`:                                                      feed.Broken,
		`rule a { strings: $ = "x" condition: $ }`:                                                         feed.Broken,
		`rule a { strings: $s = "x" condition: for any of them : ( # > 2 and $ at filesize - 1 ) }`:        "",
		`rule a { strings: $s = "x" condition: 2 of ($s*) or 50% of them or not $s in (0..filesize % 3) }`: "",
		`rule a { condition: for all i, j in (1, 2) : ( uint32be(i) == 0x5A4D and j < 1.5 ) }`:             feed.Broken,
		`rule a { condition: for all i in (1, 2) : ( uint32be(i) == 0x5A4D ) and filesize < 10KB }`:        "",
		`import "pe" rule a { condition: pe.exports(/a/i) or pe.sections[0].name matches /x/ }`:            "",
		`rule a { condition: true true }`:                                                                  feed.Broken,
		`import "pe" rule a { condition: pe }`:                                                             feed.Broken,
		`rule a { strings: $s = "x" condition: $s at $s }`:                                                 feed.Broken,
		`rule a { condition: filesize + "x" == 1 }`:                                                        feed.Broken,
		`rule a { condition: "a" contains 1 }`:                                                             feed.Broken,
		`rule a { strings: $s = "x" condition: 0% of them }`:                                               feed.Broken,
		`rule a { strings: $s = "x" xor(9-1) condition: $s }`:                                              feed.Broken,
		`rule a : { condition: true }`:                                                                     feed.Broken,
		`rule a { strings: $s = /a{2,/ condition: $s }`:                                                    feed.Broken,
		`rule a { strings: $s = /a{2,3}b{4}\{/ condition: $s }`:                                            "",
		`rule a { condition: 1 + }`:                                                                        feed.Broken,
		`rule a { condition: filesize = 1 }`:                                                               feed.Broken,
		`rule a { condition: /x/ }`:                                                                        feed.Broken,
		`rule a { condition: any }`:                                                                        feed.Broken,
		`rule a { condition: any of them }`:                                                                feed.Broken,
		`rule a { condition: for any i in (1..2) : ( i ) and i == 1 }`:                                     feed.Broken,
		`rule a { strings: $s = { 4D [2-4] } condition: $s }`:                                              feed.Broken,
		`rule a { strings: $s = { 4D ( | 5A ) } condition: $s }`:                                           feed.Broken,
		`rule a { strings: $s = { 4D [x] 5A } condition: $s }`:                                             feed.Broken,
		`rule a { strings: $s = /a(?=b)/ condition: $s }`:                                                  feed.Broken,
		`rule a { strings: $s = /a{2,1}/ condition: $s }`:                                                  feed.Broken,
		`rule a { strings: $s = { 4D ?? [4] 5A (61|62 63) } condition: #s > 1 and !s[1] < 2}`:              "",
		`rule a { strings: $s = "a\"b\\" xor(1-255) condition: $s at 0 }`:                                  "",
		`rule a { strings: $s = /a\/b[\]"]/ // "
		condition: $s /* } */ }`: "",
		`import "pe" rule a { condition: for any s in pe.sections : ( s.name == "x" ) }`: "",
		`import "cuckoo" rule a { condition: true }`:                                     feed.Broken,
		`rule a { condition: true } rule b { condition: a }`:                             "",
		`rule a { condition: true } rule a { condition: true }`:                          feed.Broken,
		`rule all { condition: true }`:                                                   feed.Broken,
		`rule a { strings: $s = "x" condition: true }`:                                   feed.Broken, // an unused string
		`rule a { strings: $s = "x" $s = "y" condition: $s }`:                            feed.Broken,
		`rule a { condition: $s }`:                                                       feed.Broken,
		`rule a { condition: other }`:                                                    feed.Broken,
		`rule a { condition: pe.is_dll() }`:                                              feed.Broken,
		`rule a { condition: }`:                                                          feed.Broken,
		`rule a { condition: (true }`:                                                    feed.Broken,
		`rule a { condition: true`:                                                       feed.Broken,
		`rule a { condition: true } }`:                                                   feed.Broken,
		`rule a { strings: $s = "x condition: $s }`:                                      feed.Broken,
		`rule a { strings: $s = "\q" condition: $s }`:                                    feed.Broken,
		`rule a { strings: $s = /a(/ condition: $s }`:                                    feed.Broken,
		`rule a { strings: $s = { 4D 5 } condition: $s }`:                                feed.Broken,
		`rule a { strings: $s = { } condition: $s }`:                                     feed.Broken,
		`rule a { /* condition: true }`:                                                  feed.Broken,
		``:                                                                               feed.Broken,
		`// nothing`:                                                                     feed.Broken,
		`global rule a { condition: false }`:                                             feed.Unsafe,
		`private global rule a { condition: false }`:                                     feed.Unsafe,
		`include "/etc/passwd" rule a { condition: true }`:                               feed.Unsafe,
		`rule a { condition: true } include "x"`:                                         feed.Unsafe,
	} {
		_, result := packOf(t, "yara.yar", feed.YARA, text)
		if got := result.LeftOut[want]; want == "" && result.Entries != 1 || want != "" && got != 1 {
			t.Errorf("%s: got %v, want %q", text, result, want)
		}
	}
}

func TestRulesOfAnIDSThatWouldSpoilOthersAreLeftOut(t *testing.T) {
	const good = `alert tcp any any -> any 80 (msg:"a"; sid:1;)`
	for text, want := range map[string]feed.Reason{
		good:             "",
		good + "\n# off": "",
		`alert tcp [10.0.0.0/8, !10.1.0.0/16] any <> $HOME_NET [80,443:450] (msg:"a \"b\"\; c"; content:!"(|3b|"; pcre:"/a\;b/i"; sid:1; rev:3;)`: "",
		"alert tcp any any -> any 80 \\\n (msg:\"a\"; sid:1;)": "",
		good + "\n" + good:                                                                         feed.Duplicate,
		`alert tcp any any -> any 80 (msg:"a";)`:                                                   feed.Broken,
		`alert tcp any any -> any 80 (sid:1;)`:                                                     feed.Broken,
		`alert tcp any any -> any 80 (msg:"a; sid:1;)`:                                             feed.Broken,
		`alert tcp any any -> any 80 (msg:"a"; sid:x;)`:                                            feed.Broken,
		`alert tcp any any -> any 80 (msg:"a"; sid:1)`:                                             feed.Broken,
		`alert tcp any any -> any 80 (msg:"a"; sid:1;`:                                             feed.Broken,
		`alert tcp any [any -> any 80 (msg:"a"; sid:1;)`:                                           feed.Broken,
		`alert tcp any any any 80 (msg:"a"; sid:1;)`:                                               feed.Broken,
		`alert http (msg:"a"; sid:1;)`:                                                             feed.Broken, // of Snort 3 only
		`alert tcp any any -> any 80`:                                                              feed.Broken,
		`# nothing`:                                                                                feed.Broken,
		`pass tcp any any -> any any (msg:"a"; sid:1;)`:                                            feed.Unsafe,
		`drop tcp any any -> any any (msg:"a"; sid:1;)`:                                            feed.Unsafe,
		`alert tcp any any -> any any (msg:"a"; LUA:x; sid:1;)`:                                    feed.Unsafe,
		`alert tcp any any -> any any (msg:"a"; dataset : set,x,type string,state /etc/x; sid:1;)`: feed.Unsafe,
		`alert tcp any any -> any any (msg:"a"; bypass; sid:1;)`:                                   feed.Unsafe,
	} {
		_, result := packOf(t, "suricata.rules", feed.Suricata, text)
		if got := result.LeftOut[want]; want == "" && result.Entries != 1 || want != "" && got != 1 {
			t.Errorf("%s: got %v, want %q", text, result, want)
		}
	}
}

// The number of a generated rule stays when other entries come and go, and its revision
// grows when an indicator is modified.
func TestRuleNumbersAreStable(t *testing.T) {
	e := &feed.Entry{Value: feed.Value{Kind: feed.Domain, Text: "bad.example"}, IDs: ids, Modified: day(1)}
	alone, _ := write(t, "all.rules", []*feed.Entry{e}, nil)
	among, _ := write(t, "all.rules", []*feed.Entry{{Value: feed.Value{Kind: feed.IPv4, Text: "203.0.113.7"}, IDs: ids}, e}, nil)
	if !strings.HasSuffix(among, alone) || !strings.Contains(alone, " rev:310262400;)") {
		t.Errorf("alone\n%s\namong others\n%s", alone, among)
	}
}

func TestSigmaRulesThatReadersRefuseAreLeftOut(t *testing.T) {
	const good = "title: a\nlogsource: {product: linux}\ndetection: {sel: {a: b}, condition: sel}\n"
	for text, want := range map[string]feed.Reason{
		good: "",
		good + "id: 11111111-2222-4333-8444-555555555555\nstatus: test\nlevel: low\n":                                            "",
		"title: a\nlogsource: {product: linux}\ndetection: {sel: [a], condition: [sel, sel]}\n":                                  "",
		"title: a\nlogsource: {product: linux}\ndetection: {sel1: [a], sel2: [b], condition: 1 of sel* and not (all of them)}\n": "",
		"title: a\nlogsource: {product: linux}\ndetection: {sel: [a], condition: sel and other}\n":                               feed.Broken,
		"title: a\nlogsource: {product: linux}\ndetection: {sel: [a], condition: (sel}\n":                                        feed.Broken,
		"title: a\nlogsource: {product: linux}\ndetection: {sel: [a], condition: sel | count() > 5}\n":                           feed.Broken,
		"title: a\nlogsource: {product: linux}\ndetection: {sel: [a], condition: []}\n":                                          feed.Broken,
		good + "---\n" + good:    feed.Broken,
		good + "level: severe\n": feed.Broken,
		good + "status: new\n":   feed.Broken,
		good + "id: a\n":         feed.Broken,
		good + "title: b\n":      feed.Broken,
		"logsource: {product: linux}\ndetection: {sel: {a: b}, condition: s}": feed.Broken,
		"title: a\ndetection: {sel: {a: b}, condition: sel}\n":                feed.Broken,
		"title: a\nlogsource: {product: linux}\ndetection: {condition: sel}":  feed.Broken,
		"title: a\nlogsource: {product: linux}\ndetection: {sel: {a: b}}":     feed.Broken,
		"":                                       feed.Broken,
		"a: &a [x, x]\nb: &b [*a, *a]\ntitle: [": feed.Broken,
		good + "action: global\n":                feed.Unsafe,
	} {
		_, result := packOf(t, "sigma.sigma.zip", feed.Sigma, text)
		if got := result.LeftOut[want]; want == "" && result.Entries != 1 || want != "" && got != 1 {
			t.Errorf("%s: got %v, want %q", text, result, want)
		}
	}
}

// fuzzRule checks that a scanner ends, and takes a rule that it has written itself.
func fuzzRule(f *testing.F, file string, kind feed.Kind) {
	for _, r := range rules {
		if r.language == kind.String() {
			f.Add(r.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, result := packOf(t, file, kind, text)
		if result.Entries == 0 {
			return
		}
		if second, result := packOf(t, file, kind, first); result.Entries != 1 {
			t.Errorf("%q is taken, and what is written of it is not: %q", text, second)
		}
	})
}

func FuzzYARA(f *testing.F)     { fuzzRule(f, "yara.yar", feed.YARA) }
func FuzzSuricata(f *testing.F) { fuzzRule(f, "suricata.rules", feed.Suricata) }

func FuzzSigma(f *testing.F) {
	for _, r := range rules {
		if r.language == "sigma" {
			f.Add(r.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) { packOf(t, "sigma.sigma.zip", feed.Sigma, text) })
}
