package feed

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The numbers of generated rules. A number is the first one and a hash of the feed and
// the value, so that it stays when other entries come and go.
const (
	firstSID = 2_900_000_000
	sidBits  = 28
)

// suricata writes rules: one for each value, or for all domains one for each protocol
// that finds them in the data set.
func (w *writing) suricata(out io.Writer, dataset bool) error {
	p := w.pack()
	var b []byte
	if dataset && w.Kinds.Has(Domain) {
		for _, rule := range [][2]string{{"dns", "dns.query"}, {"tls", "tls.sni"}, {"http", "http.host"}} {
			b = p.rule(b, rule[0]+" $HOME_NET any -> any any", rule[0]+" domain in "+w.dataset(),
				fmt.Sprintf("%s; to_lowercase; dataset:isset,%s,type string,load %s;", rule[1], strings.TrimSuffix(w.dataset(), ".lst"), w.dataset()), rule[0], 1)
		}
	}
	for e := range w.entries {
		if !w.Kinds.Has(e.Kind) || e.Kind == Suricata {
			continue
		}
		header, options := w.match(e)
		switch {
		case dataset && e.Kind == Domain && !isWildcardValue(e.Value):
		case header == "":
			w.leaveOut(Unfit)
			continue
		default:
			b = p.rule(b, header, e.Kind.String()+" "+e.Text, options+" metadata:indicator "+string(e.firstID())+";", e.Kind.String()+" "+e.Text, revision(e))
		}
		if w.Entries++; len(b) >= flushAt {
			if _, err := out.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	for _, text := range p.rules(Suricata) {
		b = append(append(b, text...), '\n')
	}
	_, err := out.Write(b)
	return err
}

// dataset is the name of the file with the domains.
func (w *writing) dataset() string { return w.Feed + "-domain.lst" }

// rule appends a rule. key is what its number stands for.
func (p *pack) rule(b []byte, header, message, options, key string, revision int) []byte {
	sum := sha256.Sum256([]byte(p.Feed + " " + key))
	n := binary.BigEndian.Uint32(sum[:]) >> (32 - sidBits)
	for !p.reserve([]string{strconv.Itoa(firstSID + int(n))}) {
		n = (n + 1) % (1 << sidBits)
	}
	return fmt.Appendf(b, "alert %s (msg:\"%s %s\"; %s sid:%d; rev:%d;)\n", header, p.Feed, escapeMessage(message), options, firstSID+int(n), revision)
}

// epoch is the beginning of 2017, from which revisions are counted.
const epoch = 1483228800

// revision grows when an indicator of the entry is modified, and is the same in every process.
func revision(e *Entry) int { return int(max(e.Modified.Unix()-epoch, 1)) }

// match is what finds a value in traffic: the header of a rule without its action, and
// options. It is "" if Suricata cannot find such values.
func (w *writing) match(e *Entry) (header, options string) {
	switch e.Kind {
	case IPv4, IPv6:
		return "ip $HOME_NET any <> " + e.Text + " any", "classtype:trojan-activity;"
	case Domain:
		header, options = "dns $HOME_NET any -> any any", `dns.query; content:"`+e.Text+`"; bsize:`+strconv.Itoa(len(e.Text))+`; nocase; classtype:trojan-activity;`
		if below, wildcard := strings.CutPrefix(e.Text, "*"); wildcard {
			options = `dns.query; content:"` + below + `"; endswith; nocase; classtype:trojan-activity;`
		} else if w.Subdomains {
			options = `dns.query; dotprefix; content:".` + e.Text + `"; endswith; nocase; classtype:trojan-activity;`
		}
		return header, options
	case URL:
		host, rest, ok := cutScheme(e.Text)
		if !ok || !strings.HasPrefix(e.Text, "http:") || len(rest) > maxContent {
			return "", ""
		}
		port := "any"
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			host, port = host[:i], host[i+1:]
		}
		return "http $HOME_NET any -> any " + port, fmt.Sprintf(`http.host; content:"%s"; bsize:%d; http.uri.raw; content:"%s"; bsize:%d; classtype:trojan-activity;`,
			escapeContent(host), len(host), escapeContent(rest), len(rest))
	}
	return "", ""
}

// maxContent is the longest content that a rule may have.
const maxContent = 255

// escapeContent writes the characters that mean something in a content in hexadecimal.
func escapeContent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(`";:|\`, s[i]) >= 0 {
			fmt.Fprintf(&b, "|%02X|", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// escapeMessage escapes the characters that mean something in a message.
func escapeMessage(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `;`, `\;`).Replace(s)
}
