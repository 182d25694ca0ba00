package stix_test

import (
	"testing"

	"comity/stix"
)

func TestNormalValue(t *testing.T) {
	for _, test := range []struct{ typ, sent, wantType, want string }{
		{"ipv4-addr", "198[.]18[.]0[.]1", "ipv4-addr", "198.18.0.1"},
		{"ipv6-addr", "2001:0DB8:0001:0000:0000:0000:0000:0001", "ipv6-addr", "2001:db8:1::1"},
		{"ipv6-addr", "::ffff:198.18.0.1", "ipv4-addr", "198.18.0.1"},
		{"domain-name", "C2-00016.BN.Example.", "domain-name", "c2-00016.bn.example"},
		{"domain-name", "bücher.example", "domain-name", "xn--bcher-kva.example"},
		{"domain-name", "_dmarc.shop.example", "domain-name", "_dmarc.shop.example"},
		{"url", "hxxp://SHOP[.]example:80/A/b.php?q=1#top", "url", "http://shop.example/A/b.php?q=1"},
		{"url", "https://[2001:DB8::1]:8443/", "url", "https://[2001:db8::1]:8443/"},
		{"url", "http://shop.example", "url", "http://shop.example/"},
		{"url", "http://shop.example/ü?q=a bü", "url", "http://shop.example/%C3%BC?q=a%20b%C3%BC"},
		{"url", "http://shop.example:443/", "url", "http://shop.example:443/"},
	} {
		got, err := stix.NormalValue(test.typ, test.sent)
		if want := (stix.Value{Type: test.wantType, Text: test.want}); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", test.sent, got, err, want)
		}
	}
}

func TestNormalValueRefuses(t *testing.T) {
	for _, test := range []struct{ typ, sent string }{
		{"ipv4-addr", "198.18.0.256"}, {"ipv4-addr", "198(dot)18(dot)0(dot)1"}, {"ipv4-addr", "198.18.0.0/24"},
		{"ipv6-addr", "fe80::1%eth0"}, {"domain-name", "198.18.0.1"}, {"domain-name", "localhost"},
		{"domain-name", "a..example"}, {"domain-name", "-a.example"}, {"domain-name", "a b.example"}, {"domain-name", ""},
		{"url", "shop.example/index.php"}, {"url", "http:///index.php"}, {"file", "a.exe"},
	} {
		if got, err := stix.NormalValue(test.typ, test.sent); err == nil {
			t.Errorf("%s %q was taken for %v", test.typ, test.sent, got)
		}
	}
}

// A value in normal form does not change when it is normalised again, and a URL has a host.
func FuzzNormalValue(f *testing.F) {
	for _, typ := range []string{"ipv4-addr", "ipv6-addr", "domain-name", "url"} {
		for _, text := range []string{
			"198[.]18[.]0[.]1", "::ffff:198.18.0.1", "Bücher.example.", "hxxps://u:p@[2001:db8::1]:443/a%2Fb?q#f", "http://a.example:/%zz",
		} {
			f.Add(typ, text)
		}
	}
	f.Fuzz(func(t *testing.T, typ, text string) {
		v, err := stix.NormalValue(typ, text)
		if err != nil {
			return
		}
		if again, err := stix.NormalValue(v.Type, v.Text); err != nil || again != v {
			t.Errorf("%q: %v, and again %v, %v", text, v, again, err)
		}
		if v.Type == "url" && v.Host().Type == "url" {
			t.Errorf("%q has no host", v.Text)
		}
	})
}
