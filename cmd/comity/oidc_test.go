package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The flags of the provider are given together; the provider is reached over TLS, and its
// secret comes from a file.
func TestProviderIsConfiguredWhole(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flags oidcFlags
		want  string // of the error; "" for none
	}{
		{oidcFlags{}, ""},
		{oidcFlags{OIDCIssuer: "https://id.example", OIDCClientID: "comity", OIDCClientSecret: secret}, ""},
		{oidcFlags{OIDCIssuer: "http://127.0.0.1:9000", OIDCClientID: "comity", OIDCClientSecret: secret}, ""},
		{oidcFlags{OIDCIssuer: "http://id.example", OIDCClientID: "comity", OIDCClientSecret: secret}, "https"},
		{oidcFlags{OIDCIssuer: "https://id.example", OIDCClientID: "comity"}, "--oidc-client-secret"},
		{oidcFlags{OIDCIssuer: "https://id.example", OIDCClientSecret: secret}, "--oidc-client-id"},
		{oidcFlags{OIDCClientID: "comity"}, "--oidc-issuer"},
		{oidcFlags{OIDCIssuer: "https://id.example", OIDCClientID: "comity", OIDCClientSecret: secret + ".none"}, "no such file"},
		{oidcFlags{OIDCIssuer: "https://id.example", OIDCClientID: "comity", OIDCClientSecret: empty}, "is empty"},
	} {
		got, err := test.flags.read()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.flags, err, test.want)
		}
		if err == nil && test.flags.OIDCIssuer != "" && got.ClientSecret != "s3cret" {
			t.Errorf("the secret is %q", got.ClientSecret)
		}
	}
}

// A mistake in the flags of the provider is found before the server listens.
func TestProviderIsCheckedBeforeTheServerListens(t *testing.T) {
	ex := &exchangeServer{}
	if err := ex.start(&serveCmd{Listen: "127.0.0.1:0", oidcFlags: oidcFlags{OIDCClientID: "comity"}}); err == nil || ex.listener != nil {
		t.Errorf("%v, listener %v", err, ex.listener)
	}
}
