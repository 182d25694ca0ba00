package link

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"comity/taxii"
	"comity/taxii/client"
)

// credentialsFile is the file of a link's credentials. All keys may be left out. Other files
// are named relative to it.
type credentialsFile struct {
	User        string            `toml:"user"` // Basic authentication
	Password    string            `toml:"password"`
	Token       string            `toml:"token"`       // Bearer authentication
	Header      map[string]string `toml:"header"`      // such as X-API-Key
	Certificate string            `toml:"certificate"` // file of a client certificate (PEM)
	Key         string            `toml:"key"`         // file of its private key (PEM)
	CA          string            `toml:"ca"`          // file of the CAs to trust instead of those of the system (PEM)
}

// readCredentials reads the file into config. It is Invalid if others than its owner may
// read or write it or the private key that it names, or if it is malformed; the message
// quotes nothing of it.
func readCredentials(name string, config *client.Config) error {
	invalid := func(why string, err error) error {
		return &taxii.Error{Code: taxii.Invalid, Msg: "credentials " + name + ": " + why, Err: err}
	}
	text, err := readSecret(name)
	if err != nil {
		return invalid(err.Error(), nil)
	}
	var in credentialsFile
	decoder := toml.NewDecoder(bytes.NewReader(text))
	if err := decoder.DisallowUnknownFields().Decode(&in); err != nil {
		return invalid("is no TOML with the keys user, password, token, header, certificate, key and ca", nil)
	}
	config.User, config.Password, config.Token = in.User, in.Password, in.Token
	config.Header = http.Header{}
	for key, value := range in.Header {
		config.Header.Set(key, value)
	}
	beside := func(file string) string {
		if filepath.IsAbs(file) {
			return file
		}
		return filepath.Join(filepath.Dir(name), file)
	}
	if in.Certificate != "" {
		key, err := readSecret(beside(in.Key))
		if err != nil {
			return invalid("the private key: "+err.Error(), nil)
		}
		certificate, err := os.ReadFile(beside(in.Certificate))
		if err != nil {
			return invalid("the client certificate cannot be read", errors.Unwrap(err))
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return invalid("the client certificate cannot be used", err)
		}
		config.Certificate = &pair
	}
	if in.CA != "" {
		text, err := os.ReadFile(beside(in.CA))
		if err != nil {
			return invalid("the file of CAs cannot be read", errors.Unwrap(err))
		}
		if config.CAs = x509.NewCertPool(); !config.CAs.AppendCertsFromPEM(text) {
			return invalid("the file of CAs holds no certificate", nil)
		}
	}
	return nil
}

// readSecret reads a file that only its owner may use.
func readSecret(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	case info.Mode().Perm()&0o077 != 0:
		return nil, errors.New("others than its owner may use it: run chmod 600 on it")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	return text, nil
}
