package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
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
