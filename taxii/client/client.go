// Package client speaks TAXII 2.1 over HTTP to any server: discovery, collections, reading
// page by page, and pushing. It knows no store.
//
// It is written for servers that break the standard. Every answer costs bounded time and
// memory ([Config.Timeout], [Config.MaxPage]), and a walk over pages ends when they bring
// nothing new. Each fault of a server is told in one sentence: as the error, if it ends the
// call, or to [Config.Notice], if the client could go on. Errors are [taxii.Error] with the
// code that the server sent, so that errors.As works as on the server's side; BadGateway
// means that the answer was not TAXII 2.1.
//
// Credentials are sent to the host of the client's URL alone, over TLS unless the host is
// loopback or [Config.PlainHTTP] is set. Redirects to another host are refused.
package client

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"comity/taxii"
)

// Credentials are what a client shows to the server. All that are set are sent, except
// that Token replaces User and Password.
type Credentials struct {
	User, Password string           // Basic authentication
	Token          string           // Bearer authentication
	Header         http.Header      // any other header, such as X-API-Key
	Certificate    *tls.Certificate // client certificate
}

// String keeps credentials out of logs.
func (Credentials) String() string { return "credentials" }

// Config is how a client connects. The zero value is ready to use.
type Config struct {
	Credentials
	CAs       *x509.CertPool // nil: the CAs of the system
	PlainHTTP bool           // allows http:// to hosts that are not loopback
	UserAgent string         // default "comity"

	Timeout  time.Duration // of one request with its whole answer; default 5 minutes
	RetryFor time.Duration // how long a request is tried again; default 2 minutes
	MaxPage  int64         // bytes of a page, decompressed; default 128 MiB

	Now func() time.Time // tells the dates that are to come; default time.Now

	// Notice gets a sentence for each retry, and for each fault of the server after which
	// the client goes on. It may be nil, and is called by the goroutine that uses the client.
	Notice func(sentence string)
}

// Client asks one TAXII server. It is safe for concurrent use.
type Client struct {
	url    *url.URL // ends with a slash
	config Config
	http   *http.Client
	wait   time.Duration // before the first retry
}

// New makes a client of the server at address: the URL of an API root, or of the discovery,
// for which a bare https://host stands too. A user and a password in the URL are used. The
// error is Invalid.
func New(address string, config Config) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, taxii.Errorf(taxii.Invalid, "this is no URL of a TAXII server: write https://host/path/")
	}
	if u.User != nil && config.User == "" {
		config.User = u.User.Username()
		config.Password, _ = u.User.Password()
	}
	if u.Scheme == "http" && !config.PlainHTTP && !isLoopback(u.Hostname()) {
		return nil, taxii.Errorf(taxii.Invalid, "%s: credentials and objects would travel in the clear: use https, or allow plain HTTP", u.Redacted())
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/taxii2/"
	}
	config.UserAgent = cmp.Or(config.UserAgent, "comity")
	config.Timeout = cmp.Or(config.Timeout, 5*time.Minute)
	config.RetryFor = cmp.Or(config.RetryFor, 2*time.Minute)
	config.MaxPage = cmp.Or(config.MaxPage, 128<<20)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Notice == nil {
		config.Notice = func(string) {}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: config.CAs}
	if config.Certificate != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{*config.Certificate}
	}
	transport.DisableCompression = true // gzipBody does that
	return &Client{
		url:    withSlash(u),
		config: config,
		http:   &http.Client{Transport: transport, CheckRedirect: checkRedirect},
		wait:   500 * time.Millisecond,
	}, nil
}

// withSlash is u as the URL of a resource: with a slash at the end of its path, without
// user, query and fragment.
func withSlash(u *url.URL) *url.URL {
	bare := *u
	bare.User, bare.RawQuery, bare.Fragment = nil, "", ""
	if !strings.HasSuffix(bare.Path, "/") {
		bare.Path += "/"
		if bare.RawPath != "" {
			bare.RawPath += "/"
		}
	}
	return &bare
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// checkRedirect follows a redirect on the same host only: another one would get the
// credentials. A push is never turned into a GET.
func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case r.URL.Scheme != first.URL.Scheme || !strings.EqualFold(r.URL.Host, first.URL.Host):
		return taxii.Errorf(taxii.BadGateway, "the server redirects to another host, %s: ask there if you trust it", withSlash(r.URL))
	case r.Method != first.Method:
		return taxii.Errorf(taxii.BadGateway, "the server redirects a %s, which would lose its body", first.Method)
	case len(via) >= 5:
		return taxii.Errorf(taxii.BadGateway, "the server redirects in circles")
	}
	return nil
}

// URL is the URL of the client, with a trailing slash and without credentials.
func (c *Client) URL() string { return c.url.String() }

// At is a client of another URL of the same server, such as an API root that the discovery
// names. It shares the connections. A relative URL is resolved against the client's. Another
// host is Forbidden, since it would get the credentials.
func (c *Client) At(address string) (*Client, error) {
	u, err := c.url.Parse(address)
	if err != nil {
		return nil, taxii.Errorf(taxii.BadGateway, "%s names a malformed URL", c.url)
	}
	if u = withSlash(u); u.Scheme != c.url.Scheme || !strings.EqualFold(u.Host, c.url.Host) {
		return nil, taxii.Errorf(taxii.Forbidden, "%s is on another host than %s: it does not get the credentials; ask there if you trust it", u, c.url.Host)
	}
	other := *c
	other.url = u
	return &other, nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
