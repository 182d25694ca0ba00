package feed

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
	"golang.org/x/net/publicsuffix"

	"comity/stix"
)

// NeverBlock holds the values that no list may block. It is read-only once built. Nil
// holds nothing.
type NeverBlock struct {
	networks *netipx.IPSet
	names    map[string]bool // true if it is held, false if only a name below it is
	others   map[Value]bool
	suffixes bool // public suffixes too
}

// NewNeverBlock holds values of lists, one text each: addresses, networks, domains, URLs,
// email addresses, MAC addresses, hashes, numbers of autonomous systems with "AS". A
// domain stands for the names below it too. If builtin is set, it also holds values that
// nobody should block: the networks of the special-purpose registries, public suffixes
// such as "co.uk", root servers and public resolvers of the DNS, and hashes of the empty
// file. The networks of allow may be blocked whatever the others say, such as the test
// networks of an exercise.
func NewNeverBlock(builtin bool, allow []netip.Prefix, lists ...[]string) (*NeverBlock, error) {
	n := &NeverBlock{names: map[string]bool{}, others: map[Value]bool{}, suffixes: builtin}
	var networks netipx.IPSetBuilder
	if builtin {
		for _, network := range stix.SpecialPurpose() {
			networks.AddPrefix(network)
		}
		lists = append(lists, strings.Fields(neverBlocked))
	}
	for _, list := range lists {
		for _, text := range list {
			v, err := parseValue(text)
			if err != nil {
				return nil, fmt.Errorf("never block: %w", err)
			}
			if network, ok := v.Network(); ok {
				networks.AddPrefix(network)
			} else if v.Kind == Domain {
				n.addName(strings.TrimPrefix(v.Text, "*."))
			} else {
				n.others[v] = true
			}
		}
	}
	for _, network := range allow {
		networks.RemovePrefix(network)
	}
	var err error
	if n.networks, err = networks.IPSet(); err != nil {
		return nil, fmt.Errorf("never block: %w", err)
	}
	return n, nil
}

func (n *NeverBlock) addName(name string) {
	n.names[name] = true
	for _, above, more := strings.Cut(name, "."); more; _, above, more = strings.Cut(above, ".") {
		if _, known := n.names[above]; !known {
			n.names[above] = false
		}
	}
}

// parseValue finds out the kind of a text.
func parseValue(text string) (Value, error) {
	for kind := range Kind(len(kindNames)) {
		if certHashes.Has(kind) || rulePatterns.Has(kind) || kind == ASN && !strings.HasPrefix(text, "AS") {
			continue
		}
		if v, err := Normal(kind, text); err == nil {
			return v, nil
		}
	}
	return Value{}, fmt.Errorf("%q is no address, domain, URL or hash", text)
}

// Has tells whether it holds v, part of it, or the host of a URL.
func (n *NeverBlock) Has(v Value) bool {
	if n == nil {
		return false
	}
	if n.others[v] {
		return true
	}
	if v.Kind == URL {
		host := stix.Value{Type: "url", Text: v.Text}.Host()
		v = Value{Domain, host.Text}
		if addr, ok := host.Addr(); ok {
			v = NetworkValue(netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	if network, ok := v.Network(); ok {
		if network.IsSingleIP() {
			return n.networks.Contains(network.Addr()) // OverlapsPrefix looks at every range
		}
		return n.networks.OverlapsPrefix(network)
	}
	return v.Kind == Domain && n.hasName(strings.TrimPrefix(v.Text, "*."))
}

func (n *NeverBlock) hasName(name string) bool {
	if _, ok := n.names[name]; ok {
		return true
	}
	if n.suffixes {
		if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
			return true
		}
	}
	for _, above, more := strings.Cut(name, "."); more; _, above, more = strings.Cut(above, ".") {
		if n.names[above] {
			return true
		}
	}
	return false
}

// neverBlocked are the addresses of the root servers of the DNS and of public resolvers,
// their names, addresses that are none of a host, and the hashes of the empty file.
const neverBlocked = `
	198.41.0.4 170.247.170.2 192.33.4.12 199.7.91.13 192.203.230.10 192.5.5.241 192.112.36.4
	198.97.190.53 192.36.148.17 192.58.128.30 193.0.14.129 199.7.83.42 202.12.27.33
	2001:503:ba3e::2:30 2801:1b8:10::b 2001:500:2::c 2001:500:2d::d 2001:500:a8::e 2001:500:2f::f 2001:500:12::d0d
	2001:500:1::53 2001:7fe::53 2001:503:c27::2:30 2001:7fd::1 2001:500:9f::42 2001:dc3::35
	root-servers.net in-addr.arpa ip6.arpa

	1.1.1.1 1.0.0.1 8.8.8.8 8.8.4.4 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220
	2606:4700:4700::1111 2606:4700:4700::1001 2001:4860:4860::8888 2001:4860:4860::8844 2620:fe::fe 2620:fe::9
	2620:119:35::35 2620:119:53::53
	one.one.one.one dns.google dns.quad9.net dns.opendns.com

	ff:ff:ff:ff:ff:ff 00:00:00:00:00:00

	d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709
	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e
`
