package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/gorilla/mux"

	"comity/store"
	"comity/store/atomicfile"
	"comity/taxii/admin"
	adminhttp "comity/taxii/admin/http"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/console"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/metrics"
	"comity/taxii/operation"
	"comity/taxii/server"
)

// defaultListen is the address without --listen.
const defaultListen = "127.0.0.1:8080"

type serveCmd struct {
	Config       kong.ConfigFlag `placeholder:"FILE" help:"TOML file whose keys are these flags, without dashes."`
	Listen       string          `placeholder:"ADDR" env:"COMITY_LISTEN" help:"Where to serve (default 127.0.0.1:8080; with --acme :443)."`
	PublicURL    string          `placeholder:"URL" env:"COMITY_PUBLIC_URL" help:"Scheme and host that clients use; without it, made from --listen."`
	AdminListen  string          `placeholder:"ADDR" env:"COMITY_ADMIN_LISTEN" help:"Where to serve /metrics, /healthz and /readyz, in the clear."`
	Pprof        bool            `env:"COMITY_PPROF" help:"Serve profiles of the running server under /debug/pprof/ of --admin-listen, which must be a loopback address then."`
	Contact      string          `env:"COMITY_CONTACT" help:"Contact shown in discovery."`
	MaxContent   byteSize        `name:"max-content-length" default:"100MiB" env:"COMITY_MAX_CONTENT_LENGTH" help:"Largest push, in bytes or such as 10MB (default ${default})."`
	Limit        int             `default:"1000" env:"COMITY_LIMIT" help:"Page size where a client names none (default ${default})."`
	MaxLimit     int             `default:"10000" env:"COMITY_MAX_LIMIT" help:"Largest page size (default ${default})."`
	CORSOrigin   []string        `name:"cors-origin" placeholder:"ORIGIN" env:"COMITY_CORS_ORIGIN" help:"Origins, such as https://viewer.example, whose web pages may call the server; * for all."`
	KeyHeader    string          `default:"X-API-Key" env:"COMITY_KEY_HEADER" help:"Header that may carry a token alone (default ${default})."`
	IdleTimeout  time.Duration   `default:"2m" env:"COMITY_IDLE_TIMEOUT" help:"How long a connection stays open between two requests (default ${default}); longer than that of a proxy in front. 10s if no request on the connection was authenticated."`
	WebhookAllow []string        `name:"webhook-allow" placeholder:"HOST" env:"COMITY_WEBHOOK_ALLOW" help:"Hosts that webhooks of feeds may be sent to, by name. A host that is not on the internet needs its address or network beside it, such as 10.1.2.0/24."`
	NoConsole    bool            `env:"COMITY_NO_CONSOLE" help:"Leave out the web console under /console/, and the page for browsers that leads to it."`
	Unsigned     bool            `env:"COMITY_UNSIGNED" help:"Serve without the key of the centre: certificates of deletion and checkpoints are not signed."`
	Migrate      bool            `env:"COMITY_MIGRATE" help:"Bring an older schema of the database up to date."`
	StoreReplica string          `placeholder:"FILE|URL" env:"COMITY_STORE_REPLICA" help:"Read pages from a hot standby of the database of --store: its URL, or a file that holds the URL. The primary answers what the standby does not have yet, and all if it fails."`
	logFlags     `embed:""`
	tlsFlags     `embed:""`
	dnsFlags     `embed:""`
	oidcFlags    `embed:""`

	connectionFlags `embed:""`
}

// Run logs the error too if the log is JSON, so that every line of standard error is JSON.
func (c *serveCmd) Run(sh *shell) error {
	lines := &logLines{w: sh.err}
	defer lines.flush()
	sh.log = c.logger(lines)
	err := c.serve(sh)
	if err != nil && !errors.Is(err, errQuiet) && c.LogFormat == "json" {
		sh.log.Error(err.Error())
		return errQuiet
	}
	return err
}

func (c *serveCmd) serve(sh *shell) error {
	if err := sh.checkPlatform(); err != nil {
		return err
	}
	if _, err := os.Stat(sh.data); err != nil {
		return fmt.Errorf("there is no data folder %s; make one with comity init", sh.data)
	}
	if c.StoreReplica != "" && sh.storeFlags.Store == "" {
		return errors.New("--store-replica needs --store: a data folder has no replica")
	}
	listener, err := c.activate()
	if err := cmp.Or(err, c.check()); err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	certs, err := c.certificates(sh.data, time.Now, sh.log)
	if err != nil {
		return err
	}
	if certs == nil && !c.PlainHTTP && !loopback(c.Listen) {
		return fmt.Errorf("%s is no loopback address: choose a TLS flag, or --plain-http behind a proxy that has TLS", c.Listen)
	}
	unlock, err := sh.lockFolder()
	if err != nil {
		return err
	}
	defer unlock()
	sh.migrates, sh.replica = c.Migrate, c.StoreReplica
	s, err := sh.open(lockWait)
	if err != nil {
		return err
	}
	defer s.Close()
	d, _, err := s.Directory(sh.ctx)
	if err != nil || d.Centre.ID == "" {
		return cmp.Or(err, fmt.Errorf("%s has no centre yet; run comity init first", sh.data))
	}
	key, err := centreKey(sh.data)
	if err == nil {
		err = c.checkKey(key, d.Organisations[d.Centre.ID], filepath.Join(sh.data, keyFile))
	}
	if err != nil {
		return err
	}
	warnOfPermissions(sh.log, sh.data, filepath.Join(sh.data, keyFile), c.TLSKey)
	if err := c.dnsFlags.check(key, certs); err != nil {
		return err
	}
	ex := &exchangeServer{store: s, data: sh.data, socket: sh.socket(), key: key, certs: certs, now: time.Now, log: sh.log, listener: listener}
	if err := ex.start(c); err != nil {
		return err
	}
	if c.LogFormat == "json" {
		sh.log.Info("serving", "address", ex.address, "url", ex.url+"/taxii2/", "metrics", ex.metricsURL, "dns", ex.dns.plain, "dns_tls", ex.dns.tls)
	} else {
		if ex.metricsURL != "" {
			sh.say("metrics at %s", ex.metricsURL)
		}
		if ex.dns.plain != "" {
			sh.say("zones at %s", ex.dns.plain)
		}
		if ex.dns.tls != "" {
			sh.say("zones over TLS at %s", ex.dns.tls)
		}
		sh.say("listening on %s, serving %s/taxii2/", ex.address, ex.url)
	}
	background, end := context.WithCancel(sh.ctx)
	defer end()
	if certs != nil {
		go certs.Run(background)
	}
	go ex.onHangup(background, hangup)
	ex.notify(daemon.SdNotifyReady)
	if err := ex.wait(sh.ctx); err != nil {
		sh.log.Error("stopped", "reason", err)
		return errQuiet
	}
	sh.log.Info("stopped", "reason", context.Cause(sh.ctx))
	return nil
}

// checkKey refuses a key that is not the one registered for the centre, and a missing key
// without --unsigned.
func (c *serveCmd) checkKey(key ed25519.PrivateKey, centre *exchange.Organisation, file string) error {
	switch {
	case key == nil && !c.Unsigned:
		return fmt.Errorf("there is no %s, which the centre signs with: put it back, or let certificates and checkpoints be unsigned by --unsigned", file)
	case key != nil && centre.Key != "" && formatPublic(key) != centre.Key:
		return fmt.Errorf("%s is another key than the one registered for %s, %s: nobody could verify what it signs", file, centre.ID, centre.Key)
	}
	return nil
}

// warnOfPermissions logs a warning if every user of the machine may replace the files of
// the data folder, or read or write one of the files with a key. Files that do not exist
// are left out.
func warnOfPermissions(log *slog.Logger, data string, keys ...string) {
	if info, err := os.Stat(data); err == nil && info.Mode()&0o002 != 0 {
		log.Warn("every user of this machine may replace the files of the data folder: take the permission away with chmod o-w", "folder", data)
	}
	for _, key := range keys {
		if info, err := os.Stat(key); err == nil && info.Mode()&0o006 != 0 {
			log.Warn("every user of this machine may read or write the private key: take the permission away with chmod o-rw", "file", key)
		}
	}
}

// onHangup reloads the certificates at each signal until ctx ends.
func (ex *exchangeServer) onHangup(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-hangup:
			if ex.certs == nil {
				ex.log.Info("SIGHUP: there are no certificates to read again")
			} else {
				ex.certs.Reload()
			}
		case <-ctx.Done():
			return
		}
	}
}

// check sets the defaults of --listen and --public-url, and refuses flags that contradict each
// other or are out of range.
func (c *serveCmd) check() error {
	if c.MaxContent < 1 || c.Limit < 1 || c.MaxLimit < 1 {
		return errors.New("--max-content-length, --limit and --max-limit are at least 1")
	}
	if c.Pprof && !loopback(c.AdminListen) {
		return errors.New("--pprof needs --admin-listen on a loopback address: profiles tell what the server does, and cost it time")
	}
	if c.ACME != "" {
		c.Listen, c.PublicURL = cmp.Or(c.Listen, ":443"), cmp.Or(c.PublicURL, "https://"+c.ACME)
	}
	c.Listen = cmp.Or(c.Listen, defaultListen)
	if c.PublicURL == "" && c.PlainHTTP && !loopback(c.Listen) {
		return errors.New("--plain-http needs --public-url: clients that are told the address behind the proxy would leave TLS")
	}
	for _, origin := range c.CORSOrigin {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			return fmt.Errorf("--cors-origin %s: write scheme and host only, such as https://viewer.example, or *", origin)
		}
	}
	if c.ProxyProtocol && len(c.TrustedProxy) == 0 {
		return errors.New("--proxy-protocol needs --trusted-proxy: anybody else could choose an address")
	}
	if c.PerAddress < 1 {
		return errors.New("--connections-per-address is at least 1")
	}
	if c.IdleTimeout <= 0 {
		return errors.New("--idle-timeout is more than 0s")
	}
	if c.PublicURL == "" {
		host, _, err := net.SplitHostPort(c.Listen)
		if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
			return fmt.Errorf("clients cannot reach %s by that name: say --public-url", c.Listen)
		}
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
		u.User != nil || strings.ContainsAny(c.PublicURL, "?#") {
		return fmt.Errorf("--public-url %s: write scheme and host only, such as https://taxii.example.int", c.PublicURL)
	}
	return nil
}

// loopback reports whether an address is reachable from this machine only.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// exchangeServer is one running exchange with its listeners.
type exchangeServer struct {
	store  store.Store
	data   string
	socket string
	key    ed25519.PrivateKey // of the centre; nil: nothing is signed
	certs  *certificates      // nil for plain HTTP
	now    func() time.Time
	log    *slog.Logger

	listener   net.Listener // nil before start: it listens on --listen
	url        string       // as clients reach it
	address    string       // of the listener
	metricsURL string       // "" without --admin-listen
	servers    []*http.Server
	recorder   *audit.Recorder
	custody    *custody.Service
	runner     *operation.Runner
	feeds      *feed.Service
	links      *link.Service
	auth       *auth.Authenticator
	admin      *admin.Service
	console    *console.Console // nil with --no-console
	dns        *dnsListeners    // none without the flags
	failed     chan error
}

// start opens the listeners, records the start and serves: TAXII, the admin socket and, with
// --admin-listen, metrics and profiles.
func (ex *exchangeServer) start(c *serveCmd) (err error) {
	targets, err := feed.ParseTargets(c.WebhookAllow)
	if err != nil {
		return fmt.Errorf("--webhook-allow %w", err)
	}
	provider, err := c.oidcFlags.read()
	if err != nil {
		return err
	}
	if ex.listener == nil {
		if ex.listener, err = net.Listen("tcp", c.Listen); err != nil {
			return err
		}
	}
	ex.address = ex.listener.Addr().String()
	scheme := "http"
	if ex.certs != nil {
		scheme = "https"
	}
	if ex.url = strings.TrimSuffix(c.PublicURL, "/"); ex.url == "" {
		ex.url = scheme + "://" + ex.address
	}
	counters, polls := metrics.New(), server.NewPolls()
	ex.store.OnCommit(counters.Committed)
	in := intake.New(ex.store, ex.data, ex.now)
	ex.recorder = audit.New(ex.store.Record, ex.now, ex.log)
	current := exchange.NewCurrent(ex.store)
	ex.custody = custody.New(ex.store, current, ex.recorder, ex.key, ex.now, ex.log)
	ex.runner = operation.New(ex.store, current, ex.custody, tables(ex.data), ex.now, ex.log)
	ex.feeds = feed.New(ex.store, current, ex.recorder, ex.key, feed.Config{PublicURL: ex.url, Webhooks: targets, Dir: feedTables(ex.data)}, ex.now, ex.log)
	ex.links = link.New(ex.store, current, in, ex.custody, ex.now, ex.log)
	counters.Watch(func(gauge metrics.Gauge) { ex.report(gauge, current) })
	ex.failed = make(chan error, 5)
	ex.auth = auth.New(current, ex.now, c.KeyHeader)
	ending := make(chan struct{})
	ex.admin = admin.New(ex.store, current, in, ex.custody, ex.runner, ex.feeds, ex.links, ex.now)
	if !c.NoConsole {
		help, err := helpTexts()
		if err != nil {
			return err
		}
		ex.console = console.New(console.Config{
			PublicURL: ex.url, MaxContentLength: int64(c.MaxContent), Help: help, OIDC: provider,
			Backups: console.Backups{Folder: filepath.Join(ex.data, "backups"), Verify: checkBackup, Free: atomicfile.Free},
		}, console.Deps{
			Store: ex.store, Current: current, Auth: ex.auth, Admin: ex.admin, Recorder: ex.recorder, Log: ex.log, Now: ex.now,
			LastPoll: polls.Last,
		})
	}
	api := server.New(server.Config{
		PublicURL: ex.url, Contact: c.Contact, MaxContentLength: int64(c.MaxContent), DefaultLimit: c.Limit, MaxLimit: c.MaxLimit,
		CORSOrigins: c.CORSOrigin,
	}, server.Deps{
		Store: ex.store, Current: current, Auth: ex.auth, Intake: in, Recorder: ex.recorder, Custody: ex.custody,
		Metrics: counters, Polls: polls, Log: ex.log, Now: ex.now, Ending: ending,
	})
	s := httpServer(ex.log, c.connectionFlags.handler(ex.handler(api, ex.feeds.Handler(ex.auth, counters))))
	s.RegisterOnShutdown(ex.feeds.EndStreams)
	s.RegisterOnShutdown(sync.OnceFunc(func() { close(ending) }))
	s.IdleTimeout = cmp.Or(c.IdleTimeout, s.IdleTimeout)
	auth.LimitIdle(s, 10*time.Second, func(a net.Addr) bool { return c.exempt(addressOf(a)) })
	if ex.certs != nil {
		s.TLSConfig = ex.certs.serverConfig()
	}

	// This process has the data folder locked, so an existing socket is a leftover of an earlier one.
	os.Remove(ex.socket)
	socket, err := net.Listen("unix", ex.socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(ex.socket, 0o600); err != nil {
		return err
	}
	var adminListener net.Listener
	if c.AdminListen != "" {
		if adminListener, err = net.Listen("tcp", c.AdminListen); err != nil {
			return err
		}
		ex.metricsURL = "http://" + adminListener.Addr().String() + "/metrics"
	}
	if ex.dns, err = c.dnsFlags.listen(&c.connectionFlags, ex.certs); err != nil {
		return err
	}
	process, err := ex.process()
	if err != nil {
		return err
	}
	if err := ex.custody.Begin(context.Background(), process); err != nil {
		return err
	}
	ex.serve(c.wrap(ex.listener), s)
	ex.serve(socket, httpServer(ex.log, adminhttp.Handler(ex.admin)))
	if adminListener != nil {
		ex.serve(adminListener, httpServer(ex.log, c.adminHandler(counters, api)))
	}
	return nil
}

// handler serves the console and the feeds beside the API. Each has a router of its own.
func (ex *exchangeServer) handler(api, feeds http.Handler) http.Handler {
	var pages http.Handler
	if ex.console != nil {
		pages = ex.console.Handler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case feed.IsPath(r.URL.EscapedPath()):
			feeds.ServeHTTP(w, r)
		case pages != nil && console.Serves(r):
			pages.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// process describes this server to those that serve from the same store.
func (ex *exchangeServer) process() (p store.Process, err error) {
	p = store.Process{Address: ex.name(), Version: version(), Settings: map[string]string{"--public-url": ex.url, keyFile: "none"}}
	if ex.key != nil {
		p.Settings[keyFile] = formatPublic(ex.key)
	}
	files, err := os.ReadDir(tables(ex.data))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for _, file := range files {
		path := filepath.Join(tables(ex.data), file.Name())
		info, err := os.Stat(path)
		if err != nil {
			return p, err
		}
		if info.IsDir() {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return p, err
		}
		p.Settings["tables/"+file.Name()] = fmt.Sprintf("of %s, SHA-256 %x", info.ModTime().UTC().Format(time.DateOnly), sha256.Sum256(content))
	}
	return p, nil
}

// name tells this server from others on the same store: each machine may listen on the same
// loopback address.
func (ex *exchangeServer) name() string {
	host, _ := os.Hostname() // without one, the port has to do
	_, port, _ := net.SplitHostPort(ex.address)
	return net.JoinHostPort(host, port)
}

// adminHandler serves metrics, the health that api tells, and profiles with --pprof, on the
// admin listener.
func (c *serveCmd) adminHandler(counters *metrics.Metrics, api http.Handler) http.Handler {
	router := mux.NewRouter()
	router.Handle("/metrics", counters.Handler())
	router.Handle("/{health:(?:healthz|readyz)/?}", api)
	if c.Pprof {
		router.HandleFunc("/debug/pprof/profile", pprof.Profile)
		router.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		router.HandleFunc("/debug/pprof/trace", pprof.Trace)
		router.PathPrefix("/debug/pprof/").HandlerFunc(pprof.Index)
	}
	return router
}

// httpServer is a server with a time limit for the headers of requests. The handlers set
// the limits for bodies and answers.
func httpServer(log *slog.Logger, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          newServerErrors(log),
	}
}

// serve serves on one listener, with TLS if s has a TLS configuration.
func (ex *exchangeServer) serve(l net.Listener, s *http.Server) {
	ex.servers = append(ex.servers, s)
	if s.TLSConfig != nil {
		go func() { ex.failed <- s.ServeTLS(l, "", "") }() // HTTP/2 too
		return
	}
	go func() { ex.failed <- s.Serve(l) }()
}

// wait runs custody, the operations, the feeds and the links until ctx ends or a listener fails, and then
// waits for open requests. Custody ends last, so that it records the deliveries of the last
// requests and the acts of the operations.
func (ex *exchangeServer) wait(ctx context.Context) error {
	custodyCtx, endCustody := context.WithCancel(context.WithoutCancel(ctx))
	defer endCustody()
	custodyEnded := make(chan error, 1)
	go func() { custodyEnded <- ex.custody.Run(custodyCtx) }()
	followCtx, endFollowers := context.WithCancel(custodyCtx)
	defer endFollowers()
	var followers sync.WaitGroup
	followers.Go(func() { ex.runner.Run(followCtx) })
	followers.Go(func() { ex.feeds.Run(followCtx) })
	followers.Go(func() { ex.feeds.RunWebhooks(followCtx) })
	followers.Go(func() { ex.links.Run(followCtx) })
	followers.Go(func() { ex.recordUses(followCtx) })
	if ex.console != nil {
		followers.Go(func() { ex.console.Run(followCtx) })
	}
	if len(ex.dns.listeners) > 0 {
		followers.Go(func() {
			if err := feed.NewDNS(ex.feeds).Serve(followCtx, ex.dns.packets, ex.dns.listeners); err != nil {
				ex.failed <- err
			}
		})
	}
	stop := func() {
		ex.notify(daemon.SdNotifyStopping)
		ex.stop()
		endFollowers()
		followers.Wait()
	}
	var err error
	select {
	case err = <-ex.failed:
	case err = <-custodyEnded:
		stop()
		return err
	case <-ctx.Done():
	}
	stop()
	endCustody()
	return cmp.Or(err, <-custodyEnded)
}

// recordUses keeps the last uses of tokens now and then, and at the end.
func (ex *exchangeServer) recordUses(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if err := ex.auth.SaveUses(func(uses map[string]auth.Use) error { return ex.admin.RecordUses(context.WithoutCancel(ctx), uses) }); err != nil {
			ex.log.Error("record the uses of tokens", "err", err)
		}
	}
}

func (ex *exchangeServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for _, s := range ex.servers {
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			ex.log.Error("shut down", "err", err)
		}
	}
}
