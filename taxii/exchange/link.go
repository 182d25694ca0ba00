package exchange

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"comity/taxii"
)

// Directions of a link.
const (
	Pull = "pull" // from the other server to ours
	Push = "push" // from ours to the other server
)

// Link ties one collection to one collection of another TAXII server, in one direction. It
// carries no right: it reads or writes our collection with the grants that its account has
// at that time. Package taxii/link runs it.
type Link struct {
	Name        string    `json:"name"`
	Direction   string    `json:"direction"`        // Pull or Push
	URL         string    `json:"url"`              // of the other server: its discovery, an API root or a collection
	Remote      string    `json:"remote,omitempty"` // collection there: id, alias or title; "" if there is one only
	Collection  string    `json:"collection"`       // alias of ours
	Account     string    `json:"account"`          // "org/name"
	Peer        string    `json:"peer,omitempty"`   // of a link that pushes: account with which the other server pushes to us; "" for none
	Every       int       `json:"every_seconds"`
	Credentials string    `json:"credentials,omitempty"` // absolute path of a file; "" for none
	PlainHTTP   bool      `json:"plain_http,omitempty"`  // the URL may be http:// on another machine
	Paused      bool      `json:"paused"`
	Added       time.Time `json:"added"`
}

// Server is the scheme and host of the URL, in lower case and without the default port: two
// links to the same server have the same one.
func (l *Link) Server() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return l.URL
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

// Brought tells whether a submission came from the server of the link: a link pulled it from
// there, or the peer pushed it. The arguments are those of its audit entry.
func (l *Link) Brought(link, remote, account string) bool {
	if link != "" {
		return remote == l.Server()
	}
	return l.Peer != "" && account == l.Peer
}

// Interval is the time between two runs.
func (l *Link) Interval() time.Duration { return time.Duration(l.Every) * time.Second }

var linkForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,59}$`)

// AddLink takes a link. It is Invalid if a field has a wrong form, NotFound if there is no
// such account, and Conflict if the name is taken.
func (d *Directory) AddLink(l Link) error {
	account, err := d.Account(l.Account)
	if err != nil {
		return err
	}
	l.Account = account.ID()
	if l.Peer != "" {
		peer, err := d.Account(l.Peer)
		if err != nil {
			return err
		}
		l.Peer = peer.ID()
	}
	u, err := url.Parse(l.URL)
	switch {
	case !linkForm.MatchString(l.Name):
		return taxii.Errorf(taxii.Invalid, "link %q: a name has lower-case letters, digits, dots, hyphens and underscores, at most 60", l.Name)
	case l.Direction != Pull && l.Direction != Push:
		return taxii.Errorf(taxii.Invalid, "link %s: a link either pulls or pushes", l.Name)
	case err != nil || u.Host == "":
		return taxii.Errorf(taxii.Invalid, "link %s: this is no URL of a TAXII server: write https://host/path/", l.Name)
	case u.User != nil:
		return taxii.Errorf(taxii.Invalid, "link %s: user and password belong in the file of --credentials, not in the URL, which stays in the record", l.Name)
	case l.Peer != "" && l.Direction != Push:
		return taxii.Errorf(taxii.Invalid, "link %s: only a link that pushes leaves out what a peer brought", l.Name)
	case l.Every < 1:
		return taxii.Errorf(taxii.Invalid, "link %s: the time between two runs is at least 1s", l.Name)
	case d.Links[l.Name] != nil:
		return taxii.Errorf(taxii.Conflict, "link %s exists already", l.Name)
	}
	if d.Links == nil {
		d.Links = map[string]*Link{}
	}
	d.Links[l.Name] = &l
	return nil
}

// Link finds a link by its name; NotFound if there is none.
func (d *Directory) Link(name string) (*Link, error) {
	if l := d.Links[name]; l != nil {
		return l, nil
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no link %s; comity link list shows those there are", name)
}
