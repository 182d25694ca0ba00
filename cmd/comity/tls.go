package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"comity/store/atomicfile"
)

// tlsFlags set the certificate of the server and the CA of client certificates.
type tlsFlags struct {
	TLSCert       string `name:"tls-cert" placeholder:"FILE" env:"COMITY_TLS_CERT" help:"Certificate chain in PEM."`
	TLSKey        string `name:"tls-key" placeholder:"FILE" env:"COMITY_TLS_KEY" help:"Its private key in PEM."`
	TLSSelfSigned bool   `name:"tls-self-signed" env:"COMITY_TLS_SELF_SIGNED" help:"Make and keep a CA in the data folder; clients trust DIR/tls/ca.pem."`
	ACME          string `name:"acme" placeholder:"HOST" env:"COMITY_ACME" help:"Get certificates for this host by ACME."`
	ClientCA      string `name:"client-ca" placeholder:"FILE" env:"COMITY_CLIENT_CA" help:"Take client certificates of these CAs (PEM)."`
	PlainHTTP     bool   `name:"plain-http" env:"COMITY_PLAIN_HTTP" help:"Serve in the clear on any address, behind a proxy that has TLS."`
}

// tls builds the TLS configuration from the flags, nil for plain HTTP: TLS 1.3, or 1.2
// with forward secrecy and AEAD only (TAXII 2.1 §8.2.2).
func (c *serveCmd) tls(data string) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,
		},
	}
	ways := 0
	if c.TLSCert != "" || c.TLSKey != "" {
		ways++
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if c.TLSSelfSigned {
		ways++
		pair, err := selfSigned(filepath.Join(data, "tls"), c.hosts())
		if err != nil {
			return nil, fmt.Errorf("--tls-self-signed: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if c.ACME != "" {
		ways++
		manager := autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(c.ACME), Cache: autocert.DirCache(filepath.Join(data, "acme")),
		}
		config.GetCertificate = manager.GetCertificate
		config.NextProtos = manager.TLSConfig().NextProtos
	}
	if ways > 1 {
		return nil, errors.New("choose one of --tls-cert, --tls-self-signed and --acme")
	}
	if c.ClientCA != "" {
		if ways == 0 {
			return nil, errors.New("--client-ca needs TLS: choose one of --tls-cert, --tls-self-signed and --acme")
		}
		text, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--client-ca: %s holds no certificate", c.ClientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if ways == 0 {
		return nil, nil
	}
	return config, nil
}

// tlsFiles are the files that the flags name.
func (c *serveCmd) tlsFiles() (files []string) {
	for _, file := range []string{c.TLSCert, c.TLSKey, c.ClientCA} {
		if file != "" {
			files = append(files, file)
		}
	}
	return files
}

// publicHost is the name that clients use, "" if none is known.
func (c *serveCmd) publicHost() string {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// hosts are the names in a self-signed certificate.
func (c *serveCmd) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	if host := c.publicHost(); host != "" {
		hosts = append(hosts, host)
	}
	return hosts
}

// selfSigned issues a certificate for the hosts from the CA kept in dir, which
// it makes the first time.
func selfSigned(dir string, hosts []string) (tls.Certificate, error) {
	ca, caKey, err := ownCA(dir, hosts)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := certificate("comity", 397*24*time.Hour)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	return tls.Certificate{Certificate: [][]byte{der, ca.Raw}, PrivateKey: key}, err
}

// ownCA reads ca.pem and ca.key in dir, or makes them. The CA may sign for these hosts only:
// a client that trusts it trusts nobody else who gets its key for other names.
func ownCA(dir string, hosts []string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
		key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
		if !ok {
			return nil, nil, fmt.Errorf("%s is not ours", keyFile)
		}
		ca, err := x509.ParseCertificate(pair.Certificate[0])
		if err == nil {
			err = checkPermitted(ca, hosts, dir)
		}
		return ca, key, err
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := certificate("comity CA of this data folder", 10*365*24*time.Hour)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	template.PermittedDNSDomainsCritical = true
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.PermittedIPRanges = append(template.PermittedIPRanges, singleAddress(ip))
		} else {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	if err := atomicfile.Replace(keyFile, 0o600, func(w io.Writer) error {
		return pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	}); err != nil {
		return nil, nil, err
	}
	if err := atomicfile.Replace(certFile, 0o644, func(w io.Writer) error {
		return pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}); err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}

// certificate is the template of the certificates that this program issues.
func certificate(name string, lasts time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(lasts),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// singleAddress is the network that has only this address.
func singleAddress(ip net.IP) *net.IPNet {
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	bits := 8 * len(ip)
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)}
}

// checkPermitted refuses a host for which the CA may not sign. A CA of before this was said in
// its certificate may sign for all.
func checkPermitted(ca *x509.Certificate, hosts []string, dir string) error {
	if !ca.PermittedDNSDomainsCritical {
		return nil
	}
	for _, host := range hosts {
		permitted := slices.Contains(ca.PermittedDNSDomains, host)
		if ip := net.ParseIP(host); ip != nil {
			permitted = slices.ContainsFunc(ca.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) })
		}
		if !permitted {
			return fmt.Errorf("the CA in %s may not sign for %s: remove that folder to make another one, whose ca.pem clients have to get", dir, host)
		}
	}
	return nil
}
