package pattern_test

import (
	"fmt"
	"strings"
	"testing"

	"comity/stix/pattern"
)

func BenchmarkParse(b *testing.B) {
	var hashes []string
	for i := range 1000 {
		hashes = append(hashes, fmt.Sprintf("file:hashes.'SHA-256' = '%064x'", i))
	}
	for _, bb := range []struct{ name, text string }{
		{"one test", "[ipv4-addr:value = '198.51.100.7']"},
		{"sequence", "([file:name = 'a.exe' AND file:size < 4096] FOLLOWEDBY [process:command_line MATCHES 'a.exe']) WITHIN 300 SECONDS"},
		{"thousand hashes", "[" + strings.Join(hashes, " OR ") + "]"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pattern.Parse(bb.text, pattern.Strict); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Each round matches one pattern with 10 000 observations.
func BenchmarkMatch(b *testing.B) {
	all := append(mutexes(b, "one", 5_000), mutexes(b, "two", 5_000)...)
	for _, bb := range []struct {
		name, text string
		want       bool
	}{
		{"equal", "[mutex:name = 'three']", false},
		{"matches", `[mutex:name MATCHES '^(three|four)[0-9]+$']`, false},
		{"followed", "([mutex:name = 'two'] FOLLOWEDBY [mutex:name = 'one']) WITHIN 1 SECONDS", true},
		{"repeats", "[mutex:name = 'one'] REPEATS 100 TIMES WITHIN 60 SECONDS", false},
	} {
		m, err := parse(b, bb.text, pattern.Strict).Compile()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := m.Match(all); err != nil || got.Found != bb.want {
					b.Fatal(got, err)
				}
			}
		})
	}
}
