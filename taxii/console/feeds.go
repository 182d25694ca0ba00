package console

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"comity/taxii/admin"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// feedRow is a feed in the list of those of the person's organisation.
type feedRow struct {
	exchange.Feed
	URL string
}

// feeds lists the feeds of the person's organisation.
func (c *Console) feeds(v *visit) error {
	var rows []feedRow
	for _, key := range slices.Sorted(maps.Keys(v.snapshot.Directory.Feeds)) {
		if f := v.snapshot.Directory.Feeds[key]; v.ours(f.Account) {
			rows = append(rows, feedRow{*f, root + "feeds/" + url.PathEscape(f.ID)})
		}
	}
	return c.render(v, "feeds", "Feeds", rows)
}

// feedPage shows a feed.
type feedPage struct {
	*feed.Page
	Products []admin.Product
	Product  string      // id of the one whose settings are shown; "" for none
	Setup    []setupPart // its settings
	Copy     string      // the settings as one text
}

// setupPart is a part of the settings of a product. Token marks the words that stand for the
// token of the account.
type setupPart struct {
	Text  string
	Token bool
}

// feed shows a feed: what is in it now, its files, the settings for a product, and who pulled
// it. Its entries are no part of the page, which is therefore no delivery.
func (c *Console) feed(v *visit) error {
	id := v.pathValue("feed")
	key := exchange.FeedKey(v.Account, id)
	f := v.snapshot.Directory.Feeds[key]
	if f == nil || !v.ours(f.Account) {
		return errNotThere
	}
	page, err := c.Admin.Feed(v.r.Context(), key)
	if err != nil {
		return err
	}
	// BIND transfers zones with a key of its own, which no page shows.
	products := slices.DeleteFunc(admin.Products(), func(p admin.Product) bool { return p.ID == "bind" })
	out := feedPage{Page: page, Products: products, Product: v.r.FormValue("product")}
	if out.Product != "" {
		if !slices.ContainsFunc(products, func(p admin.Product) bool { return p.ID == out.Product }) {
			return errNotThere
		}
		setup, err := c.Admin.Setup(v.r.Context(), admin.AskSetup{Account: f.Account, Client: out.Product, Feed: f.ID, URL: c.config.PublicURL})
		if err != nil {
			return err
		}
		out.Copy = setup.Text
		for text := setup.Text; text != ""; {
			before, place := text, ""
			for _, words := range setup.TokenPlaces() {
				if head, _, found := strings.Cut(text, words); found && len(head) < len(before) {
					before, place = head, words
				}
			}
			out.Setup = append(out.Setup, setupPart{before, false})
			if place != "" {
				out.Setup = append(out.Setup, setupPart{place, true})
			}
			text = text[len(before)+len(place):]
		}
	}
	return c.render(v, "feed", "Feed "+page.ID, out)
}
