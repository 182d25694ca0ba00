package fusion

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/idna"

	"comity/stix"
)

// Value is an observable by its type and normal form. Its text and that of
// [Entity.Key] are equal exactly if they mean the same.
type Value struct {
	Type string // ipv4-addr, ipv6-addr, domain-name or url; indicator if its pattern claims no value
	Text string
}

// ID is the identifier that STIX computes from the normal form (STIX 2.1 §2.9).
func (v Value) ID() stix.ID {
	raw := []byte(`{"type":"` + v.Type + `","value":`)
	raw, _ = jsontext.AppendQuote(raw, v.Text)
	id, _ := stix.DeterministicID(append(raw, '}'))
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
	host, err := hostOf(u.Hostname())
	if err != nil {
		return v
	}
	return host
}

// addr is the address that v is.
func (v Value) addr() (netip.Addr, bool) {
	if v.Type != "ipv4-addr" && v.Type != "ipv6-addr" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(v.Text)
	return addr, err == nil
}

// Normal brings an observable of one of the four types into normal form: known
// defanged spellings ([.], hxxp) repaired; IPv6 as RFC 5952 writes it, and as
// IPv4 if that is mapped into it; a domain in lower case, in A-labels, without a
// final dot; of a URL scheme and host in lower case, without the default port
// and the fragment. Anything that then is no such value is an error.
func Normal(typ, text string) (Value, error) {
	text = strings.ReplaceAll(text, "[.]", ".")
	switch typ {
	case "ipv4-addr", "ipv6-addr":
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return Value{}, fmt.Errorf("%q is no address", text)
		}
		return addressValue(addr), nil
	case "domain-name":
		return domain(text)
	case "url":
		return normalURL(text)
	}
	return Value{}, fmt.Errorf("a %s is not fused", typ)
}

func addressValue(addr netip.Addr) Value {
	addr = addr.Unmap()
	if addr.Is4() {
		return Value{"ipv4-addr", addr.String()}
	}
	return Value{"ipv6-addr", addr.String()}
}

// domain takes names with underscores too: hosts have them, whatever the
// standard says of host names.
func domain(text string) (Value, error) {
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

func hostOf(text string) (Value, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return addressValue(addr), nil
	}
	return domain(text)
}

func normalURL(text string) (Value, error) {
	if len(text) > 4 && strings.EqualFold(text[:4], "hxxp") {
		text = "http" + text[4:]
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Value{}, fmt.Errorf("%q is no URL with a host", text)
	}
	host, err := hostOf(u.Hostname())
	if err != nil {
		return Value{}, fmt.Errorf("%q is no URL: %w", text, err)
	}
	u.Scheme, u.Host, u.Fragment, u.RawFragment = strings.ToLower(u.Scheme), host.Text, "", ""
	if host.Type == "ipv6-addr" {
		u.Host = "[" + host.Text + "]"
	}
	if port := port(text); port != "" && port != map[string]string{"http": "80", "https": "443", "ftp": "21"}[u.Scheme] {
		u.Host += ":" + port
	}
	return Value{"url", u.String()}, nil
}

func port(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Port()
}
