// Package server speaks TAXII 2.1 over HTTP: routes, middleware, and one
// handler for each endpoint.
//
// It decides nothing about access and keeps nothing of a request: taxii/auth
// says who asks, taxii/exchange what they may see, store what there is.
package server

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rs/cors"
	"golang.org/x/time/rate"

	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/custody"
	"comity/taxii/intake"
	"comity/taxii/metrics"
)

// Config is what an operator may choose. Zero values get the defaults.
type Config struct {
	// PublicURL is scheme and host under which clients reach the server, such
	// as "https://taxii.example.int", without a path. Discovery is built from it.
	PublicURL string
	// Contact goes into discovery.
	Contact string
	// MaxContentLength bounds a push, in bytes after decompression. Default
	// 100 MiB.
	MaxContentLength int64
	// DefaultLimit is the page size where a client names none, MaxLimit the
	// largest it gets. Defaults 1,000 and 10,000.
	DefaultLimit, MaxLimit int
	// Grace is how long a client may take for a push or an answer, beside a
	// second for every 16 KiB of it: slow lines are served, endless ones are cut
	// off. Default 30 s.
	Grace time.Duration
	// PageCache bounds the pages that are kept, as they were sent, for all accounts
	// together, in bytes. Default 32 MiB; below 0 nothing is kept.
	PageCache int
	// PageMemory bounds the pages that are made or sent at a time, beside those of
	// the cache, for all accounts together, in bytes. Default 256 MiB, at least
	// 16 MiB.
	PageMemory int64
	// CORSOrigins are the origins, such as "https://viewer.example", whose pages may
	// call the server from a browser; "*" for all. Default none.
	CORSOrigins []string
}

const (
	// maxPage ends a page early, in bytes of objects.
	maxPage = 16 << 20
	// minRate is the slowest that a client may send or receive, in bytes a second.
	minRate = 16 << 10
)

// atOnce is how many requests of each method an account has running at once;
// further ones wait. A page is kept in memory until the client has taken it.
var atOnce = map[string]int{get: 16, post: 16, del: 2}

// Server answers requests. It is read-only once built, but for the cache and the
// limiters, and safe for concurrent use.
type Server struct {
	Deps
	config   Config
	vary     []string            // headers that answers depend on
	limiters map[string]*limiter // by method
	memory   *pageMemory
	pages    *pageCache
	stacks   rate.Sometimes // log the stack of a panic: a fault that each request meets must not fill the disk
	foreign  rate.Sometimes // warn of a host that is not ours
}

// Deps are what a Server works with. All of them are needed.
type Deps struct {
	Store    store.Store
	Auth     *auth.Authenticator
	Intake   *intake.Intake
	Recorder *audit.Recorder // of deliveries and refusals
	Custody  *custody.Service
	Metrics  *metrics.Metrics
	Log      *slog.Logger
	Now      func() time.Time // all times that answers give come from it
}

// New makes the handler of everything an exchange offers to its parties.
func New(config Config, deps Deps) http.Handler {
	if config.MaxContentLength == 0 {
		config.MaxContentLength = 100 << 20
	}
	if config.DefaultLimit == 0 {
		config.DefaultLimit = 1000
	}
	if config.MaxLimit == 0 {
		config.MaxLimit = 10_000
	}
	if config.Grace == 0 {
		config.Grace = 30 * time.Second
	}
	if config.PageCache == 0 {
		config.PageCache = 32 << 20
	}
	if config.PageMemory == 0 {
		config.PageMemory = 256 << 20
	}
	s := &Server{
		Deps: deps, config: config, limiters: map[string]*limiter{},
		vary:   []string{strings.Join(append([]string{"Accept", "Accept-Encoding"}, deps.Auth.Headers()...), ", ")},
		memory: newPageMemory(config.PageMemory), pages: newPageCache(config.PageCache),
		stacks: rate.Sometimes{First: 10, Interval: time.Second}, foreign: rate.Sometimes{Interval: time.Hour},
	}
	for method, n := range atOnce {
		s.limiters[method] = newLimiter(n)
	}
	if len(config.CORSOrigins) == 0 {
		return plainSlashes{s.router()}
	}
	s.vary[0] += ", Origin"
	return cors.New(cors.Options{
		AllowedOrigins: config.CORSOrigins,
		AllowedMethods: []string{get, http.MethodHead, post, del},
		AllowedHeaders: append(deps.Auth.Headers(),
			"Accept", "Content-Type", "Content-Encoding", "Range", "Version", "If-Match", "If-None-Match"),
		ExposedHeaders: []string{dateFirst, dateLast, "ETag", "Retry-After", "WWW-Authenticate"},
		MaxAge:         3600,
	}).Handler(plainSlashes{s.router()})
}

// timeBudget is how long a client may take for so many bytes.
func (s *Server) timeBudget(bytes int64) time.Duration {
	return s.config.Grace + time.Duration(bytes)*time.Second/minRate
}
