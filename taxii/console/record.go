package console

import (
	"net/url"
	"slices"
	"strconv"

	"comity/taxii/audit"
)

// readEntries is the number of entries of the audit record that one page reads at most: it
// shows those that concern the person's organisation.
const readEntries = 2000

// entries are the newest entries before the one with the number of the parameter before that
// concern the person's organisation and are asked for, newest first; and the URL of the page
// with older ones, "" if there are none.
func (c *Console) entries(v *visit, asked func(*audit.Entry) bool) (list []audit.Entry, older string, err error) {
	ctx := v.r.Context()
	end, err := strconv.ParseUint(v.r.FormValue("before"), 10, 64)
	if err != nil || end == 0 {
		head, err := c.Store.ChainHead(ctx)
		if err != nil {
			return nil, "", err
		}
		end = head.Number + 1
	}
	seal, err := c.Store.Seal(ctx)
	if err != nil {
		return nil, "", err
	}
	const chunk = 250
	next := end // the lowest number that was looked at
	for read := 0; read < readEntries && len(list) < pageSize && next > seal.Number+1; read += chunk {
		from := seal.Number
		if next > chunk+seal.Number {
			from = next - 1 - chunk
			from = max(from, seal.Number)
		}
		links, err := c.Store.Entries(ctx, from, int(next-1-from))
		if err != nil {
			return nil, "", err
		}
		for _, link := range slices.Backward(links) {
			if link.Number >= next || len(list) == pageSize {
				continue
			}
			e, err := link.Entry()
			if err != nil {
				return nil, "", err
			}
			next = link.Number
			if e.Concerns(v.Org, v.snapshot.Policy.Member) && asked(&e) {
				list = append(list, e)
			}
		}
		if len(list) < pageSize {
			next = from + 1
		}
	}
	if next > seal.Number+1 {
		q := v.r.URL.Query()
		q.Set("before", strconv.FormatUint(next, 10))
		older = (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String()
	}
	return list, older, nil
}
