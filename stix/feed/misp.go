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

// MISP writes a feed of MISP: a manifest of events, a list of hashes, and the events.
// There is an event for each UTC day on which the validity of entries begins, so that a
// change of an entry changes one event. MISP fetches an event again when its timestamp
// grew, and deletes nothing by itself: [MISP.Removed] does.
//
// Identifiers are computed with a secret key, so that they do not tell a value that
// left.
type MISP struct {
	*Header
	Key     []byte
	OrgUUID string   // of the organisation Header.Centre
	Tags    []string // of each event, such as "tlp:amber"
	Removed []Tombstone
}

// Tombstone is an attribute that left an event. It does not have the value.
type Tombstone struct {
	Day  time.Time // of the event
	UUID string    // of the attribute
	At   time.Time // when it left
}

// Tombstone is that of an entry that leaves at a moment.
func (m *MISP) Tombstone(e *Entry, at time.Time) Tombstone {
	return Tombstone{dayOf(e), m.attributeUUID(e), at}
}

func dayOf(e *Entry) time.Time { return e.From.UTC().Truncate(24 * time.Hour) }

func (m *MISP) attributeUUID(e *Entry) string {
	return m.uuid("attribute", dayOf(e).Format(time.DateOnly), e.Kind.String(), e.Text)
}

// EventUUID is the identifier of the event of a day.
func (m *MISP) EventUUID(day time.Time) string { return m.uuid("event", day.Format(time.DateOnly)) }

func (m *MISP) uuid(parts ...string) string {
	mac := hmac.New(sha256.New, m.Key)
	for _, part := range append(parts, m.Feed) {
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

// attributes yields the entries that can be attributes.
func (m *MISP) attributes(entries iter.Seq[*Entry]) iter.Seq2[*Entry, mispType] {
	return func(yield func(*Entry, mispType) bool) {
		for e := range entries {
			typ, ok := mispTypes[e.Kind]
			if ok && m.Kinds.Has(e.Kind) && !isWildcardValue(e.Value) && !yield(e, typ) {
				return
			}
		}
	}
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

func (m *MISP) summary(day, changed time.Time) mispSummary {
	s := mispSummary{
		Info: m.Feed + " " + day.Format(time.DateOnly), Orgc: mispOrg{m.Centre, m.OrgUUID}, Tag: []mispTag{},
		Date: day.Format(time.DateOnly), Timestamp: unix(changed), Analysis: mispFinished, ThreatLevel: mispUndefined,
	}
	for _, tag := range m.Tags {
		s.Tag = append(s.Tag, mispTag{tag})
	}
	return s
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// days finds the days that have an event, each with the time of its last change.
func (m *MISP) days(entries iter.Seq[*Entry]) map[time.Time]time.Time {
	days := map[time.Time]time.Time{}
	change := func(day, at time.Time) {
		if last, ok := days[day]; !ok || at.After(last) {
			days[day] = at
		}
	}
	for e := range m.attributes(entries) {
		change(dayOf(e), e.changed())
	}
	for _, t := range m.Removed {
		change(t.Day, t.At)
	}
	return days
}

// WriteManifest writes manifest.json.
func (m *MISP) WriteManifest(w io.Writer, entries iter.Seq[*Entry]) error {
	manifest := map[string]mispSummary{}
	for day, changed := range m.days(entries) {
		manifest[m.EventUUID(day)] = m.summary(day, changed)
	}
	return m.writeJSON(w, manifest)
}

// WriteHashes writes hashes.csv: the MD5 hash of each value, and the event that has it.
func (m *MISP) WriteHashes(w io.Writer, entries iter.Seq[*Entry]) error {
	var b []byte
	for e := range m.attributes(entries) {
		sum := md5.Sum([]byte(e.Text))
		b = append(hex.AppendEncode(b, sum[:]), ","+m.EventUUID(dayOf(e))+"\n"...)
		if len(b) >= flushAt {
			if err := m.write(w, b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return m.write(w, b)
}

// WriteEvent writes the event of that identifier, and tells whether there is one.
func (m *MISP) WriteEvent(w io.Writer, id string, entries iter.Seq[*Entry]) (found bool, err error) {
	for day, changed := range m.days(entries) {
		if m.EventUUID(day) == id {
			return true, m.writeJSON(w, map[string]mispEvent{"Event": m.event(day, changed, entries)})
		}
	}
	return false, nil
}

func (m *MISP) event(day, changed time.Time, entries iter.Seq[*Entry]) mispEvent {
	event := mispEvent{
		mispSummary: m.summary(day, changed), UUID: m.EventUUID(day), Published: true, PublishTimestamp: unix(changed), Attribute: []mispAttribute{},
	}
	for e, typ := range m.attributes(entries) {
		if dayOf(e).Equal(day) {
			event.Attribute = append(event.Attribute, mispAttribute{
				UUID: m.attributeUUID(e), Type: typ.name, Category: typ.category, Value: e.Text, ToIDS: true, Timestamp: unix(e.changed()), Comment: joinIDs(e.IDs),
			})
		}
	}
	for _, t := range m.Removed {
		if t.Day.Equal(day) {
			event.Attribute = append(event.Attribute, mispAttribute{
				UUID: t.UUID, Type: "text", Category: "Other", Value: "removed", Timestamp: unix(t.At), Deleted: true,
			})
		}
	}
	return event
}

func (m *MISP) writeJSON(w io.Writer, v any) error {
	return m.write(w, append(appendJSON(nil, v), '\n'))
}

func (m *MISP) write(w io.Writer, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write feed %s: %w", m.Feed, err)
	}
	return nil
}
