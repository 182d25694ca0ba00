package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"comity/taxii/client"
)

// remoteServer is the server of a command that needs none of ours, and what it is shown.
type remoteServer struct {
	URL       string        `arg:"" name:"url" help:"Any TAXII 2.1 server: https://HOST, or the URL of its discovery, of an API root or of a collection."`
	User      string        `env:"COMITY_USER" placeholder:"NAME" help:"User for Basic authentication. The password is that in COMITY_PASSWORD, or asked for on a terminal."`
	TokenFile string        `type:"existingfile" placeholder:"FILE" help:"File with a token for Bearer authentication; without it, the token is that in COMITY_TOKEN."`
	Header    []string      `sep:"none" placeholder:"NAME:VALUE" help:"Another header, such as an API key; may be repeated. With @FILE as VALUE it is read from that file."`
	Cert      string        `type:"existingfile" placeholder:"FILE" help:"Client certificate (PEM)."`
	Key       string        `type:"existingfile" placeholder:"FILE" help:"Its private key (PEM)."`
	CA        string        `name:"ca" type:"existingfile" placeholder:"FILE" help:"Trust these CAs (PEM) instead of those of the system."`
	PlainHTTP bool          `name:"plain-http" help:"Let credentials and objects travel in the clear to other machines."`
	RetryFor  time.Duration `default:"2m" help:"How long a request that fails is tried again (default ${default})."`
}

// connect makes a client of the server. What the server does against the standard is told
// on standard error.
func (r *remoteServer) connect(sh *shell) (*client.Client, error) {
	credentials, err := r.credentials(sh)
	if err != nil {
		return nil, err
	}
	config := client.Config{
		Credentials: credentials, PlainHTTP: r.PlainHTTP, RetryFor: max(r.RetryFor, 1),
		Notice: func(sentence string) { sh.say("%s", sentence) },
	}
	if r.CA != "" {
		text, err := os.ReadFile(r.CA)
		if err != nil {
			return nil, err
		}
		if config.CAs = x509.NewCertPool(); !config.CAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", r.CA)
		}
	}
	return client.New(r.URL, config)
}

func (r *remoteServer) credentials(sh *shell) (c client.Credentials, err error) {
	c.Token = os.Getenv("COMITY_TOKEN")
	if r.TokenFile != "" {
		if c.Token, err = secretOf(r.TokenFile); err != nil {
			return c, err
		}
	}
	if c.User = r.User; c.User != "" && c.Token == "" {
		if c.Password, err = sh.password(c.User); err != nil {
			return c, err
		}
	}
	for _, header := range r.Header {
		name, value, ok := strings.Cut(header, ":")
		if value = strings.TrimSpace(value); !ok || name == "" || value == "" {
			return c, errors.New("--header: write NAME:VALUE")
		}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			if value, err = secretOf(file); err != nil {
				return c, err
			}
		}
		if c.Header == nil {
			c.Header = http.Header{}
		}
		c.Header.Add(name, value)
	}
	if (r.Cert == "") != (r.Key == "") {
		return c, errors.New("--cert and --key go together")
	}
	if r.Cert != "" {
		pair, err := tls.LoadX509KeyPair(r.Cert, r.Key)
		if err != nil {
			return c, err
		}
		c.Certificate = &pair
	}
	return c, nil
}

// secretOf reads a secret, which must not be empty, from the first line of a file.
func secretOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("the first line of %s is empty", file)
	}
	return line, nil
}

// password is that in the environment, or is asked for on the terminal, without echo.
func (sh *shell) password(user string) (string, error) {
	if password, ok := os.LookupEnv("COMITY_PASSWORD"); ok {
		return password, nil
	}
	if !sh.asks {
		return "", errors.New("--user: there is no terminal to ask for the password on; put it into COMITY_PASSWORD")
	}
	terminal := int(os.Stdin.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(sh.err, "Password of %s: ", user)
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		fmt.Fprintln(sh.err)
		return string(a.text), a.err
	case <-sh.ctx.Done(): // the goroutine is left waiting, and the terminal gets its echo back
		return "", errors.Join(sh.ctx.Err(), term.Restore(terminal, before))
	}
}
