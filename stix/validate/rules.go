package validate

import (
	"bytes"
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
)

// check is one rule, or a few related rules, that the tables cannot express. It runs
// when all properties of its part are known.
type check func(c *checker, f frame)

// checksOf are the checks of a shape that are not in the tables.
func checksOf(shape string) []check {
	return map[string][]check{
		"indicator":            {indicatorName, indicatorPattern},
		"observed-data":        {observedRefs},
		"malware-analysis":     {productName},
		"relationship":         {namedRelationship},
		"external-reference":   {externalReference},
		"email-message":        {decodedSubject},
		"email-mime-part-type": {mimePartBody},
		"network-traffic":      {trafficPorts, trafficProtocols},
		"autonomous-system":    {numberInRange},
		"windows-registry-key": {spelledOutHive},
		"windows-process-ext":  {priorityClass},
		"extension-definition": {extensionDefinition},
		"language-content":     {translatedVersion},
		"marking-definition":   {markingDefinition},
	}[shape]
}

// faultAt notes an error at the member name of the place of c.path.
func (c *checker) faultAt(name, rule, format string, args ...any) {
	c.path = append(c.path, step{name: []byte(name)})
	c.fault(rule, format, args...)
	c.path = c.path[:len(c.path)-1]
}

// warnAt notes a warning at the member name of the place of c.path.
func (c *checker) warnAt(name, rule, format string, args ...any) {
	c.path = append(c.path, step{name: []byte(name)})
	c.warn(rule, format, args...)
	c.path = c.path[:len(c.path)-1]
}

// indicatorName warns of an indicator without a name or a description.
func indicatorName(c *checker, f frame) {
	if c.stix20 {
		return
	}
	for _, name := range []string{"name", "description"} {
		if c.get(f, name) == nil {
			c.warn("R-118", "an indicator should have a %s", name)
		}
	}
}

// productName warns of a product of a malware analysis that is not in lower case with
// hyphens.
func productName(c *checker, f frame) {
	if s, ok := rawjson.Text(c.get(f, "product")); ok && (bytes.ContainsAny(s, " _") || !bytes.Equal(bytes.ToLower(s), s)) {
		c.warnAt("product", "R-108", "%s should be in lower case, with hyphens between words", quote(s))
	}
}

// externalReference warns of a url without hashes, and checks the form of CAPEC
// and CVE numbers in the types that have them.
func externalReference(c *checker, f frame) {
	if !c.stix20 && c.get(f, "url") != nil && c.get(f, "hashes") == nil {
		c.warn("R-051", "a url should have hashes beside it")
	}
	if c.typ != "attack-pattern" && c.typ != "vulnerability" {
		return
	}
	id, ok := rawjson.Text(c.get(f, "external_id"))
	source, _ := rawjson.Text(c.get(f, "source_name"))
	switch {
	case !ok:
	case c.typ == "attack-pattern" && string(source) == "capec" && !isCAPEC(id):
		c.faultAt("external_id", "R-052", "%s, expected CAPEC- and digits", quote(id))
	case c.typ == "vulnerability" && string(source) == "cve" && !isCVE(id):
		c.faultAt("external_id", "R-052", "%s, expected CVE-YYYY-NNNN", quote(id))
	}
}

func isCAPEC(id []byte) bool {
	digits, ok := bytes.CutPrefix(id, []byte("CAPEC-"))
	return ok && len(digits) > 0 && isDigits(digits)
}

func isCVE(id []byte) bool {
	rest, ok := bytes.CutPrefix(id, []byte("CVE-"))
	return ok && len(rest) >= 9 && isDigits(rest[:4]) && rest[4] == '-' && isDigits(rest[5:])
}

func isDigits(s []byte) bool {
	for _, b := range s {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// decodedSubject warns of a subject in the encoding of RFC 2047.
func decodedSubject(c *checker, f frame) {
	if s, ok := rawjson.Text(c.get(f, "subject")); ok && bytes.Contains(s, []byte("=?")) && bytes.Contains(s, []byte("?=")) {
		c.warnAt("subject", "R-137", "this looks encoded (RFC 2047), expected the decoded text")
	}
}

// mimePartBody warns of a body that is not text, which should be in body_raw_ref
//
func mimePartBody(c *checker, f frame) {
	kind, ok := rawjson.Text(c.get(f, "content_type"))
	if ok && c.get(f, "body") != nil && !bytes.HasPrefix(bytes.ToLower(kind), []byte("text/")) {
		c.warnAt("body", "R-125", "content of type %s should be in body_raw_ref", quote(kind))
	}
}

// trafficPorts warns of a missing port.
func trafficPorts(c *checker, f frame) {
	for _, name := range []string{"src_port", "dst_port"} {
		if c.container == nil && c.get(f, name) == nil {
			c.warn("R-130", "network traffic should have a %s", name)
		}
	}
}

// trafficProtocols warns of protocols that are not in lower case, and of an extension
// whose protocol is not among them.
func trafficProtocols(c *checker, f frame) {
	listed := map[string]bool{"tcp-ext": false, "icmp-ext": false, "http-request-ext": false}
	for e := rawjson.ElementsOf(c.get(f, "protocols")); e.Next(); {
		s, ok := rawjson.Text(e.Value)
		if ok && !bytes.Equal(bytes.ToLower(s), s) {
			c.warnAt("protocols", "R-136", "%s should be in lower case", quote(s))
		}
		switch string(bytes.ToLower(s)) {
		case "tcp":
			listed["tcp-ext"] = true
		case "icmp", "icmp6", "icmpv6", "ipv6-icmp":
			listed["icmp-ext"] = true
		case "http", "https":
			listed["http-request-ext"] = true
		}
	}
	for m := rawjson.MembersOf(c.get(f, "extensions")); m.Next(); {
		if is, known := listed[string(m.Name)]; known && !is {
			protocol, _, _ := strings.Cut(string(m.Name), "-")
			c.warnAt("protocols", "R-136", "%s should be among them, as there is a %s", protocol, m.Name)
		}
	}
}

// numberInRange warns of an AS number that does not fit into 32 bits.
func numberInRange(c *checker, f frame) {
	if n := c.get(f, "number"); len(n) > 10 || len(n) == 10 && string(n) > "4294967295" || len(n) > 0 && n[0] == '-' {
		c.warnAt("number", "R-174", "%s should be 0 to 4294967295", stix.Shorten(n, 40))
	}
}

// spelledOutHive reports an abbreviated hive of a registry key.
func spelledOutHive(c *checker, f frame) {
	s, ok := rawjson.Text(c.get(f, "key"))
	hive, _, _ := bytes.Cut(s, []byte(`\`))
	switch strings.ToUpper(stix.Shorten(hive, 8)) {
	case "HKLM", "HKCU", "HKCR", "HKU", "HKCC", "HKPD", "HKDD":
		if ok {
			c.faultAt("key", "R-135", "spell out the hive %s, such as HKEY_LOCAL_MACHINE", quote(hive))
		}
	}
}

// priorityClass warns of a priority that does not end in _CLASS.
func priorityClass(c *checker, f frame) {
	if s, ok := rawjson.Text(c.get(f, "priority")); ok && !bytes.HasSuffix(s, []byte("_CLASS")) {
		c.warnAt("priority", "R-176", "%s should end in _CLASS", quote(s))
	}
}
