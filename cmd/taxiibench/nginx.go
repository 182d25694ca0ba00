package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// nginx serves files with sendfile.
type nginx struct {
	process         *process
	address, secure string
}

const nginxConf = `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx-error.log;
%[4]s
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	gzip_static on;
	open_file_cache max=100;
	keepalive_requests 1000000000;
	keepalive_timeout 600;
	default_type application/taxii+json;
	client_body_temp_path %[1]s/nginx-body;
	proxy_temp_path %[1]s/nginx-proxy;
	fastcgi_temp_path %[1]s/nginx-fastcgi;
	scgi_temp_path %[1]s/nginx-scgi;
	uwsgi_temp_path %[1]s/nginx-uwsgi;
	server { listen %[2]s backlog=1024; root %[1]s/www; }
	server {
		listen %[3]s ssl;
		root %[1]s/www;
		ssl_protocols TLSv1.3;
		ssl_certificate %[1]s/cert.pem;
		ssl_certificate_key %[1]s/key.pem;
	}
}
`

// startNginx serves dir/www, also over TLS with dir/cert.pem.
func startNginx(ctx context.Context, dir string) (n *nginx, err error) {
	// /usr/sbin is in the PATH of root only.
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, errors.New("nginx is not installed, and the rows compare with it: apt-get install nginx-light")
		}
	}
	n = &nginx{}
	if n.address, err = freePort(); err != nil {
		return nil, err
	}
	if n.secure, err = freePort(); err != nil {
		return nil, err
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // the workers have to read a folder that only root may read
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, n.address, n.secure, user), 0o600); err != nil {
		return nil, err
	}
	if n.process, err = start("nginx", filepath.Join(dir, "nginx.log"), nil, binary, "-c", conf, "-p", dir); err != nil {
		return nil, err
	}
	return n, n.process.listening(ctx, n.address)
}

// makeCertificate writes dir/cert.pem and dir/key.pem, for loopback.
func makeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "taxiibench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
