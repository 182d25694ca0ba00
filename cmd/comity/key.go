package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"comity/store/atomicfile"
	"comity/taxii/agreement"
)

// keyFile is the file in the data folder with the private key of the centre.
const keyFile = "centre.key"

// centreKey reads the private key of the centre; nil if the data folder, made by an older
// version, has none.
func centreKey(data string) (ed25519.PrivateKey, error) {
	key, err := readKey(filepath.Join(data, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

// makeCentreKey writes the private key of file from, or a new one if from is "", to the
// data folder, and returns the public key. It never overwrites a key; made reports
// whether it wrote one.
func (sh *shell) makeCentreKey(from string) (public string, made bool, err error) {
	key, err := centreKey(sh.data)
	if err != nil {
		return "", false, err
	}
	given := key
	if from != "" {
		if given, err = readKey(from); err != nil {
			return "", false, err
		}
	}
	file := filepath.Join(sh.data, keyFile)
	switch {
	case key != nil && !key.Equal(given):
		return "", false, fmt.Errorf("%s holds another key already", file)
	case key != nil:
		return formatPublic(key), false, nil
	case given != nil:
		return formatPublic(given), true, writeKey(file, given)
	}
	public, err = newKey(file)
	return public, err == nil, err
}

// newKey makes an Ed25519 key pair: the private key goes to a new file, the
// public one is the result.
func newKey(file string) (string, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	return formatPublic(key), writeKey(file, key)
}

func formatPublic(key ed25519.PrivateKey) string {
	return agreement.FormatKey(key.Public().(ed25519.PublicKey))
}

// writeKey writes a private key as PKCS #8 in PEM to a new file that only its
// owner can read.
func writeKey(file string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return atomicfile.Create(file, 0o600, func(w io.Writer) error {
		return pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	})
}

// readKey reads a file of writeKey.
func readKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no private key for Ed25519", file)
	}
	return key, nil
}
