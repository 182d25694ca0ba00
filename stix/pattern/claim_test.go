package pattern_test

import (
	"slices"
	"testing"

	"comity/stix/pattern"
)

// A value is claimed only if it matches alone. A block list made of claims blocks no
// value that matches only together with others.
func TestClaims(t *testing.T) {
	for _, test := range []struct {
		pattern   string
		want      []string
		condition string
	}{
		{"[url:value = 'http://a.example/']", []string{"url:value = 'http://a.example/'"}, ""},
		{"[domain-name:value IN ('a.example', 'b.example') OR domain-name:value LIKE '%.c.example']",
			[]string{"domain-name:value = 'a.example'", "domain-name:value = 'b.example'", "domain-name:value LIKE '%.c.example'"}, ""},
		{"([ipv4-addr:value ISSUBSET '198.51.100.0/24'] OR [file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4'])",
			[]string{"ipv4-addr:value ISSUBSET '198.51.100.0/24'", "file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4'"}, ""},
		{"[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:dst_port IN (80, 443)]", []string{"ipv4-addr:value = '198.51.100.3'"}, ""},
		{"[network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_port = 443 AND network-traffic:dst_ref.value = '2001:db8::3']",
			[]string{"ipv6-addr:value = '2001:db8::3'"}, ""},
		{"[network-traffic:src_ref.value = '198.51.100.3']", []string{"ipv4-addr:value = '198.51.100.3'"}, ""},

		{"[ipv4-addr:value = '198.51.100.3' AND ipv4-addr:belongs_to_refs[*].number = 64500]", nil, "AND"},
		{"[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:src_ref.value = '198.51.100.4']", nil, "AND"},
		{"[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:dst_port NOT = 443]", nil, "AND"},
		{"[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:protocols[*] = 'tcp']", nil, "AND"},
		{"[network-traffic:dst_ref.value = 'a.example' AND network-traffic:dst_port = 443]", nil, "AND"},
		{"[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value = '198.51.100.3']", nil, "AND"},
		{"[network-traffic:dst_port = 443 AND network-traffic:src_port = 443]", nil, "AND"},
		{"[url:value = 'http://a.example/' OR (url:value = 'http://b.example/' AND url:x_seen = true)]", nil, "AND"},
		{"[url:value = 'http://a.example/'] AND [url:value = 'http://b.example/']", nil, "AND"},
		{"[url:value = 'http://a.example/'] FOLLOWEDBY [url:value = 'http://b.example/']", nil, "FOLLOWEDBY"},
		{"[url:value = 'http://a.example/'] OR [url:value = 'http://b.example/'] REPEATS 2 TIMES", nil, "REPEATS"},
		{"[url:value = 'http://a.example/'] WITHIN 5 SECONDS", nil, "WITHIN"},
		{"[url:value = 'http://a.example/'] START t'2017-01-01T00:00:00Z' STOP t'2018-01-01T00:00:00Z'", nil, "START"},
		{"[url:value NOT = 'http://a.example/']", nil, "NOT"},
		{"[url:value != 'http://a.example/' OR url:value = 'http://b.example/']", nil, "!="},
		{"[url:value MATCHES '^http:']", nil, "MATCHES"},
		{"[EXISTS url:value]", nil, "EXISTS"},
	} {
		p, err := pattern.Parse(test.pattern, pattern.Strict)
		if err != nil {
			t.Fatalf("%s: %v", test.pattern, err)
		}
		claims, condition := p.Claims()
		var got []string
		for _, c := range claims {
			got = append(got, c.Path.String()+" "+c.Op.String()+" "+c.Value.String())
		}
		if !slices.Equal(got, test.want) || condition != test.condition {
			t.Errorf("%s\n got %q, %q\nwant %q, %q", test.pattern, got, condition, test.want, test.condition)
		}
	}
}
