// Package server speaks TAXII 2.1 over HTTP: routes, middleware, and one
// handler for each endpoint.
//
// It makes no access decisions and keeps no state of a request: taxii/auth identifies
// the account, taxii/exchange decides its access, and store holds the objects.
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
	"comity/taxii/exchange"
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
	// DefaultLimit is the page size for requests without limit, MaxLimit the largest
	// page size. Defaults 1,000 and 10,000.
	DefaultLimit, MaxLimit int
	// Grace is how long a client may take to send a push or to read an answer, plus one
	// second for every 16 KiB. Slower clients are disconnected. Default 30 s.
	Grace time.Duration
	// PageCache is the size of the cache of pages, for all accounts together, in bytes.
	// Default 32 MiB; below 0 nothing is kept.
	PageCache int
	// PageMemory bounds the memory of the pages that are read or sent at a time, beside
	// those in the cache, for all accounts together, in bytes. Default 256 MiB, at least
	// 16 MiB.
	PageMemory int64
	// CORSOrigins are the origins, such as "https://viewer.example", whose pages may
	// call the server from a browser; "*" for all. Default none.
	CORSOrigins []string
}

const (
	// maxPage is the size at which a page ends before its limit, in bytes of objects.
	maxPage = 16 << 20
	// minRate is the lowest rate at which a client may send or receive, in bytes a second.
	minRate = 16 << 10
)

// maxRunning is how many requests of each method an account may have running at once;
// further ones wait. Each running GET may hold a page in memory until the client has
// read it.
var maxRunning = map[string]int{get: 16, post: 16, del: 2}

// Server answers requests. It is read-only once built, but for the cache, the
// limiters and the polls, and safe for concurrent use.
type Server struct {
	Deps
	config       Config
	vary         []string            // headers that answers depend on
	limiters     map[string]*limiter // by method
	memory       *pageMemory
	pages        *pageCache
	streams      *limiter
	stackTraces  rate.Sometimes // limits the logged stacks of panics, which could fill the disk
	hostWarnings rate.Sometimes // limits the warnings of checkHost
}

// Deps are the dependencies of a Server. All of them are needed.
type Deps struct {
	Store    store.Store
	Current  *exchange.Current // the same as that of Auth
	Auth     *auth.Authenticator
	Intake   *intake.Intake
	Recorder *audit.Recorder // of deliveries and refusals
	Custody  *custody.Service
	Metrics  *metrics.Metrics
	Polls    *Polls // filled by the Server
	Log      *slog.Logger
	Now      func() time.Time // the clock of all times in answers
	Ending   <-chan struct{}  // closed when the server shuts down, which ends the streams
}

// New makes the handler of all endpoints.
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
		memory: newPageMemory(config.PageMemory), pages: newPageCache(config.PageCache), streams: newLimiter(maxStreams),
		stackTraces: rate.Sometimes{First: 10, Interval: time.Second}, hostWarnings: rate.Sometimes{Interval: time.Hour},
	}
	s.Metrics.Watch(s.report)
	for method, n := range maxRunning {
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

// timeBudget is how long a client may take to send or read that many bytes.
func (s *Server) timeBudget(bytes int64) time.Duration {
	return s.config.Grace + time.Duration(bytes)*time.Second/minRate
}
