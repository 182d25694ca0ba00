package admin

import (
	"context"
	"embed"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// Product is a product that Setup has a text for.
type Product struct{ ID, Name string }

// Products are those that [Service.Setup] has a text for, by id.
func Products() []Product {
	return []Product{
		{"bind", "BIND"},
		{"clamav", "ClamAV"},
		{"crowdsec", "CrowdSec"},
		{"curl", "curl"},
		{"dnsmasq", "dnsmasq"},
		{"elastic", "Elastic Security"},
		{"fortigate", "FortiGate"},
		{"haproxy", "HAProxy"},
		{"intelmq", "IntelMQ"},
		{"ipset", "ipset"},
		{"knot", "Knot DNS"},
		{"knot-resolver", "Knot Resolver"},
		{"misp", "MISP"},
		{"nftables", "nftables"},
		{"nsd", "NSD"},
		{"opencti", "OpenCTI"},
		{"pan-os", "PAN-OS"},
		{"postfix", "Postfix"},
		{"powerdns", "PowerDNS Recursor"},
		{"qradar", "IBM QRadar"},
		{"rspamd", "rspamd"},
		{"rsyslog", "rsyslog"},
		{"sentinel", "Microsoft Sentinel"},
		{"sigma", "Sigma"},
		{"squid", "Squid"},
		{"splunk", "Splunk Enterprise Security"},
		{"suricata", "Suricata"},
		{"taxii2-client", "the OASIS Python client"},
		{"unbound", "Unbound"},
		{"xsoar", "Cortex XSOAR"},
		{"yara", "YARA"},
	}
}

// setupTexts has the products that poll or push in one file, and those that read feeds in the other.
//
//go:embed setup.tmpl setup_feeds.tmpl
var setupTexts embed.FS

// AskSetup asks for the settings of a product that polls or pushes as an account.
type AskSetup struct {
	Account string         // "org/name"
	Client  string         // id of the product
	Feed    string         // id of the only feed that the text is about; "" for all of the account
	URL     string         // of the server as the product reaches it, without a path
	DNS     netip.AddrPort // of the server of zones, as BIND reaches it
}

// Setup is what to fill in.
type Setup struct {
	Client      string       `json:"client"`
	Account     string       `json:"account"`
	For         string       `json:"for,omitempty"` // the product that the account is for, with answers as it needs them
	Discovery   string       `json:"discovery"`
	APIRoot     string       `json:"api_root"`
	Collections []Collection `json:"collections"` // that the account reads or writes
	Text        string       `json:"text"`        // in the order of the form of the product
}

// setup has the other fields of the texts.
type setup struct {
	Setup
	URL         string // of the server, without a path
	Root        string // the path of the API root
	Accept      string
	Read, Write *Collection     // one that the account reads, one that it writes
	Feeds       []exchange.Feed // of the account
	Blocks      []exchange.Feed // those whose use is block
	DNS         netip.AddrPort  // of the server of zones
	Host        string          // of the URL

	ctx     context.Context
	service *Service
}

// Zone is the name of the zone of a feed.
func (s *setup) Zone(f exchange.Feed) string { return feed.ZoneName(f.Account, f.ID, s.Root) }

// Key is the newest key of the zone of a feed.
func (s *setup) Key(f exchange.Feed) (feed.Secret, error) {
	list, err := s.service.FeedSecrets(s.ctx, exchange.FeedKey(f.Account, f.ID))
	if err != nil {
		return feed.Secret{}, err
	}
	return list[slices.IndexFunc(list, func(secret feed.Secret) bool { return secret.Purpose == "tsig" })], nil
}

// WithToken is the URL of the API root with TOKEN in the place of a token, for products that
// take credentials only there.
func (s *setup) WithToken() string { return strings.Replace(s.APIRoot, "://", "://x:TOKEN@", 1) }

// Setup writes the settings of a product. The text has the words of [Setup.TokenPlaces] in the
// place of the token. NotFound if there is no such account or product, Forbidden if the account
// sees no collection.
func (s *Service) Setup(ctx context.Context, in AskSetup) (out Setup, err error) {
	_, d, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	account, err := d.Account(strings.ToLower(in.Account))
	if err != nil {
		return out, err
	}
	if !slices.ContainsFunc(Products(), func(p Product) bool { return p.ID == in.Client }) {
		return out, taxii.Errorf(taxii.NotFound, "there is no text for %q", in.Client)
	}
	t := &setup{Setup: Setup{Client: in.Client, Account: account.ID(), For: account.For}, URL: strings.TrimRight(in.URL, "/"), Accept: taxii.MediaType, DNS: in.DNS, ctx: ctx, service: s}
	if u, err := url.Parse(in.URL); err == nil {
		t.Host = u.Hostname()
	}
	if t.Collections, err = s.Collections(ctx, View{As: account.ID()}); err != nil {
		return out, err
	}
	for i := range t.Collections {
		collection := &t.Collections[i]
		if collection.CanRead && (t.Read == nil || !collection.CanWrite && t.Read.CanWrite) {
			t.Read = collection // preferably one that others write
		}
		if collection.CanWrite && t.Write == nil {
			t.Write = collection
		}
	}
	if len(t.Collections) == 0 {
		return out, taxii.Errorf(taxii.Forbidden, "%s sees no collection yet: comity grants says who may do what", account.ID())
	}
	for _, f := range sorted(d.Feeds) {
		if f.Account != account.ID() || in.Feed != "" && f.ID != in.Feed {
			continue
		}
		if t.Feeds = append(t.Feeds, *f); f.Use == "block" {
			t.Blocks = append(t.Blocks, *f)
		}
	}
	t.Root = t.Collections[0].Root
	t.Discovery, t.APIRoot = t.URL+"/taxii2/", t.URL+"/"+t.Root+"/"
	var text strings.Builder
	if err := template.Must(template.ParseFS(setupTexts, "*.tmpl")).ExecuteTemplate(&text, in.Client, t); err != nil {
		return out, err
	}
	t.Text = strings.TrimLeft(text.String(), "\n")
	return t.Setup, nil
}

// TokenPlaces are the words that stand for the token of the account in the text.
func (s *Setup) TokenPlaces() []string {
	return []string{"what comity token add " + s.Account + " prints", "TOKEN"}
}
