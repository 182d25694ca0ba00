package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"comity/taxii"
)

// Discovery asks for the API roots of the server (TAXII 2.1 §4.1). The client's URL has to
// be that of the discovery.
func (c *Client) Discovery(ctx context.Context) (d taxii.Discovery, err error) {
	return d, c.resource(ctx, get(c.url.String()), &d)
}

// APIRoot describes the API root at the client's URL (TAXII 2.1 §4.2).
func (c *Client) APIRoot(ctx context.Context) (r taxii.APIRoot, err error) {
	return r, c.resource(ctx, get(c.url.String()), &r)
}

// Collections lists the collections of the API root at the client's URL (TAXII 2.1 §5.1).
func (c *Client) Collections(ctx context.Context) ([]taxii.Collection, error) {
	var list taxii.Collections
	err := c.resource(ctx, get(c.url.String()+"collections/"), &list)
	return list.Collections, err
}

// Collection describes one collection, by its id or alias (TAXII 2.1 §5.2).
func (c *Client) Collection(ctx context.Context, id string) (col taxii.Collection, err error) {
	return col, c.resource(ctx, get(c.collection(id)), &col)
}

// Status asks what became of a push (TAXII 2.1 §4.3).
func (c *Client) Status(ctx context.Context, id string) (s taxii.Status, err error) {
	return s, c.resource(ctx, get(c.url.String()+"status/"+url.PathEscape(id)+"/"), &s)
}

// Delete deletes an object (TAXII 2.1 §5.7): the versions that m selects, all if m is zero.
func (c *Client) Delete(ctx context.Context, collection, object string, m taxii.Match) error {
	address := c.object(collection, object)
	if query := m.Values(); len(query) > 0 {
		address += "?" + query.Encode()
	}
	return c.send(ctx, request{method: http.MethodDelete, url: address, once: true})
}

func get(url string) request { return request{method: http.MethodGet, url: url} }

func (c *Client) collection(id string) string {
	return c.url.String() + "collections/" + url.PathEscape(id) + "/"
}

func (c *Client) object(collection, id string) string {
	return c.collection(collection) + "objects/" + url.PathEscape(id) + "/"
}

// Roots are clients of the API roots behind the client's URL: those that the discovery
// there names, or the client itself if its URL is that of an API root. API roots on another
// host are left out, with a notice. The error is NotFound if there is none.
func (c *Client) Roots(ctx context.Context) ([]*Client, error) {
	var d struct {
		taxii.Discovery
		Versions []string `json:"versions"` // of an API root
	}
	if err := c.resource(ctx, get(c.url.String()), &d); err != nil {
		return nil, err
	}
	if len(d.Versions) > 0 && len(d.APIRoots) == 0 {
		return []*Client{c}, nil
	}
	var roots []*Client
	for _, address := range d.APIRoots {
		root, err := c.At(address)
		if err != nil {
			c.config.Notice(err.Error())
			continue
		}
		roots = append(roots, root)
	}
	if len(roots) == 0 {
		return nil, taxii.Errorf(taxii.NotFound, "%s names no API root on this host", c.url)
	}
	return roots, nil
}

// Find looks for a collection by its id, alias or title behind the client's URL, which is
// that of the discovery, of an API root, or of a collection; then name may be empty, as it
// may be where there is one collection. It returns the client of its API root. API roots
// that refuse the caller are passed, unless all do. Without such a collection the error is
// NotFound, and with several Invalid.
func (c *Client) Find(ctx context.Context, name string) (*Client, taxii.Collection, error) {
	if root, id, ok := strings.Cut(c.url.EscapedPath(), "/collections/"); ok {
		id, err := url.PathUnescape(strings.Split(id, "/")[0])
		if err == nil && id != "" {
			at, err := c.At(root + "/")
			if err != nil {
				return nil, taxii.Collection{}, err
			}
			return at.Find(ctx, id)
		}
	}
	roots, err := c.Roots(ctx)
	if err != nil {
		return nil, taxii.Collection{}, err
	}
	var (
		found  []taxii.Collection
		in     *Client
		closed []error // of the API roots that refuse the caller
	)
	for _, root := range roots {
		collections, err := root.Collections(ctx)
		if err != nil {
			switch taxii.CodeOf(err) {
			case taxii.Unauthorized, taxii.Forbidden, taxii.NotFound:
				closed = append(closed, err)
				continue
			}
			return nil, taxii.Collection{}, err
		}
		for _, col := range collections {
			if name == "" || name == col.ID || name == col.Alias || strings.EqualFold(name, col.Title) {
				found, in = append(found, col), root
			}
		}
	}
	switch {
	case len(closed) == len(roots):
		return nil, taxii.Collection{}, closed[0]
	case len(found) == 1:
		return in, found[0], nil
	case len(found) == 0 && name == "":
		return nil, taxii.Collection{}, taxii.Errorf(taxii.NotFound, "%s has no collection for you", c.url)
	case len(found) == 0:
		return nil, taxii.Collection{}, taxii.Errorf(taxii.NotFound, "%s has no collection %q for you", c.url, name)
	}
	return nil, taxii.Collection{}, taxii.Errorf(taxii.Invalid, "%s has %d collections that this may mean: name one by its id", c.url, len(found))
}
