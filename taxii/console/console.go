// Package console is the web console of an exchange: pages that the server renders as HTML,
// for persons who sign in with a browser. A script adds comforts, and no page needs it.
//
// It gives no right that the account does not have. Every object comes through the grant
// that the account has over TAXII, and is a delivery in the audit record.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"comity/store"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// Config is what an operator may choose.
type Config struct {
	// PublicURL is scheme and host under which browsers reach the server, such as
	// "https://taxii.example.int", without a path.
	PublicURL string
	// MaxContentLength bounds a push, in bytes; 0 stands for 100 MiB.
	MaxContentLength int64
	// Help are the pages of comity help, by topic. The first line of each is its title.
	Help map[string]string
	// Backups is where operators make backups.
	Backups Backups
	// OIDC is the provider that persons may sign in by; without an Issuer there is none.
	OIDC OIDC
}

// Deps are the parts of the exchange that the console needs.
type Deps struct {
	Store    store.Store
	Current  *exchange.Current
	Auth     *auth.Authenticator
	Admin    *admin.Service
	Recorder *audit.Recorder
	Log      *slog.Logger
	Now      func() time.Time

	// LastPoll is the last poll of a collection by one of some accounts, and whether that
	// account had everything then. The time is zero if there was none.
	LastPoll func(collection uuid.UUID, of func(account string) bool) (at time.Time, complete bool)
}

// Console answers the requests of browsers. It is safe for concurrent use.
type Console struct {
	Deps
	config   Config
	origin   *url.URL
	router   *mux.Router
	tickets  tickets
	provider provider
	webauthn *webauthn.WebAuthn // nil if browsers know no passkeys for this server

	reports reportCache

	working   working
	verifying work[admin.ChainChecked] // of the audit record
	backups   work[backupProgress]
}

// root is the path below which the console is.
const root = "/console/"

// New makes a Console.
func New(config Config, deps Deps) *Console {
	if config.MaxContentLength == 0 {
		config.MaxContentLength = 100 << 20
	}
	origin, err := url.Parse(config.PublicURL)
	if err != nil {
		panic("console: the public URL is malformed: " + err.Error())
	}
	c := &Console{Deps: deps, config: config, origin: origin, router: mux.NewRouter().UseEncodedPath()}
	if c.needTLS() != nil {
		c.Log.Warn("nobody can sign in to the console: browsers reach the server without TLS", "public_url", config.PublicURL)
	}
	c.working.ctx, c.working.end = context.WithCancel(context.Background())
	c.webauthn = newWebAuthn(origin)
	c.register()
	return c
}

// Serves tells whether a request is for the console: one for a path below /console/, or one
// of a browser for the front page.
func Serves(r *http.Request) bool {
	path := r.URL.EscapedPath()
	return path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") ||
		path+"/" == root || strings.HasPrefix(path, root)
}

// page serves one page, or carries out the act of a form. An error becomes a page too.
type page func(*Console, *visit) error

// route is one path of the console. Its name is for the log.
type route struct {
	method, path string
	open         bool // without a session
	serve        page
}

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes are all paths of the console. Those that are not open need a session.
var routes = []route{
	{get, "/", true, (*Console).front},
	{get, root + "sign-in", true, (*Console).signInForm},
	{post, root + "sign-in", true, withForm((*Console).signIn)},
	{get, root + "sign-in/code", true, (*Console).codeForm},
	{post, root + "sign-in/code", true, withForm((*Console).enterCode)},
	{post, root + "sign-in/passkey", true, withForm((*Console).givePasskey)},
	{get, root + "sign-in/oidc", true, (*Console).beginOIDC},
	{get, root + "sign-in/oidc/return", true, (*Console).finishOIDC},
	{get, root + "ticket/{ticket}", true, (*Console).useTicket},
	{post, root + "sign-out", false, (*Console).signOut},
	{get, root, false, (*Console).home},
	{get, root + "collections/{collection}", false, (*Console).collection},
	{get, root + "collections/{collection}/export", false, (*Console).export},
	{get, root + "collections/{collection}/objects/{object}", false, (*Console).object},
	{get, root + "collections/{collection}/push", false, (*Console).pushForm},
	{post, root + "collections/{collection}/push", false, (*Console).push},
	{get, root + "receipts", false, (*Console).receipts},
	{get, root + "receipts/{receipt}", false, (*Console).receipt},
	{get, root + "rules", false, (*Console).rules},
	{get, root + "help", false, (*Console).helpTopics},
	{get, root + "help/{topic}", false, (*Console).help},
	{get, root + "operations", false, (*Console).operations},
	{get, root + "operations/{operation}", false, (*Console).board},
	{post, root + "operations/{operation}/draft", false, withForm((*Console).draft)},
	{post, root + "operations/{operation}/publish", false, withForm((*Console).publish)},
	{get, root + "operations/{operation}/reports/{report}", false, (*Console).report},
	{get, root + "operations/{operation}/outcomes", false, (*Console).outcomes},
	{post, root + "operations/{operation}/outcomes", false, withForm((*Console).reportOutcomes)},
	{get, root + "feeds", false, (*Console).feeds},
	{get, root + "feeds/{feed}", false, (*Console).feed},
	{get, root + "agreements", false, (*Console).agreements},
	{get, root + "agreements/{agreement}", false, (*Console).agreement},
	{get, root + "agreements/{agreement}/versions/{version}", false, (*Console).agreementFile},
	{post, root + "agreements/{agreement}/versions/{version}", false, (*Console).signAgreement},
	{post, root + "agreements/{agreement}/act", false, forOperators(withForm((*Console).actOnAgreement))},
	{get, root + "audit", false, (*Console).auditRecord},
	{post, root + "audit", false, (*Console).verifyRecord},
	{get, root + "audit/export", false, (*Console).exportRecord},
	{get, root + "tokens", false, (*Console).tokens},
	{post, root + "tokens", false, withForm((*Console).makeToken)},
	{post, root + "tokens/{token}", false, withForm((*Console).changeToken)},
	{get, root + "passkeys", false, (*Console).passkeys},
	{post, root + "passkeys", false, withForm((*Console).addPasskey)},
	{post, root + "passkeys/{passkey}", false, withForm((*Console).removePasskey)},
	{get, root + "centre", false, forOperators((*Console).centre)},
	{get, root + "centre/organisations/{organisation}", false, forOperators((*Console).organisationOf)},
	{post, root + "centre/organisations/{organisation}", false, forOperators(withForm((*Console).suspend))},
	{get, root + "centre/accounts/{account}", false, forOperators((*Console).accountOf)},
	{post, root + "centre/accounts/{account}", false, forOperators(withForm((*Console).changeAccount))},
	{get, root + "centre/quarantine", false, forOperators((*Console).quarantine)},
	{get, root + "centre/quarantine/{number}", false, forOperators((*Console).quarantined)},
	{post, root + "centre/quarantine/{number}", false, forOperators(withForm((*Console).discard))},
	{get, root + "centre/recall", false, forOperators((*Console).recall)},
	{post, root + "centre/recall", false, forOperators(withForm((*Console).recallObject))},
	{post, root + "centre/backup", false, forOperators(withForm((*Console).backup))},
	{post, root + "centre/purge", false, forOperators(withForm((*Console).purge))},
}

// register registers the paths with the router.
func (c *Console) register() {
	for _, r := range routes {
		methods := []string{r.method}
		if r.method == get {
			methods = append(methods, http.MethodHead)
		}
		c.router.Methods(methods...).Path(r.path).Handler(c.handler(r.path, r.open, r.serve))
	}
	c.router.Path(strings.TrimSuffix(root, "/")).Handler(http.RedirectHandler(root, http.StatusSeeOther))
	c.router.Path(root + "static/{file}").HandlerFunc(serveStatic)
	c.router.NotFoundHandler = c.handler("unknown", false, func(*Console, *visit) error { return errNotThere })
	c.router.MethodNotAllowedHandler = c.router.NotFoundHandler
}

// errNotThere is also the answer for a page that is not for this person.
var errNotThere = taxii.Errorf(taxii.NotFound, "There is no such page, or you may not see it.")

// Handler serves the console.
func (c *Console) Handler() http.Handler {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(c.origin.Scheme + "://" + c.origin.Host); err != nil {
		panic("console: " + err.Error())
	}
	protected := protection.Handler(c.router)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			setBodyTime(w, maxForm) // net/http reads the rest of a body that no page reads
		}
		protected.ServeHTTP(w, r)
	})
}

// timeFor is how long a browser may take to send or read that many bytes: half a minute, and
// a second more for each 16 KiB.
func timeFor(bytes int64) time.Duration {
	return 30*time.Second + time.Duration(bytes)/(16<<10)*time.Second
}

// setBodyTime bounds the time for a body of that many bytes. Below 0 it ends the bound: from
// the end of the body on, net/http reads to see whether the browser leaves.
func setBodyTime(w http.ResponseWriter, bytes int64) {
	var deadline time.Time
	if bytes >= 0 {
		deadline = time.Now().Add(timeFor(bytes))
	}
	http.NewResponseController(w).SetReadDeadline(deadline)
}

// policy is the Content-Security-Policy of every page: it loads only the stylesheet, the
// script and images of this server, and runs no script that stands in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// handler wraps a page in the work that all share: headers, the session, errors, and the
// log line.
func (c *Console) handler(path string, open bool, serve page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method != post {
			r.Body = http.NoBody // http.Request.FormValue would read a form of any size
		}
		v := &visit{ResponseWriter: w, r: r, now: c.Now(), id: uuid.NewString(), path: mux.Vars(r), status: http.StatusOK}
		err := c.identify(v)
		switch {
		case err != nil:
		case open || v.signedIn():
			err = serve(c, v)
		default:
			v.redirect(withNext("sign-in", nextOf(c.pageFor(r))))
		}
		if err != nil {
			c.fail(v, err)
		}
		c.Log.Info("request", "request_id", v.id, "account", v.Account, "method", r.Method, "route", path, "status", v.status,
			"seconds", time.Since(began).Seconds())
	})
}

// pageFor is the page that a person gets in the place of the one asked for, once they have signed
// in: that page itself, or the nearest one above it for a form, which is not sent again.
func (c *Console) pageFor(r *http.Request) string {
	if r.Method != post {
		return r.URL.RequestURI()
	}
	for page := r.URL.EscapedPath(); strings.HasPrefix(page, root); page = page[:strings.LastIndex(page, "/")] {
		var found mux.RouteMatch
		if u, err := url.Parse(page); err == nil && c.router.Match(&http.Request{Method: get, URL: u}, &found) && found.MatchErr == nil {
			return page
		}
	}
	return root
}

// visit is one request of a browser.
type visit struct {
	http.ResponseWriter
	r      *http.Request
	now    time.Time
	id     string // of the request
	path   map[string]string
	status int
	begun  bool // some of the answer is written

	snapshot *exchange.Snapshot
	exchange.Principal
	session *session // nil without one; see signedIn
}

// WriteHeader implements http.ResponseWriter.
func (v *visit) WriteHeader(status int) {
	v.setAnswerTime(0)
	v.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (v *visit) Write(b []byte) (int, error) {
	v.begun = true
	v.setAnswerTime(len(b))
	return v.ResponseWriter.Write(b)
}

// setAnswerTime bounds the time in which the browser reads that many bytes.
func (v *visit) setAnswerTime(bytes int) {
	http.NewResponseController(v.ResponseWriter).SetWriteDeadline(time.Now().Add(timeFor(int64(bytes))))
}

// signedIn tells whether the person has proved both factors.
func (v *visit) signedIn() bool { return v.session != nil && v.session.Complete }

// ours tells whether the person may read the receipts and the feeds of an account: one of the
// organisation, but for a seconded person the own one alone, since the others may read more.
func (v *visit) ours(account string) bool {
	return account == v.Account || v.Home == "" && strings.HasPrefix(account, v.Org+"/")
}

// actor is the person who carries out an act.
func (v *visit) actor() admin.Actor { return admin.Actor{Account: v.Account} }

// redirect sends the browser to a page of the console.
func (v *visit) redirect(to string) {
	v.Header().Set("Location", to)
	v.status = http.StatusSeeOther
	v.WriteHeader(v.status)
}

// fail answers with a page about an error. It shows the message of a taxii.Error, which is
// safe to show, and logs any other, and why something is unavailable.
func (c *Console) fail(v *visit, err error) {
	var known *taxii.Error
	if !errors.As(err, &known) || known.Code == taxii.Internal || known.Code == taxii.Unavailable {
		c.Log.Error("console", "request_id", v.id, "err", err)
	}
	if known == nil || known.Code == taxii.Internal {
		known = taxii.Errorf(taxii.Internal, "This page could not be made. Tell the operator of the server the number %s.", v.id)
	}
	if v.begun {
		panic(http.ErrAbortHandler) // an incomplete download must not look complete
	}
	v.Header().Del("Content-Disposition")
	v.status = known.Code.Status()
	if err := c.render(v, "error", http.StatusText(v.status), sentence(known.Msg)); err != nil {
		c.Log.Error("console", "request_id", v.id, "err", err)
	}
}

// sentence is a message as a sentence of its own. A name at its beginning stays as it is.
func sentence(message string) string {
	if message == "" {
		return ""
	}
	if word, _, _ := strings.Cut(message, " "); !strings.ContainsAny(word, "/-_") {
		message = strings.ToUpper(message[:1]) + message[1:]
	}
	if strings.HasSuffix(message, ".") {
		return message
	}
	return message + "."
}

// nextOf is the page of the console that a target names, after the sign-in; the first page
// for any other target, so that no link leads to another site.
func nextOf(target string) string {
	u, err := url.Parse(target)
	if err != nil || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, root) || strings.ContainsAny(target, "\\\r\n") ||
		strings.HasPrefix(u.Path, root+"sign-") || strings.HasPrefix(u.Path, root+"ticket/") {
		return root
	}
	return u.RequestURI()
}

// withNext is the URL of a page of the sign-in, which leads to next in the end.
func withNext(page, next string) string { return root + page + "?next=" + url.QueryEscape(next) }
