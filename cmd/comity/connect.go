package main

import (
	"io"
	"net/netip"
	"slices"
	"strings"

	"comity/taxii/admin"
	"comity/taxii/exchange"
)

// productNames are the ids of the products that connect has a text for, for help and usage.
func productNames() string {
	var ids []string
	for _, p := range admin.Products() {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, ",")
}

type connectCmd struct {
	Account string         `arg:"" placeholder:"ORG/NAME" help:"The account that the product uses."`
	Client  string         `required:"" enum:"${products}" placeholder:"PRODUCT" help:"${products}."`
	URL     string         `name:"url" default:"http://127.0.0.1:8080" env:"COMITY_PUBLIC_URL" placeholder:"URL" help:"The server as the product reaches it (default ${default})."`
	DNS     netip.AddrPort `name:"dns" default:"127.0.0.1:5300" placeholder:"ADDR" help:"The address of --dns-listen or --dns-tls-listen as BIND reaches it (default ${default}); TLS unless it is a loopback address."`
}

// Run prints the settings in the order of the form of the product.
func (c *connectCmd) Run(sh *shell) error {
	s, err := call[admin.Setup](sh, "setup", admin.AskSetup{Account: c.Account, Client: c.Client, URL: c.URL, DNS: c.DNS})
	if err != nil {
		return err
	}
	if slices.Contains(exchange.Clients, c.Client) && s.For != c.Client {
		product := admin.Products()[slices.IndexFunc(admin.Products(), func(p admin.Product) bool { return p.ID == c.Client })]
		sh.say("run comity account edit %s --for %s: it answers as %s needs it", s.Account, c.Client, product.Name)
	}
	return sh.print(s, func(w io.Writer) { io.WriteString(w, s.Text) })
}
