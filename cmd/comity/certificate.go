package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// renewBefore is how long before the expiry of a certificate a warning is logged, or a
// certificate of our own CA replaced.
const renewBefore = 14 * 24 * time.Hour

// certificates is the TLS configuration of a listener. It is rebuilt when one of its
// files has changed, so that a renewed certificate needs no restart.
type certificates struct {
	build func() (*tls.Config, error)
	files []string // the files that build reads
	host  string   // the host name that clients use, "" if unknown
	own   bool     // build issues the certificate itself and can renew it
	now   func() time.Time
	log   *slog.Logger

	pair atomic.Pointer[tls.Certificate] // presented last, with its Leaf; nil if none was yet

	mu      sync.Mutex // guards what follows
	config  *tls.Config
	read    []fileState // of files, when config was made
	checked time.Time   // when the files were last looked at
	problem string      // why the newest files cannot be used; "" if they are used
}

// fileState is compared to see whether a file has changed.
type fileState struct {
	size     int64
	modified int64 // Unix time in ns
}

// certificates builds the configuration from the flags, nil for plain HTTP.
func (c *serveCmd) certificates(data string, now func() time.Time, log *slog.Logger) (*certificates, error) {
	certs := &certificates{
		build: func() (*tls.Config, error) { return c.tls(data) },
		files: c.tlsFiles(), host: c.publicHost(), own: c.TLSSelfSigned, now: now, log: log,
	}
	if err := certs.load(); err != nil || certs.config == nil {
		return nil, err
	}
	return certs, nil
}

// serverConfig is the configuration of the listener.
func (c *certificates) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         c.config.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}
}

// current is the newest configuration. It looks for changed files at most once a
// second.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked).Abs() >= time.Second {
		c.checked = now
		ends := c.own && c.pair.Load().Leaf.NotAfter.Sub(now) < renewBefore
		if ends || !slices.Equal(c.read, c.states()) {
			c.reload()
		}
	}
	return c.config
}

// Reload reads the files whether or not they have changed.
func (c *certificates) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reload()
}

// reload keeps the old configuration if the files cannot be used, such as a certificate
// whose key is not written yet. The caller holds mu.
func (c *certificates) reload() {
	err := c.load()
	if err == nil {
		c.problem = ""
		c.log.Info("certificates read again")
		c.warn()
	} else if c.problem != err.Error() {
		c.problem = err.Error()
		c.log.Warn("the changed certificates cannot be used; the old ones stay in use", "err", err)
	}
}

// load makes the configuration. The caller holds mu, or no other goroutine has c yet.
func (c *certificates) load() error {
	states := c.states() // taken before the files are read, so that a change meanwhile is seen later
	config, err := c.build()
	if err != nil {
		return err
	}
	c.config, c.read = config, states
	if config == nil {
		return nil
	}
	if len(config.Certificates) > 0 {
		pair := config.Certificates[0]
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return err
		}
		c.pair.Store(&pair)
	}
	if get := config.GetCertificate; get != nil {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := get(hello)
			if err == nil && pair.Leaf != nil && pair.Leaf.VerifyHostname(c.host) == nil {
				c.pair.Store(pair)
			}
			return pair, err
		}
	}
	return nil
}

func (c *certificates) states() []fileState {
	states := make([]fileState, len(c.files))
	for i, file := range c.files {
		if info, err := os.Stat(file); err == nil {
			states[i] = fileState{info.Size(), info.ModTime().UnixNano()}
		}
	}
	return states
}

// Run warns at once and then each day, until ctx ends, of a certificate that has expired
// or will soon.
func (c *certificates) Run(ctx context.Context) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		c.warn()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// expires tells when the certificate presented last expires, and when the first of the
// issuers' certificates sent with it does; zero where there is none.
func (c *certificates) expires() (leaf, issuers time.Time) {
	pair := c.pair.Load()
	if pair == nil {
		return leaf, issuers
	}
	for _, der := range pair.Certificate[1:] {
		if issuer, err := x509.ParseCertificate(der); err == nil && (issuers.IsZero() || issuer.NotAfter.Before(issuers)) {
			issuers = issuer.NotAfter
		}
	}
	return pair.Leaf.NotAfter, issuers
}

func (c *certificates) warn() {
	pair := c.pair.Load()
	if pair == nil {
		return
	}
	leaf := pair.Leaf
	switch left := leaf.NotAfter.Sub(c.now()); {
	case left < 0:
		c.log.Warn("the certificate has expired: clients refuse it", "not_after", leaf.NotAfter)
	case left < renewBefore:
		c.log.Warn("the certificate expires soon", "days", int(left.Hours()/24), "not_after", leaf.NotAfter)
	}
	if c.host == "" {
		return
	}
	if err := leaf.VerifyHostname(c.host); err != nil {
		c.log.Warn(fmt.Sprintf("the certificate is not for %s: clients refuse it", c.host), "err", err)
	}
}
