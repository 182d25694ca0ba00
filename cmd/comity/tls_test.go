package main

import (
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
	"testing"
)

// TestSelfSignedServesModernTLSOnly shakes hands as clients of several ages
// would (TAXII 2.1 §8.2.2): 1.2 and 1.3 with forward secrecy and AEAD, nothing
// else, with a certificate that the CA in the data folder vouches for.
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
