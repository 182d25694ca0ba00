package stix

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/idna"
)

// Value is an observable by its type and normal form: see [NormalValue].
type Value struct {
	Type string // ipv4-addr, ipv6-addr, domain-name or url
	Text string
}

// ID is the identifier that STIX computes from the normal form (STIX 2.1 §2.9).
func (v Value) ID() ID {
	raw := []byte(`{"type":"` + v.Type + `","value":`)
	raw, _ = jsontext.AppendQuote(raw, v.Text)
	id, _ := DeterministicID(append(raw, '}'))
	return id
}

// Host is the address or domain that v is, or that a URL is on.
func (v Value) Host() Value {
	if v.Type != "url" {
		return v
	}
	u, err := url.Parse(v.Text)
	if err != nil {
		return v
	}
	host, err := NormalHost(u.Hostname())
	if err != nil {
		return v
	}
	return host
}

// Addr is the address that v is.
func (v Value) Addr() (netip.Addr, bool) {
	if v.Type != "ipv4-addr" && v.Type != "ipv6-addr" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(v.Text)
	return addr, err == nil
}

// NormalValue brings an observable of one of the four types into normal form: known
// defanged spellings ([.], hxxp) repaired; IPv6 as RFC 5952 writes it, and as
// IPv4 if that is mapped into it; a domain in lower case, in A-labels, without a
// final dot; of a URL scheme and host in lower case, without the default port
// and the fragment, with a path, in printable ASCII without spaces. Anything that then is no such value is an error.
func NormalValue(typ, text string) (Value, error) {
	text = strings.ReplaceAll(text, "[.]", ".")
	switch typ {
	case "ipv4-addr", "ipv6-addr":
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return Value{}, fmt.Errorf("%q is no address", text)
		}
		return AddressValue(addr), nil
	case "domain-name":
		return normalDomain(text)
	case "url":
		return normalURL(text)
	}
	return Value{}, fmt.Errorf("a %s has no normal form", typ)
}

// AddressValue is the value of an address; one mapped into IPv6 is IPv4.
func AddressValue(addr netip.Addr) Value {
	addr = addr.Unmap()
	if addr.Is4() {
		return Value{"ipv4-addr", addr.String()}
	}
	return Value{"ipv6-addr", addr.String()}
}

// normalDomain takes names with underscores too: hosts have them, whatever the
// standard says of host names.
func normalDomain(text string) (Value, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	for i := range len(name) {
		if name[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(name)
			if err != nil {
				return Value{}, fmt.Errorf("%q is no domain: %w", text, err)
			}
			name = ascii
			break
		}
	}
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	if len(name) > 253 || len(labels) < 2 || strings.Trim(last, "0123456789") == "" {
		return Value{}, fmt.Errorf("%q is no domain", text)
	}
	for _, label := range labels {
		rest := strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789_-")
		if rest != "" || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return Value{}, fmt.Errorf("%q is no domain", text)
		}
	}
	return Value{"domain-name", name}, nil
}

// NormalHost brings an address or a domain into normal form: see [NormalValue].
func NormalHost(text string) (Value, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return AddressValue(addr), nil
	}
	return normalDomain(text)
}

func normalURL(text string) (Value, error) {
	if len(text) > 4 && strings.EqualFold(text[:4], "hxxp") {
		text = "http" + text[4:]
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Value{}, fmt.Errorf("%q is no URL with a host", text)
	}
	host, err := NormalHost(u.Hostname())
	if err != nil {
		return Value{}, fmt.Errorf("%q is no URL: %w", text, err)
	}
	port := u.Port()
	u.Scheme, u.Host, u.Fragment, u.RawFragment = strings.ToLower(u.Scheme), host.Text, "", ""
	if host.Type == "ipv6-addr" {
		u.Host = "[" + host.Text + "]"
	}
	if port != "" && port != map[string]string{"http": "80", "https": "443", "ftp": "21"}[u.Scheme] {
		u.Host += ":" + port
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return Value{"url", escapeURL(u.String())}, nil
}

// escapeURL escapes the bytes that no URL has, as browsers do in a query.
func escapeURL(u string) string {
	if strings.IndexFunc(u, outsideURL) < 0 {
		return u
	}
	var b strings.Builder
	for i := range len(u) {
		if outsideURL(rune(u[i])) {
			fmt.Fprintf(&b, "%%%02X", u[i])
		} else {
			b.WriteByte(u[i])
		}
	}
	return b.String()
}

func outsideURL(r rune) bool { return r <= ' ' || r >= 0x7f }

// SpecialPurpose lists the networks of the IANA special-purpose registries (RFC 6890),
// which have no hosts on the internet.
func SpecialPurpose() (networks []netip.Prefix) {
	for s := range strings.FieldsSeq(`
		0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
		192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
		::/127 100::/64 2001:2::/48 2001:db8::/32 3fff::/20 fc00::/7 fe80::/10 ff00::/8`) {
		networks = append(networks, netip.MustParsePrefix(s))
	}
	return networks
}
