package console

import (
	"maps"
	"net/url"
	"slices"

	"comity/taxii/exchange"
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

// feed shows a feed: what is in it now, its files, the settings for a tool, and who pulled
// it. Its entries are no part of the page, which is therefore no delivery.
func (c *Console) feed(v *visit) error {
	key := exchange.FeedKey(v.Account, v.pathValue("feed"))
	if f := v.snapshot.Directory.Feeds[key]; f == nil || !v.ours(f.Account) {
		return errNotThere
	}
	page, err := c.Admin.Feed(v.r.Context(), key)
	if err != nil {
		return err
	}
	return c.render(v, "feed", "Feed "+page.ID, page)
}
