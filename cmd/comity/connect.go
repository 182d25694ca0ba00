package main

import (
	_ "embed"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// products are the products that connect has a text for.
var products = []struct{ id, name string }{
	{"bind", "BIND"},
	{"crowdsec", "CrowdSec"},
	{"curl", "curl"},
	{"elastic", "Elastic Security"},
	{"fortigate", "FortiGate"},
	{"haproxy", "HAProxy"},
	{"misp", "MISP"},
	{"nftables", "nftables"},
	{"opencti", "OpenCTI"},
	{"pan-os", "PAN-OS"},
	{"qradar", "IBM QRadar"},
	{"rspamd", "rspamd"},
	{"rsyslog", "rsyslog"},
	{"sentinel", "Microsoft Sentinel"},
	{"squid", "Squid"},
	{"splunk", "Splunk Enterprise Security"},
	{"suricata", "Suricata"},
	{"taxii2-client", "the OASIS Python client"},
	{"unbound", "Unbound"},
	{"xsoar", "Cortex XSOAR"},
}

// productNames are the ids of the products, for help and usage.
func productNames() string {
	var ids []string
	for _, p := range products {
		ids = append(ids, p.id)
	}
	return strings.Join(ids, ",")
}

//go:embed connect.tmpl
var connectText string

type connectCmd struct {
	Account string         `arg:"" placeholder:"ORG/NAME" help:"The account that the product uses."`
	Client  string         `required:"" enum:"${products}" placeholder:"PRODUCT" help:"${products}."`
	URL     string         `name:"url" default:"http://127.0.0.1:8080" env:"COMITY_PUBLIC_URL" placeholder:"URL" help:"The server as the product reaches it (default ${default})."`
	DNS     netip.AddrPort `name:"dns" default:"127.0.0.1:5300" placeholder:"ADDR" help:"The address of --dns-listen or --dns-tls-listen as BIND reaches it (default ${default}); TLS unless it is a loopback address."`
}

// setup holds the settings of a product, and the other fields of connect.tmpl.
type setup struct {
	Client      string             `json:"client"`
	Account     string             `json:"account"`
	Discovery   string             `json:"discovery"`
	APIRoot     string             `json:"api_root"`
	Collections []admin.Collection `json:"collections"` // that the account reads or writes
	Text        string             `json:"text"`

	URL         string            `json:"-"` // of the server, without a path
	Root        string            `json:"-"` // the path of the API root
	Accept      string            `json:"-"`
	Read, Write *admin.Collection `json:"-"` // one that the account reads, one that it writes
	Feeds       []exchange.Feed   `json:"-"` // of the account
	Blocks      []exchange.Feed   `json:"-"` // those whose use is block
	DNS         netip.AddrPort    `json:"-"` // of the server of zones
	Host        string            `json:"-"` // of the URL

	sh *shell
}

// Zone is the name of the zone of a feed.
func (s *setup) Zone(f exchange.Feed) string { return feed.ZoneName(f.Account, f.ID, s.Root) }

// Key is the newest key of the zone of a feed.
func (s *setup) Key(f exchange.Feed) (feed.Secret, error) {
	list, err := call[[]feed.Secret](s.sh, "feed/secrets", exchange.FeedKey(f.Account, f.ID))
	if err != nil {
		return feed.Secret{}, err
	}
	return list[slices.IndexFunc(list, func(secret feed.Secret) bool { return secret.Purpose == "tsig" })], nil
}

// WithToken is the URL of the API root with TOKEN in the place of a token, for products that
// take credentials only there.
func (s *setup) WithToken() string { return strings.Replace(s.APIRoot, "://", "://x:TOKEN@", 1) }

// Run prints the settings in the order of the form of the product.
func (c *connectCmd) Run(sh *shell) error {
	product := products[slices.IndexFunc(products, func(p struct{ id, name string }) bool { return p.id == c.Client })]
	account, err := sh.account(c.Account)
	if err != nil {
		return err
	}
	s := &setup{Client: c.Client, Account: account.ID(), URL: strings.TrimRight(c.URL, "/"), Accept: taxii.MediaType, DNS: c.DNS, sh: sh}
	if u, err := url.Parse(c.URL); err == nil {
		s.Host = u.Hostname()
	}
	if s.Collections, err = call[[]admin.Collection](sh, "collections", admin.View{As: account.ID()}); err != nil {
		return err
	}
	for i := range s.Collections {
		collection := &s.Collections[i]
		if collection.CanRead && (s.Read == nil || !collection.CanWrite && s.Read.CanWrite) {
			s.Read = collection // preferably one that others write
		}
		if collection.CanWrite && s.Write == nil {
			s.Write = collection
		}
	}
	if len(s.Collections) == 0 {
		return fmt.Errorf("%s sees no collection yet: comity grants says who may do what", account.ID())
	}
	if s.Feeds, err = call[[]exchange.Feed](sh, "feed/list", nil); err != nil {
		return err
	}
	s.Feeds = slices.DeleteFunc(s.Feeds, func(f exchange.Feed) bool { return f.Account != account.ID() })
	s.Blocks = slices.DeleteFunc(slices.Clone(s.Feeds), func(f exchange.Feed) bool { return f.Use != "block" })
	s.Root = s.Collections[0].Root
	s.Discovery, s.APIRoot = s.URL+"/taxii2/", s.URL+"/"+s.Root+"/"
	var text strings.Builder
	if err := template.Must(template.New("").Parse(connectText)).ExecuteTemplate(&text, c.Client, s); err != nil {
		return err
	}
	s.Text = strings.TrimLeft(text.String(), "\n")
	if account.For != c.Client && slices.Contains(exchange.Clients, c.Client) {
		sh.say("run comity account edit %s --for %s: it answers as %s needs it", account.ID(), c.Client, product.name)
	}
	return sh.print(s, func(w io.Writer) { io.WriteString(w, s.Text) })
}

// account finds one by its id.
func (sh *shell) account(id string) (*exchange.Account, error) {
	list, err := call[[]exchange.Account](sh, "account/list", nil)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID() == strings.ToLower(id) {
			return &list[i], nil
		}
	}
	return nil, fmt.Errorf("there is no account %s: comity account add makes one", id)
}
