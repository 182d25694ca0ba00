package feed

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// MISP writes the files of a feed of MISP: a manifest of events, a list of hashes, and the
// events. There is an event for each UTC day on which the validity of entries begins, so
// that a change of an entry changes one event. MISP fetches an event again when its
// timestamp grew. It deletes no attribute because it is absent, only one that the event
// names as deleted.
type MISP struct {
	Feed    string // the name of the feed
	Centre  string // the name of the centre that makes it
	OrgUUID string // of the centre
	Tag     string // of each event, such as "tlp:amber"

	// Key makes the identifiers, so that they do not tell a value that left.
	Key []byte
}

// MISPEvent is an event of MISP.
type MISPEvent struct {
	Day        time.Time
	Changed    time.Time // whole seconds
	Attributes iter.Seq[MISPAttribute]
}

// MISPAttribute is an attribute of an event.
type MISPAttribute struct {
	UUID    string
	Entry   *Entry    // nil for an attribute that was deleted
	Changed time.Time // whole seconds
}

// Comment is the comment of the attribute of an entry: the ids of its indicators.
func (*MISP) Comment(e *Entry) string { return joinIDs(e.IDs) }

// DayOf is the day of the event that has an entry.
func (*MISP) DayOf(e *Entry) time.Time { return e.From.UTC().Truncate(24 * time.Hour) }

// EventUUID is the identifier of the event of a day.
func (m *MISP) EventUUID(day time.Time) string { return m.uuid("event", day.Format(time.DateOnly)) }

// AttributeUUID is the identifier of the attribute of an entry; ok is false if MISP has no
// attribute for it.
func (m *MISP) AttributeUUID(e *Entry) (id string, ok bool) {
	if !isAttribute(e) {
		return "", false
	}
	return m.uuid("attribute", m.DayOf(e).Format(time.DateOnly), e.Kind.String(), e.Text), true
}

// isAttribute tells whether MISP has an attribute for an entry.
func isAttribute(e *Entry) bool {
	_, ok := mispTypes[e.Kind]
	return ok && !isWildcardValue(e.Value)
}

func (m *MISP) uuid(parts ...string) string {
	mac := hmac.New(sha256.New, m.Key)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d %s", len(part), part)
	}
	id := uuid.UUID(mac.Sum(nil)[:16])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4, RFC 9562
	return id.String()
}

// mispType is the type of an attribute, and a category that has the type.
type mispType struct{ name, category string }

var mispTypes = map[Kind]mispType{
	IPv4: {"ip-dst", "Network activity"}, IPv6: {"ip-dst", "Network activity"}, Domain: {"domain", "Network activity"}, URL: {"url", "Network activity"},
	Email: {"email-src", "Payload delivery"}, MAC: {"mac-address", "Network activity"}, ASN: {"AS", "Network activity"},
	MD5: {"md5", "Payload delivery"}, SHA1: {"sha1", "Payload delivery"}, SHA256: {"sha256", "Payload delivery"}, SHA512: {"sha512", "Payload delivery"},
	CertMD5: {"x509-fingerprint-md5", "Network activity"}, CertSHA1: {"x509-fingerprint-sha1", "Network activity"}, CertSHA256: {"x509-fingerprint-sha256", "Network activity"},
	YARA: {"yara", "Payload delivery"}, Sigma: {"sigma", "Payload delivery"}, Snort: {"snort", "Network activity"},
}

type mispOrg struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
}

type mispTag struct {
	Name string `json:"name"`
}

// mispSummary is an event in the manifest.
type mispSummary struct {
	Info        string    `json:"info"`
	Orgc        mispOrg   `json:"Orgc"`
	Tag         []mispTag `json:"Tag"`
	Date        string    `json:"date"`
	Timestamp   string    `json:"timestamp"`
	Analysis    string    `json:"analysis"`
	ThreatLevel string    `json:"threat_level_id"`
}

type mispEvent struct {
	mispSummary
	UUID             string          `json:"uuid"`
	Published        bool            `json:"published"`
	PublishTimestamp string          `json:"publish_timestamp"`
	Attribute        []mispAttribute `json:"Attribute"`
}

type mispAttribute struct {
	UUID      string `json:"uuid"`
	Type      string `json:"type"`
	Category  string `json:"category"`
	Value     string `json:"value"`
	ToIDS     bool   `json:"to_ids"`
	Timestamp string `json:"timestamp"`
	Comment   string `json:"comment"`
	Deleted   bool   `json:"deleted"`
}

// The event is finished, and its threat level undefined.
const (
	mispFinished  = "2"
	mispUndefined = "4"
)

func (m *MISP) summary(e *MISPEvent) mispSummary {
	date := e.Day.Format(time.DateOnly)
	return mispSummary{
		Info: m.Feed + " " + date, Orgc: mispOrg{m.Centre, m.OrgUUID}, Tag: []mispTag{{m.Tag}},
		Date: date, Timestamp: unix(e.Changed), Analysis: mispFinished, ThreatLevel: mispUndefined,
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// WriteManifest writes manifest.json.
func (m *MISP) WriteManifest(w io.Writer, events []MISPEvent) error {
	manifest := map[string]mispSummary{}
	for i := range events {
		manifest[m.EventUUID(events[i].Day)] = m.summary(&events[i])
	}
	return m.write(w, append(appendJSON(nil, manifest), '\n'))
}

// WriteHashes writes hashes.csv: the MD5 hash of each value, and the event that has it.
func (m *MISP) WriteHashes(w io.Writer, entries iter.Seq[*Entry]) error {
	var b []byte
	events := map[time.Time]string{}
	for e := range entries {
		if !isAttribute(e) {
			continue
		}
		day := m.DayOf(e)
		if events[day] == "" {
			events[day] = m.EventUUID(day)
		}
		sum := md5.Sum([]byte(e.Text))
		if b = append(hex.AppendEncode(b, sum[:]), ","+events[day]+"\n"...); len(b) >= flushAt {
			if err := m.write(w, b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return m.write(w, b)
}

// WriteEvent writes the file of an event.
func (m *MISP) WriteEvent(w io.Writer, e *MISPEvent) error {
	event := mispEvent{
		mispSummary: m.summary(e), UUID: m.EventUUID(e.Day), Published: true, PublishTimestamp: unix(e.Changed), Attribute: []mispAttribute{},
	}
	const end = "]}}"
	b, separator := appendJSON(nil, map[string]mispEvent{"Event": event}), ""
	b = b[:len(b)-len(end)]
	for a := range e.Attributes {
		attribute := mispAttribute{UUID: a.UUID, Type: "text", Category: "Other", Value: "removed", Timestamp: unix(a.Changed), Deleted: true}
		if a.Entry != nil {
			typ := mispTypes[a.Entry.Kind]
			attribute = mispAttribute{UUID: a.UUID, Type: typ.name, Category: typ.category, Value: a.Entry.Text, ToIDS: true, Timestamp: unix(a.Changed), Comment: m.Comment(a.Entry)}
		}
		if b = appendJSON(append(b, separator...), attribute); len(b) >= flushAt {
			if err := m.write(w, b); err != nil {
				return err
			}
			b = b[:0]
		}
		separator = ","
	}
	return m.write(w, append(b, end+"\n"...))
}

func (m *MISP) write(w io.Writer, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write feed %s: %w", m.Feed, err)
	}
	return nil
}
