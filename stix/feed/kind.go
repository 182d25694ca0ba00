package feed

import (
	"iter"
	"slices"
)

// Kind says what a value is.
type Kind uint8

// The kinds. Those of certificates are hashes of X.509 certificates. The values of
// the last four are rules.
const (
	IPv4 Kind = iota // an address or a network in CIDR notation
	IPv6
	Domain
	URL
	Email
	MAC
	ASN
	MD5 // of files
	SHA1
	SHA256
	SHA512
	CertMD5
	CertSHA1
	CertSHA256
	CertSHA512
	YARA
	Sigma
	Snort
	Suricata
)

var kindNames = [...]string{
	IPv4: "ipv4", IPv6: "ipv6", Domain: "domain", URL: "url", Email: "email", MAC: "mac", ASN: "asn",
	MD5: "md5", SHA1: "sha1", SHA256: "sha256", SHA512: "sha512",
	CertMD5: "x509-md5", CertSHA1: "x509-sha1", CertSHA256: "x509-sha256", CertSHA512: "x509-sha512",
	YARA: "yara", Sigma: "sigma", Snort: "snort", Suricata: "suricata",
}

// String is the name of a kind in URLs and files, such as "ipv4" or "x509-sha1".
func (k Kind) String() string { return kindNames[k] }

// ParseKind finds a kind by its name.
func ParseKind(name string) (k Kind, ok bool) {
	i := slices.Index(kindNames[:], name)
	return Kind(max(i, 0)), i >= 0
}

// Kinds is a set of kinds.
type Kinds uint32

// KindsOf makes a set.
func KindsOf(kinds ...Kind) (set Kinds) {
	for _, k := range kinds {
		set |= 1 << k
	}
	return set
}

// Has tells whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// All yields the kinds of the set in their order.
func (s Kinds) All() iter.Seq[Kind] {
	return func(yield func(Kind) bool) {
		for k := range Kind(len(kindNames)) {
			if s.Has(k) && !yield(k) {
				return
			}
		}
	}
}

var (
	addresses    = KindsOf(IPv4, IPv6)
	fileHashes   = KindsOf(MD5, SHA1, SHA256, SHA512)
	certHashes   = KindsOf(CertMD5, CertSHA1, CertSHA256, CertSHA512)
	plainValues  = addresses | KindsOf(Domain, URL, Email, MAC, ASN) | fileHashes | certHashes
	rulePatterns = KindsOf(YARA, Sigma, Snort, Suricata)
)
