package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// columns are the columns of [CSV].
var columns = []string{
	"timestamp", "severity", "ip", "port", "host", "url", "asn", "geo", "tag", "infection", "sector",
	"type", "confidence", "sources", "first_seen", "status", "tlp", "report", "exported",
}

// CSV writes rows for tools that read the reports of Shadowserver, a head and then
// a line for each event: timestamp, severity, ip, port, host, url, asn, geo, tag,
// infection and sector as there, times in UTC. The last sighting is the timestamp,
// the family of malware both tag and infection, and port is empty. Beyond these
// are type (of IntelMQ's classification), confidence from 0 to 100, sources (a
// count), first_seen, status, tlp, report (its numbers, parted by spaces) and
// exported, which is now.
//
// An event is an address with its domain. A finding that has URLs is an event for
// each of them, with address and domain where there is but one; without URLs, one
// of several addresses or domains is an event for each value. Values are not
// defanged. A cell that a spreadsheet might take for a formula has an apostrophe
// before it. The error is the writer's.
func CSV(w io.Writer, rows []Row, now time.Time) error {
	const layout = "2006-01-02 15:04:05"
	out := csv.NewWriter(w)
	lines := [][]string{columns}
	for _, row := range rows {
		_, typ := classify(row.Kind)
		families := strings.Join(row.Families, ";")
		for _, e := range events(row) {
			lines = append(lines, []string{
				format(row.Last, layout), string(row.Severity), e.ip, "", e.host, e.url, numberOrEmpty(row.AS), row.Country, families, families, sector(row),
				typ, strconv.Itoa(row.Confidence), numberOrEmpty(row.Sources), format(row.First, layout), row.Status, row.Label.String(), strings.Join(row.Numbers, " "), format(now, layout),
			})
		}
	}
	for _, line := range lines {
		for i, cell := range line {
			line[i] = stix.EscapeFormula(cell)
		}
	}
	if err := out.WriteAll(lines); err != nil {
		return fmt.Errorf("write feed: %w", err)
	}
	return nil
}

// event is one line of a feed. An unknown value is empty.
type event struct{ ip, host, url string }

// events are the events of a finding: see [CSV].
func events(row Row) []event {
	var ips, hosts, urls []string
	for _, v := range row.Values {
		switch v.Type {
		case "ipv4-addr", "ipv6-addr":
			ips = append(ips, v.Text)
		case "domain-name":
			hosts = append(hosts, v.Text)
		case "url":
			urls = append(urls, v.Text)
		}
	}
	var base event
	several := len(ips) > 1 || len(hosts) > 1
	if len(ips) == 1 {
		base.ip = ips[0]
	}
	if len(hosts) == 1 {
		base.host = hosts[0]
	}
	var all []event
	for _, url := range urls {
		e := base
		e.url = url
		switch host := (stix.Value{Type: "url", Text: url}).Host(); host.Type {
		case "domain-name":
			e.host = host.Text
		case "ipv4-addr", "ipv6-addr":
			e.ip = host.Text
		}
		all = append(all, e)
	}
	switch {
	case several:
		for _, ip := range ips {
			all = append(all, event{ip: ip})
		}
		for _, host := range hosts {
			all = append(all, event{host: host})
		}
	case len(urls) == 0 && base != event{}:
		all = append(all, base)
	}
	return all
}

// classify is the classification of a kind in IntelMQ 3, that is in the Reference
// Security Incident Taxonomy.
func classify(kind fusion.Kind) (taxonomy, typ string) {
	switch kind {
	case fusion.C2:
		return "malicious-code", "c2-server"
	case fusion.Website:
		return "intrusions", "application-compromise"
	}
	return "other", "undetermined"
}

func sector(row Row) string {
	if row.Government {
		return "Government"
	}
	return ""
}

// numberOrEmpty is n, or "" for 0.
func numberOrEmpty(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// feedEvent is an event with the names of IntelMQ's data format.
type feedEvent struct {
	Seen       string `json:"time.source,omitempty"`
	Exported   string `json:"time.observation"`
	IP         string `json:"source.ip,omitempty"`
	Host       string `json:"source.fqdn,omitempty"`
	URL        string `json:"source.url,omitempty"`
	AS         int    `json:"source.asn,omitempty"`
	Country    string `json:"source.geolocation.cc,omitempty"`
	Taxonomy   string `json:"classification.taxonomy"`
	Type       string `json:"classification.type"`
	Identifier string `json:"classification.identifier,omitempty"`
	Family     string `json:"malware.name,omitempty"`
	Accuracy   int    `json:"feed.accuracy"`
	Code       string `json:"feed.code,omitempty"`

	Families []string `json:"extra.families,omitempty"`
	First    string   `json:"extra.first_seen,omitempty"`
	Sources  int      `json:"extra.sources,omitempty"`
	Sector   string   `json:"extra.sector,omitempty"`
	Severity string   `json:"extra.severity,omitempty"`
	Status   string   `json:"extra.status,omitempty"`
	TLP      string   `json:"extra.tlp"`
	Reports  string   `json:"extra.car,omitempty"`
	Finding  string   `json:"extra.finding,omitempty"`
}

// JSONLines writes rows for IntelMQ, one event in a line: the events of [CSV] with
// the keys of IntelMQ's data format. Times are in UTC and in seconds, as it takes
// them; now is time.observation, and the last sighting, time.source. malware.name
// is the first family in lower case; where there are several, all are in
// extra.families. feed.accuracy is the confidence. code is feed.code, which says
// only whose feed this is. There is no feed.name, which would be the source. Values
// are not defanged. The error is the writer's.
func JSONLines(w io.Writer, rows []Row, code string, now time.Time) error {
	const layout = "2006-01-02T15:04:05+00:00"
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, row := range rows {
		e := feedEvent{
			Seen: format(row.Last, layout), Exported: format(now, layout), AS: row.AS, Country: row.Country,
			Accuracy: row.Confidence, Code: code, First: format(row.First, layout), Sources: row.Sources, Sector: sector(row),
			Severity: string(row.Severity), Status: row.Status, TLP: row.Label.String(), Reports: strings.Join(row.Numbers, " "), Finding: string(row.Finding),
		}
		e.Taxonomy, e.Type = classify(row.Kind)
		if row.Kind == fusion.Website {
			e.Identifier = string(row.Kind)
		}
		if len(row.Families) > 0 {
			e.Family = strings.ToLower(row.Families[0])
		}
		if len(row.Families) > 1 {
			e.Families = row.Families
		}
		for _, at := range events(row) {
			e.IP, e.Host, e.URL = at.ip, at.host, at.url
			if err := out.Encode(e); err != nil {
				return fmt.Errorf("write feed: %w", err)
			}
		}
	}
	return nil
}
