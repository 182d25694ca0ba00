package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"sync"
	"time"

	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// sharing is the agreement that most tests are about. Its collections, by
// alias, with writer and readers:
//
//	sharing.reports   vendor   igci, bureau   both specification versions, unmarked is GREEN
//	sharing.warnings  igci     vendor, bureau the other way
//	sharing.drop      vendor   igci           the vendor does not read it
//	sharing.ledger    vendor   igci, bureau   nothing is deleted
//	sharing.strict    vendor   igci, bureau   AMBER at most, what is unmarked is refused, three types
const sharing = heading + `
id      = "sharing"
title   = "Sharing"
` + article + `
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[party]]
article = "1"
org  = "vendor"
role = "provider"
[[party]]
article = "1"
org  = "bureau"
role = "bureau"
[[flow]]
article = "1"
name = "reports"
from = ["vendor"]
to   = ["igci", "bureau"]
stix_versions = ["2.0", "2.1"]
[[flow]]
article = "1"
name = "warnings"
from = ["igci"]
to   = ["vendor", "bureau"]
[[flow]]
article = "1"
name = "drop"
from = ["vendor"]
to   = ["igci"]
writer_reads = "none"
[[flow]]
article = "1"
name = "ledger"
from = ["vendor"]
to   = ["igci", "bureau"]
owner_deletes = false
[[flow]]
article = "1"
name = "strict"
from = ["vendor"]
to   = ["igci", "bureau"]
object_types  = ["indicator", "identity", "relationship"]
unknown_types = "reject"
[handling]
article  = "1"
tlp_max  = { reports = "red", warnings = "red", drop = "red", ledger = "red", strict = "amber" }
unmarked = { reports = "default:green", warnings = "default:green", drop = "default:green", ledger = "default:green", strict = "reject" }
red_recipients = ["bureau:chief"]
`

// bounded has limits: five objects and 4,096 bytes a push. Nobody but its
// parties knows of bounded.in.
const bounded = heading + `
id      = "bounded"
title   = "Bounded"
` + article + `
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[party]]
article = "1"
org  = "rival"
role = "provider"
[[flow]]
article = "1"
name = "in"
from = ["rival"]
to   = ["igci"]
[handling]
article  = "1"
tlp_max  = { in = "red" }
unmarked = { in = "default:green" }
[quota]
article = "1"
objects_per_push = 5
bytes_per_push   = 4096
`

const heading = `
format  = "exchange-agreement/1"
kind    = "charter"
version = 1
`

const article = `
[[article]]
n = "1"
heading = "Everything"
binding = true
text = "Who sends what to whom, under which labels, from 2020 until 2030."
[term]
article   = "1"
effective = 2020-01-01T00:00:00Z
expires   = 2030-01-01T00:00:00Z
[purpose]
article    = "1"
categories = ["cybercrime"]
`

// admitParties fills the directory of a new exchange.
func admitParties(d *exchange.Directory) error {
	d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
	for _, o := range []exchange.Organisation{
		{ID: "igci", Kind: "international-body", Name: "Global Complex", Country: "SG"},
		{ID: "vendor", Kind: "private-vendor", Name: "Vendor", Country: "US"},
		{ID: "rival", Kind: "private-vendor", Name: "Rival", Country: "JP"},
		{ID: "bureau", Kind: "national-bureau", Name: "Bureau", Country: "SG"},
		{ID: "stranger", Kind: "private-vendor", Name: "Stranger", Country: "FR"},
	} {
		if err := d.AddOrganisation(o); err != nil {
			return err
		}
	}
	for _, a := range []exchange.Account{
		{Org: "igci", Name: "desk"},
		{Org: "vendor", Name: "feed"},
		{Org: "vendor", Name: "other"},
		{Org: "rival", Name: "feed"},
		{Org: "bureau", Name: "soc"},
		{Org: "bureau", Name: "elastic", For: "elastic"},
		{Org: "bureau", Name: "xsoar", For: "xsoar"},
		{Org: "bureau", Name: "opencti", For: "opencti"},
		{Org: "bureau", Name: "misp", For: "misp"},
		{Org: "bureau", Name: "chief", Person: true},
		{Org: "bureau", Name: "clerk", Person: true},
		{Org: "bureau", Name: "trends", Purposes: []string{"criminal-trends"}},
		{Org: "bureau", Name: "login", Password: loginHash()},
		{Org: "bureau", Name: "card", Certificate: clientCA.fingerprint},
		{Org: "stranger", Name: "lone"},
	} {
		if err := d.AddAccount(a); err != nil {
			return err
		}
		if err := d.AddToken(exchange.Token{ID: a.ID(), Account: a.ID(), Digest: digest(tokenOf(a.ID()))}); err != nil {
			return err
		}
	}
	return deposit(d, sharing, bounded)
}

// tokenOf is an account's token. The tests of auth use real ones.
func tokenOf(account string) string { return "comity_" + account }

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// password is bureau/login's: a colon and letters beyond ASCII must do.
const password = "correct:horse éß"

// loginHash is worked out once: it is meant to take long.
var loginHash = sync.OnceValue(func() string {
	hash, err := auth.HashPassword(password)
	if err != nil {
		panic(err)
	}
	return hash
})

// clientCA signs one client certificate, bureau/card's.
var clientCA = newCA()

type authority struct {
	pool        *x509.CertPool
	card        tls.Certificate
	fingerprint string
}

func newCA() (a authority) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	must(err)
	root, err = x509.ParseCertificate(rootDER)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "bureau/card"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, key)
	must(err)
	a.pool = x509.NewCertPool()
	a.pool.AddCert(root)
	a.card = tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
	sum := sha256.Sum256(leafDER)
	a.fingerprint = hex.EncodeToString(sum[:])
	return a
}
