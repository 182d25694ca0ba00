package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/feed"
)

// The feed of the demonstration: the addresses of Cambodia's servers, for a firewall.
const (
	demoFirewall = "ncb-kh/firewall"
	demoFeed     = "/" + demoCentre + "/x-feeds/c2/ipv4.txt"
)

// feedFile is the feed file. %s are the reserved networks that hold the addresses of the
// operation.
const feedFile = `format = "feed/1"
id = "c2"
account = "` + demoFirewall + `"
use = "block"
collections = ["` + demoOperation + `.car.kh"]
allow_reserved = %s

[query]
types = ["malicious-activity"]

[entries]
kinds = ["ipv4"]
may_be_empty = true
`

// addFeed adds the feed of Cambodia's servers and the account that reads it.
func (p *play) addFeed(operation admin.File) (err error) {
	text, problems := agreement.Parse(operation.Name, []byte(operation.Source))
	if err := problems.Err(); err != nil {
		return err
	}
	reserved, err := json.Marshal(text.Fusion.AllowReserved)
	if err != nil {
		return err
	}
	if p.firewall, err = p.addService(demoFirewall, "block"); err != nil {
		return err
	}
	_, err = call[feed.Page](p.shell, "feed/add", admin.FeedFile{Name: "c2.toml", Source: fmt.Sprintf(feedFile, reserved)})
	return err
}

// listed counts the addresses that the firewall gets.
func (p *play) listed() (int, error) {
	r, err := http.NewRequestWithContext(p.ctx, http.MethodGet, p.url+demoFeed, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+p.firewall)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	list, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return strings.Count(string(list), "\n"), err
}
