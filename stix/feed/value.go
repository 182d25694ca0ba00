package feed

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"comity/stix"
)

// Value is a value in normal form. Equal values are equal texts.
//
//   - An address is written as RFC 5952 has it, and as IPv4 if it is mapped into
//     IPv6. A network has a prefix length and no host bits; one of a single address
//     is that address. No value stands for all addresses.
//   - A domain is in lower case and A-labels, without a final dot. "*.bad.example"
//     stands for all names below bad.example and not for bad.example itself.
//   - A URL is as [stix.NormalValue] has it.
//   - The domain of an email address is in normal form. Its local part is kept as it is.
//   - A MAC address has lower-case digits and colons, a hash lower-case digits.
//   - The number of an autonomous system has the prefix "AS".
//   - A rule is its text.
type Value struct {
	Kind Kind
	Text string
}

// Normal brings the text of a value into normal form. An error means that it is no value
// of that kind.
func Normal(kind Kind, text string) (Value, error) {
	switch {
	case addresses.Has(kind):
		return normalNetwork(text)
	case kind == Domain:
		below, wildcard := strings.CutPrefix(text, "*.")
		v, err := stix.NormalValue("domain-name", below)
		if wildcard {
			v.Text = "*." + v.Text
		}
		return Value{Domain, v.Text}, err
	case kind == URL:
		v, err := stix.NormalValue("url", text)
		return Value{URL, v.Text}, err
	case kind == Email:
		at := strings.LastIndexByte(text, '@')
		if at <= 0 || at > 64 || strings.Trim(text[:at], localPart) != "" {
			return Value{}, noValue(kind, text)
		}
		host, err := stix.NormalValue("domain-name", text[at+1:])
		return Value{Email, text[:at+1] + host.Text}, err
	case kind == MAC:
		text = strings.ToLower(strings.ReplaceAll(text, "-", ":"))
		pairs := strings.Split(text, ":")
		for _, pair := range pairs {
			if len(pair) != 2 || !isHex(pair) || len(pairs) != 6 {
				return Value{}, noValue(kind, text)
			}
		}
		return Value{MAC, text}, nil
	case kind == ASN:
		digits := text
		if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
			digits = text[2:]
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || digits[0] == '+' {
			return Value{}, noValue(kind, text)
		}
		return Value{ASN, "AS" + strconv.FormatUint(n, 10)}, nil
	case rulePatterns.Has(kind):
		return Value{kind, text}, nil
	}
	text = strings.ToLower(text)
	if len(text) != hashLength[kind] || !isHex(text) {
		return Value{}, noValue(kind, text)
	}
	return Value{kind, text}, nil
}

// localPart has the characters of an unquoted local part (RFC 5322 dot-atom).
const localPart = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."

// hashLength is the number of hexadecimal digits by kind.
var hashLength = map[Kind]int{
	MD5: 32, SHA1: 40, SHA256: 64, SHA512: 128, CertMD5: 32, CertSHA1: 40, CertSHA256: 64, CertSHA512: 128,
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func noValue(kind Kind, text string) error {
	return fmt.Errorf("%q is no value of kind %s", text, kind)
}

// normalNetwork reads an address or a network of either family.
func normalNetwork(text string) (Value, error) {
	if !strings.Contains(text, "/") {
		v, err := stix.NormalValue("ipv4-addr", text)
		if err != nil || v.Type == "ipv6-addr" {
			return Value{IPv6, v.Text}, err
		}
		return Value{IPv4, v.Text}, nil
	}
	network, err := netip.ParsePrefix(strings.ReplaceAll(text, "[.]", "."))
	if err != nil {
		return Value{}, fmt.Errorf("%q is no network: %w", text, err)
	}
	if network.Addr().Is4In6() {
		if network.Bits() < 96 {
			return Value{}, fmt.Errorf("%q is no network of one family", text)
		}
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	if network.Bits() == 0 {
		return Value{}, fmt.Errorf("%q is the whole internet", text)
	}
	return NetworkValue(network), nil
}

// NetworkValue is the value of a network.
func NetworkValue(network netip.Prefix) Value {
	kind := IPv6
	if network.Addr().Is4() {
		kind = IPv4
	}
	if network.IsSingleIP() {
		return Value{kind, network.Addr().String()}
	}
	return Value{kind, network.Masked().String()}
}

// Network is the network of an address value; a single address is a network of full
// length. Values of other kinds have none.
func (v Value) Network() (network netip.Prefix, ok bool) {
	if !addresses.Has(v.Kind) {
		return netip.Prefix{}, false
	}
	if strings.IndexByte(v.Text, '/') >= 0 {
		network, err := netip.ParsePrefix(v.Text)
		return network, err == nil
	}
	addr, err := netip.ParseAddr(v.Text)
	return netip.PrefixFrom(addr, addr.BitLen()), err == nil
}
