package feed

const (
	plain = "text/plain; charset=utf-8"
	jsons = "application/json"
)

// Version is that of the formats. It is another one whenever the same entries are written in other
// bytes than before, so that no reader takes the new text for the one that it has.
const Version = 1

var domains = KindsOf(Domain)

// formats is the table of formats. The limits are those that the products document.
var formats = []Format{
	{Ext: "txt", Reader: "any tool that reads a value a line", Media: plain, Kinds: plainValues, Comment: "#",
		write: list{line: line, nested: true}.write},
	{Ext: "panos", Reader: "PAN-OS, external dynamic list", Media: plain, Kinds: addresses | domains | KindsOf(URL), Block: true, MaxEntries: 50_000,
		write: list{line: panosLine, nested: true}.write},
	{Ext: "fortinet", Reader: "FortiGate and FortiMail, external feed", Media: plain, Kinds: addresses | domains | KindsOf(URL, MAC) | fileHashes, Block: true, Comment: "#",
		MaxEntries: 131_072, MaxBytes: 10_000_000,
		write: list{line: fortinetLine, nested: true}.write},
	{Ext: "cisco", Reader: "Cisco Secure Firewall, Security Intelligence feed", Media: plain, Kinds: addresses | domains | KindsOf(URL), Block: true, Comment: "#",
		MaxBytes: 500_000_000,
		write:    list{line: ciscoLine, nested: true}.write},
	{Ext: "checkpoint.csv", Reader: "Check Point, custom intelligence feed", Media: "text/csv; charset=utf-8", Details: true, Kinds: domains | KindsOf(IPv4, URL, Email, MD5, SHA1, SHA256), Mixed: true, Block: true,
		Comment: "#", MaxEntries: 2_000_000,
		write: list{head: text(checkpointHead), line: checkpointLine, nested: true}.write},
	{Ext: "f5", Reader: "BIG-IP, feed list", Media: plain, Kinds: addresses, Mixed: true, Block: true,
		write: list{line: f5Line, nested: true}.write},
	{Ext: "rsc", Reader: "MikroTik RouterOS, /import", Media: plain, Kinds: addresses, Block: true, Comment: "#", Timed: true,
		write: list{head: rscHead, line: rscLine}.write},
	{Ext: "nft", Reader: "nftables, nft -f", Media: plain, Kinds: addresses, Block: true, Comment: "#", Timed: true,
		write: list{head: nftHead, open: nftOpen, line: nftLine, end: nftEnd}.write},
	{Ext: "ipset", Reader: "ipset -exist restore", Media: plain, Kinds: addresses, Block: true, Comment: "#", MaxEntries: 65_536, Timed: true,
		write: list{head: ipsetHead, line: ipsetLine, foot: ipsetFoot}.write},
	{Ext: "squid", Reader: "Squid, file of an ACL of type dst, dstdomain or url_regex", Media: plain, Kinds: addresses | domains | KindsOf(URL), Block: true, Comment: "#",
		write: list{line: squidLine}.write},
	{Ext: "lst", Reader: "HAProxy, file of an ACL", Media: plain, Kinds: addresses | domains, Block: true, Comment: "#",
		write: list{line: exactLine, nested: true}.write},
	{Ext: "cidr", Reader: "Postfix, cidr: table", Media: plain, Kinds: addresses, Mixed: true, Block: true, Comment: "#",
		write: list{line: cidrLine}.write},
	{Ext: "hosts", Reader: "/etc/hosts, Pi-hole", Media: plain, Kinds: domains, Block: true, Comment: "#",
		write: list{line: hostsLine, nested: true}.write},
	{Ext: "dnsmasq", Reader: "dnsmasq, conf-file", Media: plain, Kinds: domains, Block: true, Comment: "#", Subdomains: true,
		write: list{line: dnsmasqLine}.write},
	{Ext: "rpz", Reader: "BIND, Unbound, PowerDNS, Knot: response policy zone", Media: "text/dns", Kinds: addresses | domains, Mixed: true, Block: true, Comment: ";",
		write: zoneList.write},
	{Ext: "hdb", Reader: "ClamAV, MD5 signatures", Media: plain, Details: true, Kinds: KindsOf(MD5), Block: true, Comment: "#",
		write: list{line: clamLine, empty: "#\n"}.write},
	{Ext: "hsb", Reader: "ClamAV, SHA-1 and SHA-256 signatures", Media: plain, Details: true, Kinds: KindsOf(SHA1, SHA256), Mixed: true, Block: true, Comment: "#",
		write: list{line: clamLine, empty: "#\n"}.write},
	{Ext: "intel", Reader: "Zeek, intelligence framework", Media: plain, Details: true, Kinds: addresses | domains | KindsOf(URL, Email, MD5, SHA1, SHA256, CertSHA1), Mixed: true,
		write: list{head: text(intelHead), line: intelLine, nested: true}.write},
	{Ext: "rules", Reader: "Suricata", Media: plain, Details: true, Kinds: addresses | domains | KindsOf(URL, Suricata), Mixed: true, Comment: "#",
		write: writeRules},
	{Ext: "tar.gz", Reader: "Suricata, with a data set of the domains", Media: "application/gzip", Details: true, Kinds: addresses | domains | KindsOf(URL, Suricata), Mixed: true,
		write: writeRulesArchive},
	{Ext: "yar", Reader: "YARA, ClamAV", Media: plain, Details: true, Kinds: KindsOf(YARA), Comment: "//",
		write: writeYARA},
	{Ext: "yar.zip", Reader: "YARA, a file for each indicator", Media: "application/zip", Details: true, Kinds: KindsOf(YARA),
		write: zipOf(YARA, ".yar")},
	{Ext: "sigma.zip", Reader: "Sigma, a file for each indicator", Media: "application/zip", Details: true, Kinds: KindsOf(Sigma),
		write: zipOf(Sigma, ".yml")},
	{Ext: "snort.zip", Reader: "Snort, a file for each indicator", Media: "application/zip", Details: true, Kinds: KindsOf(Snort),
		write: zipOf(Snort, ".rules")},
	{Ext: "csv", Reader: "Splunk, Sentinel, spreadsheets", Media: "text/csv; charset=utf-8", Details: true, Kinds: plainValues, Mixed: true,
		write: list{head: text(csvHead), line: csvLine, nested: true}.write},
	{Ext: "jsonl", Reader: "IntelMQ", Media: "application/x-ndjson", Details: true, Kinds: addresses | domains | KindsOf(URL, Email, ASN, MD5, SHA1, SHA256), Mixed: true,
		write: list{line: intelmqLine, nested: true}.write},
	{Ext: "json", Reader: "scripts", Media: jsons, Details: true, Kinds: plainValues, Mixed: true,
		write: list{head: jsonHead, line: jsonLine, separator: ",", foot: jsonFoot, nested: true}.write},
	{Ext: "lookup.json", Reader: "rsyslog, lookup table", Media: jsons, Details: true, Kinds: addresses | domains | fileHashes | KindsOf(URL, Email, MAC), Mixed: true,
		write: list{head: text(lookupHead), line: lookupLine, separator: ",", foot: text("\n]}\n"), nested: true}.write},
	{Ext: "bundle.json", Reader: "STIX tools", Media: "application/stix+json;version=2.1", Details: true, Kinds: plainValues | rulePatterns, Mixed: true,
		write: writeBundle},
	{Ext: "decisions", Reader: "CrowdSec bouncers", Media: jsons, Kinds: addresses, Mixed: true, Block: true, Timed: true,
		write: list{head: text(decisionsHead), line: decisionsLine, separator: ",", foot: decisionsFoot, nested: true}.write},
}

// text is a part that is always the same.
func text(s string) part {
	return func(b []byte, _ *writing) []byte { return append(b, s...) }
}

// line is the value.
func line(b []byte, _ *writing, e *Entry) []byte { return append(append(b, e.Text...), '\n') }
