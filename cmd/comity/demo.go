package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
	"comity/testdata"
)

type demoCmd struct {
	Listen string `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Where to serve (default ${default})."`
}

// demoStart is when the demo begins: inside the term of its agreement, which
// ran from 2017 to 2020.
var demoStart = time.Date(2018, time.January, 15, 9, 0, 0, 0, time.UTC)

const demoAgreement = "dea-2017-panw"

// Run serves an exchange of two parties in a temporary folder, on a clock that
// starts inside the term of their agreement and runs on from there.
func (c *demoCmd) Run(sh *shell) error {
	data, err := os.MkdirTemp("", "comity-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	began := time.Now()
	now := func() time.Time { return demoStart.Add(time.Since(began)) }
	log := slog.New(slog.NewTextHandler(sh.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := bolt.Open(data, now, log, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	demo := &shell{sh.ctx, data, false, sh.in, sh.out, sh.err}
	public, err := newKey(filepath.Join(data, keyFile))
	if err != nil {
		return err
	}
	key, err := centreKey(data)
	if err != nil {
		return err
	}
	ex := &exchangeServer{store: s, data: data, socket: demo.socket(), key: key, now: now, log: log}
	if err := ex.start(&serveCmd{Listen: c.Listen}); err != nil {
		return err
	}
	tokens, err := demo.populate(public)
	if err == nil {
		err = demo.pushAll(ex.url, tokens)
	}
	if err != nil {
		ex.stop()
		return err
	}
	fmt.Fprintf(sh.out, demoText, demoStart.Format("2 January 2006"), ex.url, tokens["igci"], tokens["palo-alto-networks"], taxii.MediaType)
	return ex.wait(sh.ctx)
}

// populate makes centre, partner, agreement and accounts, by the commands an
// operator would use, and returns a token of each organisation.
func (sh *shell) populate(key string) (map[string]string, error) {
	source, err := fs.ReadFile(testdata.Files, "agreements/"+demoAgreement+".toml")
	if err != nil {
		return nil, err
	}
	steps := []struct {
		verb string
		in   any
	}{
		{"init", admin.Init{ID: "igci", Name: "INTERPOL Global Complex for Innovation", Country: "SG", Key: key}},
		{"org/add", exchange.Organisation{ID: "palo-alto-networks", Kind: "private-vendor", Name: "Palo Alto Networks", Country: "US"}},
		{"agreement/load", admin.LoadAgreements{
			Files: []admin.File{{Name: demoAgreement + ".toml", Source: string(source)}}, Waive: "demonstration",
		}},
		{"account/add", admin.AddAccount{Account: exchange.Account{Org: "igci", Name: "feed"}}},
		{"account/add", admin.AddAccount{Account: exchange.Account{Org: "palo-alto-networks", Name: "feed"}}},
	}
	for _, step := range steps {
		if _, err := call[json.RawMessage](sh, step.verb, step.in); err != nil {
			return nil, err
		}
	}
	tokens := map[string]string{}
	for _, org := range []string{"igci", "palo-alto-networks"} {
		t, err := call[admin.NewToken](sh, "token/add", admin.AddToken{Account: org + "/feed"})
		if err != nil {
			return nil, err
		}
		tokens[org] = t.Token
	}
	return tokens, nil
}

// pushAll pushes the bundles of the demo over TAXII, each as its writer, and
// prints what became of them.
func (sh *shell) pushAll(url string, tokens map[string]string) error {
	files, err := fs.Glob(testdata.Files, "demo/*.json")
	if err != nil {
		return err
	}
	for _, file := range files {
		bundle, err := fs.ReadFile(testdata.Files, file)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(file, "demo/")
		flow := strings.Split(name, "-")[1]
		writer := "igci"
		if flow == "inbound" {
			writer = "palo-alto-networks"
		}
		status, err := pushBundle(sh.ctx, url+"/igci/collections/"+demoAgreement+"."+flow+"/objects/", tokens[writer], bundle)
		if err != nil {
			return fmt.Errorf("push %s: %w", name, err)
		}
		fmt.Fprintf(sh.out, "%s pushed %s: %d accepted, %d refused\n", writer, name, status.SuccessCount, status.FailureCount)
		for _, f := range status.Failures {
			fmt.Fprintf(sh.out, "    %s: %s\n", f.ID, f.Message)
		}
	}
	return nil
}

// pushBundle is one push as any client would make it.
func pushBundle(ctx context.Context, url, token string, bundle []byte) (status taxii.Status, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(bundle))
	if err != nil {
		return status, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", taxii.MediaType)
	r.Header.Set("Accept", taxii.MediaType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return status, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return status, fmt.Errorf("%s", answer.Status)
	}
	return status, json.NewDecoder(answer.Body).Decode(&status)
}

const demoText = `
The agreement dea-2017-panw ran from August 2017 to August 2020, so this server
believes that it is %[1]s, and its clock runs on from there.

  discovery             %[2]s/taxii2/
  igci/feed             %[3]s
  palo-alto-networks/feed
                        %[4]s

What the centre can read, with curl:

  curl -s -H 'Authorization: Bearer %[3]s' \
    -H 'Accept: %[5]s' \
    %[2]s/igci/collections/dea-2017-panw.inbound/objects/

The same with the OASIS client (pip install taxii2-client):

  from taxii2client.v21 import Server, as_pages
  server = Server("%[2]s/taxii2/", user="igci/feed", password="%[3]s")
  for collection in server.default.collections:
      print(collection.title, "reads" if collection.can_read else "", "writes" if collection.can_write else "")
      if collection.can_read:
          for page in as_pages(collection.get_objects, per_request=5):
              for o in page.get("objects", []):
                  print("   ", o["id"])

Ctrl-C ends it and removes everything.
`
