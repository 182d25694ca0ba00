package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The server accepts TLS 1.2 and 1.3 with forward secrecy and AEAD only (TAXII 2.1 §8.2.2). Its
// certificate is issued by the CA in the data folder.
func TestSelfSignedServesModernTLSOnly(t *testing.T) {
	data := t.TempDir()
	serve := &serveCmd{Listen: "127.0.0.1:0", PublicURL: "https://taxii.example", tlsFlags: tlsFlags{TLSSelfSigned: true}}
	config, err := serve.tls(data)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(data, "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, test := range []struct {
		name   string
		client *tls.Config
		want   bool
	}{
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"by its public name", &tls.Config{ServerName: "taxii.example"}, true},
		{"by another name", &tls.Config{ServerName: "other.example"}, false},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"without forward secrecy", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.client.RootCAs = roots
			if test.client.ServerName == "" {
				test.client.ServerName = "localhost"
			}
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go tls.Server(server, config).Handshake()
			if err := tls.Client(client, test.client).Handshake(); (err == nil) != test.want {
				t.Errorf("handshake: %v, want success %v", err, test.want)
			}
		})
	}
}

// A TLS listener speaks HTTP/2 to clients that can, and HTTP/1.1 to the others.
func TestTLSListenerSpeaksHTTP2(t *testing.T) {
	serve := &serveCmd{Listen: "127.0.0.1:0", tlsFlags: tlsFlags{TLSSelfSigned: true}}
	config, err := serve.tls(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", serve.Listen)
	if err != nil {
		t.Fatal(err)
	}
	s := httpServer(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	s.TLSConfig = config
	defer s.Close()
	ex := &exchangeServer{failed: make(chan error, 1)}
	ex.serve(listener, s)
	for want, http2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		answer, err := client.Get("https://" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.CloseIdleConnections()
		defer answer.Body.Close()
		if got, err := io.ReadAll(answer.Body); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	acme, err := (&serveCmd{tlsFlags: tlsFlags{ACME: "taxii.example"}}).tls(t.TempDir())
	if err != nil || !slices.Contains(acme.NextProtos, "h2") {
		t.Errorf("with ACME: %v, %v", acme, err)
	}
}

// Somebody who gets hold of the key of the CA cannot pretend to be other servers to the clients
// that trust it.
func TestTheOwnCASignsForItsServerOnly(t *testing.T) {
	dir := t.TempDir()
	serve := &serveCmd{Listen: "127.0.0.1:0", PublicURL: "https://taxii.example", tlsFlags: tlsFlags{TLSSelfSigned: true}}
	if _, err := serve.tls(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls", "ca.pem"), filepath.Join(dir, "tls", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for host, want := range map[string]bool{"taxii.example": true, "localhost": true, "127.0.0.1": true, "bank.example": false, "192.0.2.1": false} {
		template := certificate("another server", time.Hour)
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = []net.IP{ip}
		} else {
			template.DNSNames = []string{host}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, ca, ca.PublicKey, pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := forged.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); (err == nil) != want {
			t.Errorf("%s: %v, want success %t", host, err, want)
		}
	}
	serve.PublicURL = "https://renamed.example"
	if _, err := serve.tls(dir); err == nil || !strings.Contains(err.Error(), "renamed.example") || !strings.Contains(err.Error(), "remove") {
		t.Errorf("under another name: %v", err)
	}
}
