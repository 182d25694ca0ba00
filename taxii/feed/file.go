package feed

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/store"
	"comity/taxii"
)

// familyOf is the family of a format.
func familyOf(f *stixfeed.Format) Family {
	switch f.Ext {
	case "rpz":
		return RPZ
	case "rules", "tar.gz", "yar", "yar.zip", "sigma.zip", "snort.zip":
		return Rules
	case "decisions":
		return Bouncer
	}
	return List
}

// patience is how long a request waits for its feed to be brought up to date.
const patience = 2 * time.Second

// file is one file of a feed, as it was asked for.
type file struct {
	name     string // such as "ipv4.txt"
	digest   string // "md5" or "sha256" if that of the file is asked for; else ""
	format   *stixfeed.Format
	kinds    stixfeed.Kinds
	comments bool
	start, n int     // entries to skip, and entries to write; n is 0 for all
	since    *string // the cursor since which the changes are asked for; nil for the whole file
}

// parseFile reads the last segment of a path, and the query.
func parseFile(segment string, r *http.Request) (f file, err error) {
	f.name = segment
	for _, digest := range []string{"md5", "sha256"} {
		if name, ok := strings.CutSuffix(f.name, "."+digest); ok {
			f.name, f.digest = name, digest
			break
		}
	}
	var ok bool
	if f.format, f.kinds, ok = stixfeed.Find(f.name); !ok {
		return f, taxii.Errorf(taxii.NotFound, "there is no format for %q; the page of the feed lists its files", f.name)
	}
	if r.URL.RawQuery == "" {
		return f, nil
	}
	query := r.URL.Query()
	f.comments = query.Get("comments") == "1"
	if query.Has("since") {
		f.since = new(query.Get("since"))
	}
	for key, number := range map[string]*int{"start": &f.start, "n": &f.n} {
		if text := query.Get(key); text != "" {
			if *number, err = strconv.Atoi(text); err != nil || *number < 0 {
				return f, taxii.Errorf(taxii.Invalid, "%s: %q is no number of entries", key, text)
			}
		}
	}
	return f, f.checkSince()
}

// key is what decides the content of the file, beside the entries.
func (f *file) key() string {
	return f.name + "?" + strconv.FormatBool(f.comments) + "," + strconv.Itoa(f.start) + "," + strconv.Itoa(f.n)
}

// getFile answers with a file of a feed, or with its checksum.
func (h *handler) getFile(w *response, r *http.Request, c *caller) error {
	f, err := parseFile(c.path["file"], r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	a, done, err := h.read(ctx, w, c, familyOf(f.format))
	if err != nil {
		return err
	}
	defer done()
	if err := a.serves(f.format, f.kinds); err != nil {
		return err
	}
	if f.since != nil {
		return h.getChanges(w, r, c, a, &f)
	}
	header, version := w.Header(), a.fileVersion(&f, c.now)
	if r.Method == http.MethodGet {
		version = h.pin(a, c, r, &f, version)
	}
	encoding := ""
	if f.digest == "" && takesGzip(r) && !strings.HasSuffix(f.format.Ext, "zip") && !strings.HasSuffix(f.format.Ext, "gz") {
		encoding = "-gzip"
	}
	tag := `"` + version.tag + f.digest + encoding + `"`
	if version.unchanged(w, r, tag) {
		h.pulled(a, c, r, f.name, w.status, 0)
		return nil
	}
	if err := a.Deliver(f.name); err != nil {
		return err
	}
	header.Set("Content-Type", f.format.Media)
	if encoding != "" {
		header.Set("Content-Encoding", "gzip")
	}
	if f.digest == "" && f.isLarge(a) && r.ProtoAtLeast(1, 1) { // an older client could not tell that the file is cut off
		err = h.sendFile(w, r, a, c, &f, version, encoding != "")
		h.pulled(a, c, r, f.name, w.status, w.bytes)
		return err
	}
	body, err := h.render(r.Context(), a, c, &f, version, encoding != "")
	if err != nil {
		return err
	}
	a.Close() // before the client reads, which may take long
	if f.digest != "" {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	c.tell(header, body.result)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body.content))
	h.pulled(a, c, r, f.name, w.status, w.bytes)
	return nil
}

// maxKept is the number of entries up to which a file is made before it is sent, and kept. A
// larger one is sent while it is made: clients wait for its first byte no longer, and it takes no
// memory.
const maxKept = 20_000

// maxCut is the number of entries up to which a file that a limit cuts is kept too: all entries are
// read several times to find those that it has.
const maxCut = 150_000

// isLarge tells whether a file is sent while it is made.
func (f *file) isLarge(a *Answer) bool {
	n := a.Entries.countOf(f.kinds)
	if limit := f.format.Limit(a.Definition.Entries.Max); limit > 0 && n > limit {
		return limit > maxCut
	}
	return n > maxKept
}

// sendFile sends a file while it is made. What it lacks is told in the trailers. After an error
// the client must not take what it has for the file.
func (h *handler) sendFile(w *response, r *http.Request, a *Answer, c *caller, f *file, v fileVersion, pack bool) error {
	a.Close() // before the client reads, which may take long
	w.Header().Set("Trailer", entriesHeader+", "+leftOutHeader+", "+duplicateHeader)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	result, err := h.write(r.Context(), w, a, c, f, v, pack)
	if err == nil {
		c.tell(w.Header(), result)
	}
	return err
}

// The headers that tell how many entries a file has, how many it lacks by reason, and which
// indicators have rules that it lacks since another rule has their name or number.
const (
	entriesHeader   = "X-Feed-Entries"
	leftOutHeader   = "X-Feed-Left-Out"
	duplicateHeader = "X-Feed-Duplicate"
)

// tell tells the client what a file has and lacks, and keeps it for the operator.
func (c *caller) tell(header http.Header, result stixfeed.Result) {
	header.Set(entriesHeader, strconv.Itoa(result.Entries))
	c.leftOut = result.LeftOut
	for _, reason := range slices.Sorted(maps.Keys(c.leftOut)) {
		header.Add(leftOutHeader, fmt.Sprintf("%s=%d", reason, c.leftOut[reason]))
	}
	for _, id := range result.Duplicates {
		header.Add(duplicateHeader, string(id))
	}
}

// warnBefore is how long before its credentials expire a caller is told. Some products let
// everything pass from the first refusal on.
const warnBefore = 14 * 24 * time.Hour

// maxReading is how many files an account may read at once. A client may read slowly, and
// each part of a list that it asks for is a file of its own.
const maxReading = 8

// read opens the feed of the path, and counts one more file that the caller reads. done ends
// both. It is TooMany if that is one too many; the other errors are those of [Service.Open].
func (h *handler) read(ctx context.Context, w *response, c *caller, family Family) (a *Answer, done func(), err error) {
	leave, ok := h.readers.enter(c.Account, maxReading)
	if !ok {
		return nil, nil, taxii.Errorf(taxii.TooMany, "the account reads %d files already", maxReading)
	}
	defer func() {
		if a == nil { // there is an error or a panic
			leave()
		}
	}()
	if a, err = h.Open(ctx, c.Principal, c.path["feed"], family); err != nil {
		return nil, nil, err
	}
	c.feed = a.Definition.ID
	if !a.Expires.IsZero() && a.Expires.Sub(c.now) <= warnBefore {
		w.Header().Set("X-Feed-Credentials-Expire", a.Expires.UTC().Format(http.TimeFormat))
	}
	return a, func() { a.Close(); leave() }, nil
}

// readers counts the answers that each account reads. It is safe for concurrent use.
type readers struct {
	mu      sync.Mutex // guards reading
	reading map[string]int
}

func newReaders() readers { return readers{reading: map[string]int{}} }

// enter counts one more answer until done is called; ok is false if that is one too many.
func (r *readers) enter(account string, most int) (done func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reading[account] >= most {
		return nil, false
	}
	r.reading[account]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.reading[account]--; r.reading[account] == 0 {
			delete(r.reading, account)
		}
	}, true
}

// serves refuses formats and kinds that the feed does not have, and an empty list that must
// not be.
func (a *Answer) serves(f *stixfeed.Format, kinds stixfeed.Kinds) error {
	if kinds&a.Definition.kinds == 0 {
		return taxii.Errorf(taxii.NotFound, "the feed has no entries of that kind: entries.kinds leaves it out")
	}
	if err := a.Definition.allows(f); err != nil {
		return err
	}
	return a.checkEmpty()
}

// allows refuses a format that would have a tool do more than the feed is for.
func (d *Definition) allows(f *stixfeed.Format) error {
	switch {
	case f.Block && d.Use != "block":
		return taxii.Errorf(taxii.Forbidden, ".%s is a block list, and the feed is for %s", f.Ext, d.Use)
	case f.Subdomains && !d.Entries.Subdomains:
		return taxii.Errorf(taxii.Forbidden, ".%s lists block the names below a domain too, which this feed does not: see entries.subdomains", f.Ext)
	}
	return nil
}

// checkEmpty is Unavailable if the feed lists nothing and its file does not say that it may:
// a fault must not open a firewall. At the end of access a feed is empty in any case.
func (a *Answer) checkEmpty() error {
	if a.Open && a.Entries.Len() == 0 && !a.Definition.Entries.MayBeEmpty {
		return taxii.Errorf(taxii.Unavailable, "the feed lists nothing at present; an empty list is served only with entries.may_be_empty")
	}
	return nil
}

// fileVersion identifies the content of a file at one moment.
type fileVersion struct {
	tag      string
	modified time.Time // whole seconds
	settled  bool      // the second of the last change is over
	now      time.Time // for formats that say how long an entry is valid
	hold     time.Duration
}

// timedStep is how long the times of validity in a file stay as they are.
const timedStep = time.Minute

// fileVersion is the version of a file. Its date is the end of the second of the last
// change, so that it is later than the download of any earlier content, whether a client
// keeps the date or the time of its download. While that second is not over, the date is
// its beginning, and no request is answered by its date.
func (a *Answer) fileVersion(f *file, now time.Time) (v fileVersion) {
	modified := a.Version
	v.tag, v.now, v.hold = a.Tag+f.key(), now, a.Hold
	if f.format.Timed {
		began := now.Truncate(timedStep)
		v.now = began.Add(timedStep) // entries end too early rather than too late
		v.hold = a.hold(v.now)
		v.tag += strconv.FormatInt(began.Unix(), 36) + v.hold.String()
		if began.After(modified) {
			modified = began
		}
	}
	digest := sha256.Sum256([]byte(v.tag))
	v.tag = hex.EncodeToString(digest[:12])
	v.date(modified, now)
	return v
}

// date sets the date of a content that last changed at that time.
func (v *fileVersion) date(modified, now time.Time) {
	v.modified = modified
	if v.settled = modified.Unix() < now.Unix(); v.settled {
		v.modified = modified.Add(time.Second)
	}
}

// unchanged sets the headers of a version, and answers that the content is not modified if the
// client has it.
func (v *fileVersion) unchanged(w *response, r *http.Request, tag string) bool {
	header := w.Header()
	header.Set("ETag", tag)
	header.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	if v.isHeld(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	r.Header.Del("If-Modified-Since") // http.ServeContent would look at it with less care for the date
	return false
}

// isHeld tells whether the client has the version (RFC 9110 §13.2.2).
func (v *fileVersion) isHeld(r *http.Request, tag string) bool {
	if given := r.Header.Values("If-None-Match"); len(given) > 0 {
		for one := range strings.SplitSeq(strings.Join(given, ","), ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && v.settled && v.modified.Unix() <= since.Unix()
}

// takesGzip tells whether the client asked for gzip. Only those that name it get it: several
// products ask for any coding and then cannot read it.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, weighted := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if q, err := strconv.ParseFloat(weight, 64); strings.EqualFold(name, "gzip") {
			return !weighted || err == nil && q > 0
		}
	}
	return false
}

// body is the content of a file.
type body struct {
	content []byte
	result  stixfeed.Result
}

// render makes a file, its checksum or its compressed form, or takes it from the cache.
func (h *handler) render(ctx context.Context, a *Answer, c *caller, f *file, v fileVersion, pack bool) (*body, error) {
	key := bodyKey{a.key.feed, f.key() + " " + f.digest}
	if pack {
		key.file += " gzip"
	}
	return h.bodies.get(key, v.tag, a.current, func() (*body, error) {
		// Others may wait for the same file, so it does not end with the first request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		var out bytes.Buffer
		if f.digest == "" {
			result, err := h.write(ctx, &out, a, c, f, v, pack)
			return &body{out.Bytes(), result}, err
		}
		digest := md5.New()
		if f.digest == "sha256" {
			digest = sha256.New()
		}
		result, err := h.write(ctx, digest, a, c, f, v, false)
		fmt.Fprintf(&out, "%x\n", digest.Sum(nil))
		return &body{out.Bytes(), result}, err
	})
}

// write writes a file.
func (h *handler) write(ctx context.Context, w io.Writer, a *Answer, c *caller, f *file, v fileVersion, pack bool) (stixfeed.Result, error) {
	var failed error
	header := &stixfeed.Header{
		Feed: a.Definition.ID, Centre: c.policy.CentreName(), Version: a.Version, Now: v.now,
		URL:   h.urlOf(c.policy, a.Definition.ID) + f.name,
		Kinds: f.kinds & a.Definition.kinds, Subdomains: a.Definition.Entries.Subdomains, Comments: f.comments,
		MaxEntries: a.Definition.Entries.Max, Hold: v.hold, Object: a.object(ctx, &failed),
		Zone: a.zone(c.policy.Centre().ID),
	}
	out := w
	if pack {
		out, _ = gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	result, err := f.format.Write(out, header, f.entries(a))
	if z, ok := out.(*gzip.Writer); ok && err == nil {
		err = z.Close()
	}
	if err == nil && failed != nil {
		err = busy(failed)
	}
	return result, err
}

// object looks up the indicator of an entry, as it came. It sets failed if the store fails:
// a file must not lack an entry for that.
func (a *Answer) object(ctx context.Context, failed *error) func(stix.ID) ([]byte, bool) {
	return func(id stix.ID) ([]byte, bool) {
		for _, d := range a.pages {
			page, err := a.service.store.Scan(ctx, d.grant, store.Query{Match: taxii.Match{IDs: []string{string(id)}}, Limit: 1})
			if err != nil {
				*failed = err
				return nil, false
			}
			if page.Len() == 1 {
				return page.Object(0), true
			}
		}
		return nil, false
	}
}

// entries are those of the answer that the file is made of.
func (f *file) entries(a *Answer) iter.Seq[*stixfeed.Entry] {
	all := a.Entries.Values()
	if f.format.Details {
		all = a.Entries.All()
	}
	if a.Definition.Entries.Merge == "covered" {
		all = stixfeed.Prune(all, a.Definition.Entries.Subdomains)
	}
	if f.start == 0 && f.n == 0 {
		return all
	}
	return func(yield func(*stixfeed.Entry) bool) {
		i := 0
		for e := range all {
			if !f.kinds.Has(e.Kind) {
				continue
			}
			if i++; i <= f.start {
				continue
			}
			if f.n > 0 && i > f.start+f.n || !yield(e) {
				return
			}
		}
	}
}
