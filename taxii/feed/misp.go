package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// mispFeeds are the feeds that MISP reads. It is safe for concurrent use.
type mispFeeds struct {
	mu    sync.Mutex           // guards what follows
	feeds map[string]*mispFeed // by "org/id"
}

// get is the feed of that key. It forgets the feeds that are not in the directory.
func (m *mispFeeds) get(key string, d *exchange.Directory) *mispFeed {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.feeds, func(key string, _ *mispFeed) bool { return d.Feeds[key] == nil })
	if m.feeds[key] == nil {
		m.feeds[key] = &mispFeed{}
	}
	return m.feeds[key]
}

// mispFeed is a feed as MISP reads it.
type mispFeed struct {
	mu        sync.Mutex // guards what follows
	told      *told      // nil before it was read
	saved     [32]byte   // SHA-256 of the document that it was read from, or is
	version   time.Time  // of the answer for which it was read
	chain     *follow.Follower
	withdrawn bool // a withdrawal is to be heeded
	passed    bool // the chain had a withdrawal that the document does not know of yet
	writer    stixfeed.MISP
	tag       string    // of the answer that was taken in last
	made      time.Time // when
}

// mispFile is a file of a feed of MISP at one moment.
type mispFile struct {
	media   string
	state   string    // identifies the content
	changed time.Time // when the files of the feed last changed
	write   func(io.Writer) error
}

// remakeAfter is how long a feed that does not change stays as it is: then attributes that
// were removed long ago are forgotten.
const remakeAfter = time.Hour

// getMISP answers with a file of a feed of MISP: manifest.json, hashes.csv, or UUID.json for
// an event.
func (h *handler) getMISP(w *response, r *http.Request, c *caller) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	a, done, err := h.read(ctx, w, c, MISP)
	if err != nil {
		return err
	}
	defer done()
	if err := a.checkEmpty(); err != nil {
		return err
	}
	name := c.path["file"]
	file, err := h.misp(ctx, c, a, name)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(name + " " + file.state))
	version := fileVersion{tag: hex.EncodeToString(digest[:12])}
	version.date(file.changed, c.now)
	if version.unchanged(w, r, `"`+version.tag+`"`) {
		h.pulled(a, c, r, "misp/"+name, w.status, 0)
		return nil
	}
	if name != "manifest.json" { // which has no value
		if err := a.Deliver("misp/" + name); err != nil {
			return err
		}
	}
	a.Close() // before the client reads, which may take long
	w.Header().Set("Content-Type", file.media)
	switch {
	case a.Entries.Len() <= maxKept || !r.ProtoAtLeast(1, 1): // see getFile
		var out bytes.Buffer
		file.write(&out) // a buffer does not fail
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(out.Bytes()))
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusOK)
	default:
		err = file.write(w)
	}
	h.pulled(a, c, r, "misp/"+name, w.status, w.bytes)
	return err
}

// mispDocument is the name of the document of what MISP was told of a feed, by "org/id".
func mispDocument(key string) string { return "feed misp " + key }

// misp brings a feed of MISP up to date with an answer, which stays open: no record of its
// collections is withdrawn meanwhile. It returns the file of that name, or NotFound.
func (h *handler) misp(ctx context.Context, c *caller, a *Answer, name string) (file mispFile, err error) {
	snapshot, err := h.current.Snapshot(ctx)
	if err != nil {
		return file, err
	}
	key := a.key.feed
	definition, err := snapshot.Directory.Feed(key)
	if err != nil {
		return file, err
	}
	f := h.mispFeeds.get(key, snapshot.Directory)
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if err := f.read(ctx, h.store, key, definition.Added, a.Version); err != nil {
			return file, err
		}
		if err := f.chain.CatchUp(ctx, func(_ context.Context, entries []audit.Entry) error { f.heed(a, entries); return nil }); err != nil {
			return file, busy(err)
		}
		if !f.passed && f.tag == a.Tag && c.now.Sub(f.made) < remakeAfter {
			return f.file(name, a.Entries)
		}
		secret, err := h.secret("misp", definition, 0)
		if err != nil {
			return file, err
		}
		f.writer = stixfeed.MISP{Feed: a.Definition.ID, Centre: c.policy.CentreName(), OrgUUID: centreUUID(c.policy), Tag: "tlp:" + a.tlp().String(), Key: secret}
		if err := f.update(ctx, h.Service, key, a, c.now); err == nil {
			return f.file(name, a.Entries)
		} else if err != errMoved {
			return file, err
		}
	}
}

// file is the file of that name. MISP was told of the entries. The caller holds mu.
func (f *mispFeed) file(name string, entries *EntryList) (file mispFile, err error) {
	m, t, events := f.writer, f.told, f.told.events()
	file = mispFile{media: "application/json", state: fmt.Sprintf("%q %q %s %s %d", m.Feed, m.Centre, m.OrgUUID, m.Tag, t.Changed.UnixMicro()), changed: t.Changed}
	switch name {
	case "manifest.json":
		file.write = func(w io.Writer) error { return m.WriteManifest(w, events) }
	case "hashes.csv":
		file.media = "text/csv; charset=utf-8"
		file.write = func(w io.Writer) error { return m.WriteHashes(w, entries.All()) }
	default:
		i := slices.IndexFunc(events, func(e stixfeed.MISPEvent) bool { return m.EventUUID(e.Day)+".json" == name })
		if i < 0 {
			return file, taxii.Errorf(taxii.NotFound, "the feed has no such event; misp/manifest.json lists them")
		}
		events[i].Attributes = t.attributes(&m, events[i].Day, entries)
		file.write = func(w io.Writer) error { return m.WriteEvent(w, &events[i]) }
	}
	return file, nil
}

// read reads the document of the feed of a key, which was added at that time. It does so for each
// version of the feed, since another process may have told more meanwhile.
func (f *mispFeed) read(ctx context.Context, s Store, key string, added, version time.Time) error {
	known := f.told != nil && f.told.Added.Equal(added)
	if known && f.version.Equal(version) {
		return nil
	}
	content, err := s.Document(ctx, mispDocument(key))
	if err != nil {
		return err
	}
	saved := sha256.Sum256(content)
	if known && saved == f.saved {
		f.version = version
		return nil
	}
	t, err := decode[told](content)
	if err != nil {
		return fmt.Errorf("read document %s: %w", mispDocument(key), err)
	}
	if !t.Added.Equal(added) { // there is none, or it is that of a feed before this one
		head, err := s.ChainHead(ctx)
		if err != nil {
			return err
		}
		t = told{Added: added, Changed: added, Position: head.Number, Days: map[string]*toldDay{}}
	}
	f.told, f.saved, f.version = &t, saved, version
	f.chain, f.withdrawn, f.passed, f.tag = follow.New(s, t.Position), false, false, ""
	return nil
}

// heed looks for withdrawals in entries of the audit chain. A withdrawal of records that the feed
// could not list must not show. If the index of the collection has not followed the entry, nobody
// knows, and it is heeded. So the document gets a position behind each entry that was looked at.
func (f *mispFeed) heed(a *Answer, entries []audit.Entry) {
	indexes := map[string]withdrawals{}
	for _, d := range a.pages {
		indexes[d.grant.ID().String()] = d.withdrawals
	}
	archived := entries[0].Number != f.chain.Position()+1
	f.withdrawn = f.withdrawn || archived
	for _, e := range entries {
		if e.Act == audit.Withdrawal && erases(&e) && e.From != nil && slices.Contains(f.told.Collections, e.Collection) {
			x, indexed := indexes[e.Collection]
			f.withdrawn = f.withdrawn || !indexed || e.Number <= x.Followed || e.Number <= x.Last
			f.passed = true
		}
	}
	f.passed = f.passed || f.withdrawn
}

// update makes the events from an answer, and writes the document if it has changed. It is
// errMoved if another process has written it meanwhile.
func (f *mispFeed) update(ctx context.Context, s *Service, key string, a *Answer, now time.Time) error {
	changed := f.told.update(&f.writer, a.Entries.All(), now, f.withdrawn)
	if changed || f.passed {
		f.told.Position, f.told.Collections = f.chain.Position(), nil
		for _, d := range a.pages {
			f.told.Collections = append(f.told.Collections, d.grant.ID().String())
		}
		content, err := json.Marshal(f.told)
		if err == nil {
			err = s.amend(ctx, key, mispDocument(key), func(old []byte) ([]byte, error) {
				if sha256.Sum256(old) != f.saved {
					return nil, errMoved
				}
				return content, nil
			})
		}
		if err != nil {
			f.told = nil // it is not what the store has
			return err
		}
		f.saved = sha256.Sum256(content)
	}
	f.tag, f.made, f.withdrawn, f.passed = a.Tag, now, false, false
	return nil
}

// centreUUID is the UUID of the centre's identity.
func centreUUID(p *exchange.Policy) string {
	centre := p.Centre()
	if o := p.Organisation(centre.ID); o != nil && o.Identity != "" {
		return strings.TrimPrefix(o.Identity, "identity--")
	}
	return uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte(centre.Namespace)), []byte(centre.ID)).String()
}

// tlp is the highest label that an entry of the answer can have.
func (a *Answer) tlp() (highest stix.TLP) {
	for _, d := range a.pages {
		view := d.grant.View()
		if highest = max(highest, view.Ceiling); view.Own {
			highest = stix.Red
		}
	}
	if most := a.Definition.Query.TLPMax; most != nil {
		highest = min(highest, *most)
	}
	return highest
}
