package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The lines of products. A line function that returns b unchanged leaves its entry out.

// panosLine is a line of an external dynamic list of PAN-OS. Its URLs have no scheme and
// no port, and * and ^ in them stand for other characters.
func panosLine(b []byte, w *writing, e *Entry) []byte {
	if e.Kind != URL {
		return line(b, w, e)
	}
	host, rest, ok := cutScheme(e.Text)
	if !ok || strings.Contains(host, ":") || strings.ContainsAny(rest, "*^") {
		return b
	}
	return append(append(append(b, host...), rest...), '\n')
}

// ciscoLine is a line of a Security Intelligence feed, where a * stands for a label.
func ciscoLine(b []byte, w *writing, e *Entry) []byte {
	if e.Kind != URL {
		return line(b, w, e)
	}
	host, rest, ok := cutScheme(e.Text)
	if !ok || strings.Contains(rest, "*") {
		return b
	}
	return append(append(append(b, host...), rest...), '\n')
}

// cutScheme divides a web address into its host, with the port, and what follows. A
// URL with a user name is none.
func cutScheme(url string) (host, rest string, ok bool) {
	scheme, after, _ := strings.Cut(url, "://")
	slash := strings.IndexByte(after, '/')
	if scheme != "http" && scheme != "https" || slash < 0 {
		return "", "", false
	}
	host, rest = after[:slash], after[slash:]
	return host, rest, !strings.Contains(host, "@")
}

// fortinetLine is a line of an external block list of FortiOS. A * in a URL is a
// wildcard.
func fortinetLine(b []byte, w *writing, e *Entry) []byte {
	if e.Kind == URL && strings.Contains(e.Text, "*") {
		return b
	}
	return line(b, w, e)
}

const checkpointHead = "#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT\n"

var checkpointTypes = map[Kind]string{Domain: "Domain", URL: "URL", MD5: "MD5", SHA1: "SHA1", SHA256: "SHA256", Email: "Mail-from"}

// checkpointLine is an observable of a custom intelligence feed of Check Point, which
// knows no IPv6. A network is the range from its first address to its last.
func checkpointLine(b []byte, w *writing, e *Entry) []byte {
	value, typ := e.Text, checkpointTypes[e.Kind]
	if network, ok := e.Network(); ok {
		if typ = "IP"; !network.IsSingleIP() {
			typ = "IP Range"
			value = network.Addr().String() + "-" + lastAddr(network).String()
		}
	}
	if isWildcardValue(e.Value) {
		return b
	}
	confidence := "medium"
	switch {
	case e.Confidence >= 70:
		confidence = "high"
	case e.Confidence >= 0 && e.Confidence < 30:
		confidence = "low"
	}
	return w.row(b, w.Feed+"-"+hash(e.Value), value, typ, confidence, "high", "AV", string(e.firstID()))
}

// f5Line has the four fields of a feed list of BIG-IP: an address, a prefix length, "bl"
// for blocklist, and an empty category, which is the one of the list.
func f5Line(b []byte, _ *writing, e *Entry) []byte {
	network, _ := e.Network()
	b = append(network.Addr().AppendTo(b), ',')
	return append(strconv.AppendInt(b, int64(network.Bits()), 10), ",bl,\n"...)
}

// exactLine is the value, of a product that knows no wildcards.
func exactLine(b []byte, w *writing, e *Entry) []byte {
	if isWildcardValue(e.Value) {
		return b
	}
	return line(b, w, e)
}

func isWildcardValue(v Value) bool { return v.Kind == Domain && strings.HasPrefix(v.Text, "*.") }

// cidrLine is a line of a cidr: table of Postfix.
func cidrLine(b []byte, _ *writing, e *Entry) []byte {
	return append(append(b, e.Text...), " REJECT\n"...)
}

// hostsLine gives a name an address where nothing answers.
func hostsLine(b []byte, w *writing, e *Entry) []byte {
	if isWildcardValue(e.Value) {
		return b
	}
	return line(append(b, "0.0.0.0 "...), w, e)
}

// dnsmasqLine answers a name and the names below it with NXDOMAIN.
func dnsmasqLine(b []byte, _ *writing, e *Entry) []byte {
	if isWildcardValue(e.Value) {
		return b
	}
	return append(append(append(b, "address=/"...), e.Text...), "/\n"...)
}

// maxSquidLine is the longest line that Squid reads in a file of an ACL.
const maxSquidLine = 4096

// squidLine is a line of a file of an ACL: of type dst for addresses, dstdomain for domains,
// and url_regex for URLs.
func squidLine(b []byte, w *writing, e *Entry) []byte {
	switch {
	case e.Kind == URL:
		return squidURL(b, e.Text)
	case isWildcardValue(e.Value):
		return b // with a leading dot it would stand for the domain itself too
	case e.Kind == Domain && w.Subdomains:
		b = append(b, '.')
	}
	return line(b, w, e)
}

// squidURL is a regular expression that matches one URL. Squid removes the escapes of a
// URL before it compares, and has no user name in one of the web. A line cannot have
// spaces or control characters.
func squidURL(b []byte, url string) []byte {
	if _, _, ok := cutScheme(url); !ok && strings.HasPrefix(url, "http") {
		return b
	}
	before := len(b)
	b = append(b, '^')
	for i := 0; i < len(url); i++ {
		c := url[i]
		if c == '%' && i+2 < len(url) && isHex(strings.ToLower(url[i+1:i+3])) && url[i+1:i+3] != "00" {
			n, _ := strconv.ParseUint(url[i+1:i+3], 16, 8)
			c, i = byte(n), i+2
		} else if c == '%' && strings.HasPrefix(url[i+1:], "%") {
			i++
		}
		if c <= ' ' || c == 0x7f {
			return b[:before]
		}
		if strings.IndexByte(`\.[]{}()*+?^$|`, c) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	if b = append(b, "$\n"...); len(b)-before > maxSquidLine {
		return b[:before]
	}
	return b
}

// clamLine is a line of a file of hash signatures of ClamAV: a hash of a file of any
// size, the name of the detection, and 73, the first level of functions that knows *.
func clamLine(b []byte, w *writing, e *Entry) []byte {
	b = append(append(b, e.Text...), ":*:"...)
	return append(append(b, w.detection(e)...), ":73\n"...)
}

// detection names an entry by its feed and the UUID of its first indicator.
func (w *writing) detection(e *Entry) string {
	return w.Feed + "." + strings.TrimPrefix(string(e.firstID()), "indicator--")
}

// intelHead are the columns of a file of the intelligence framework of Zeek.
const intelHead = "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n"

var intelTypes = map[Kind]string{
	IPv4: "ADDR", IPv6: "ADDR", Domain: "DOMAIN", URL: "URL", Email: "EMAIL", MD5: "FILE_HASH", SHA1: "FILE_HASH", SHA256: "FILE_HASH", CertSHA1: "CERT_HASH",
}

// intelLine is a line of such a file. Its URLs have no scheme.
func intelLine(b []byte, w *writing, e *Entry) []byte {
	value, typ := e.Text, intelTypes[e.Kind]
	switch {
	case e.Kind == URL:
		host, rest, ok := cutScheme(e.Text)
		if !ok {
			return b
		}
		value = host + rest
	case strings.Contains(value, "/"):
		typ = "SUBNET"
	case isWildcardValue(e.Value):
		return b
	}
	return fmt.Appendf(b, "%s\tIntel::%s\t%s\t%s\n", value, typ, w.Feed, w.detection(e))
}

// hash is a hash of a value in 16 hexadecimal digits.
func hash(v Value) string {
	sum := sha256.Sum256([]byte(v.Kind.String() + " " + v.Text))
	return hex.EncodeToString(sum[:8])
}

// lastAddr is the last address of a network.
func lastAddr(network netip.Prefix) netip.Addr {
	bytes := network.Addr().AsSlice()
	for i := range bytes {
		if left := network.Bits() - 8*i; left < 8 {
			bytes[i] |= 0xff >> max(left, 0)
		}
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}
