package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate writes a new certificate for a host, and its key, to files.
func writeCertificate(t *testing.T, certFile, keyFile, host string, lasts time.Duration) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificate(host, lasts)
	template.DNSNames = []string{host}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// presented returns the certificate that a client is shown.
func presented(t *testing.T, config *tls.Config) *x509.Certificate {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Server(server, config).Handshake()
	conn := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0]
}

// A renewed certificate is presented without a restart, within a second or on SIGHUP. While
// certificate and key do not belong together, the old certificate stays in use.
func TestRenewedCertificateIsPresented(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := writeCertificate(t, certFile, keyFile, "taxii.example", 90*24*time.Hour)
	serve := &serveCmd{tlsFlags: tlsFlags{TLSCert: certFile, TLSKey: keyFile}}
	var log bytes.Buffer
	certs, err := serve.certificates(dir, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	config := certs.serverConfig()
	if !presented(t, config).Equal(first) {
		t.Error("the certificate of the file is not presented")
	}
	other := filepath.Join(dir, "other.pem")
	second := writeCertificate(t, certFile, other, "taxii.example", 90*24*time.Hour)
	for range 3 {
		now = now.Add(time.Second)
		if !presented(t, config).Equal(first) {
			t.Error("a certificate is presented whose key is not there yet")
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings of one problem, want 1: %s", n, &log)
	}
	if err := os.Rename(other, keyFile); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if !presented(t, config).Equal(second) {
		t.Error("a second after it was renewed, the old certificate is still presented")
	}
	third := writeCertificate(t, certFile, keyFile, "taxii.example", 90*24*time.Hour)
	certs.Reload() // as SIGHUP does, within the second
	if !presented(t, config).Equal(third) {
		t.Error("after SIGHUP the old certificate is still presented")
	}
}

// An operator is warned before clients refuse the certificate.
func TestDoubtfulCertificateIsWarnedAbout(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for _, test := range []struct {
		host  string
		lasts time.Duration
		want  string
	}{
		{"taxii.example", 90 * 24 * time.Hour, ""},
		{"taxii.example", 13 * 24 * time.Hour, "the certificate expires soon"},
		{"taxii.example", -time.Minute, "the certificate has expired"},
		{"other.example", 90 * 24 * time.Hour, "the certificate is not for taxii.example"},
	} {
		writeCertificate(t, certFile, keyFile, test.host, test.lasts)
		serve := &serveCmd{PublicURL: "https://taxii.example", tlsFlags: tlsFlags{TLSCert: certFile, TLSKey: keyFile}}
		var log bytes.Buffer
		certs, err := serve.certificates(dir, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		certs.warn()
		if got := log.String(); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s for %s: %q, want %q", test.host, test.lasts, got, test.want)
		}
	}
}

// A certificate of the server's own CA is replaced before it expires.
func TestSelfSignedCertificateNeverExpires(t *testing.T) {
	now := time.Now()
	serve := &serveCmd{Listen: "127.0.0.1:0", tlsFlags: tlsFlags{TLSSelfSigned: true}}
	certs, err := serve.certificates(t.TempDir(), func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	config := certs.serverConfig()
	first := presented(t, config)
	now = first.NotAfter.Add(-renewBefore / 2)
	if presented(t, config).Equal(first) {
		t.Error("a week before its end the old certificate is presented")
	}
}
