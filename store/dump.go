package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// DumpItem is a part of all that a store keeps, in a form that every engine reads and
// writes. One field is set. A dump has the items in the order of the fields, and the items
// of one field in the order that the field says. Equal stores have equal dumps.
type DumpItem struct {
	Begin       *DumpBegin       `json:"begin,omitempty"`
	Directory   *DumpRecord      `json:"directory,omitempty"`  // by name: see ReadDirectory
	Document    *DumpRecord      `json:"document,omitempty"`   // by name
	Collection  *DumpCollection  `json:"collection,omitempty"` // by id; its objects follow
	Object      *DumpObject      `json:"object,omitempty"`     // by date
	Push        *DumpPush        `json:"push,omitempty"`       // by time of the request, then by id
	Link        *DumpLink        `json:"link,omitempty"`       // by number
	Content     *DumpBlocked     `json:"blocked_content,omitempty"`
	Identity    *DumpBlocked     `json:"blocked_identity,omitempty"`
	Quarantined *DumpQuarantined `json:"quarantined,omitempty"` // by number
	Quota       *DumpQuota       `json:"quota,omitempty"`       // by agreement, organisation and day
	End         *DumpEnd         `json:"end,omitempty"`
}

// DumpFormat is the number of the format of a dump. ReadDump refuses others.
const DumpFormat = 1

// DumpBegin begins a dump.
type DumpBegin struct {
	Format     int    `json:"comity_dump"`
	Generation uint64 `json:"generation"` // of the directory
	Head       uint64 `json:"head"`       // of the audit chain
	Hash       []byte `json:"hash"`
	Open       bool   `json:"open,omitempty"`
	Seal       string `json:"seal,omitempty"`       // signed checkpoint of the last link that was archived
	Quarantine uint64 `json:"quarantine,omitempty"` // the last number that was given there
}

// ChainHead is the head of the audit chain.
func (b *DumpBegin) ChainHead() (head audit.Head, err error) {
	if len(b.Hash) != len(head.Hash) {
		return head, errors.New("the hash of the head of the chain is cut off")
	}
	return audit.Head{Number: b.Head, Hash: [32]byte(b.Hash), Open: b.Open}, nil
}

// ReadSeal is the seal of the audit chain; zero if nothing was archived.
func (b *DumpBegin) ReadSeal() (seal audit.SignedCheckpoint, err error) {
	if b.Seal == "" {
		return seal, nil
	}
	if seal, err = audit.ParseCheckpoint(b.Seal); err != nil {
		err = &taxii.Error{Code: taxii.Invalid, Msg: "the dump has a seal that cannot be read", Err: err}
	}
	return seal, err
}

// DumpRecord is a record of the directory, or a document.
type DumpRecord struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// DumpCollection is a collection without its objects.
type DumpCollection struct {
	ID   uuid.UUID `json:"id"`
	Last Date      `json:"last"` // the last date that was given
	Past uint64    `json:"past"` // see State
}

// DumpObject is one version of an object in the collection before it.
type DumpObject struct {
	Added    Date              `json:"added"`
	Handling exchange.Handling `json:"handling"`
	Object   []byte            `json:"object"`
}

// DumpPush is the status of a push.
type DumpPush struct {
	ID         uuid.UUID `json:"id"`
	Collection uuid.UUID `json:"collection"`
	Account    string    `json:"account"`
	Requested  time.Time `json:"requested"`
	Successes  int       `json:"successes"`
	Failures   int       `json:"failures"`
	Stored     int       `json:"stored"`
	Complete   bool      `json:"complete"`
	Parts      [][]byte  `json:"parts"` // outcomes as OutcomeCodec packs them
}

// Status is the head of the status.
func (p *DumpPush) Status() Status {
	return Status{Submission{ID: p.ID, Account: p.Account, Collection: p.Collection, Requested: p.Requested}, Counts{p.Successes, p.Failures, p.Stored}, len(p.Parts)}
}

// NewDumpPush is the inverse of Status.
func NewDumpPush(s Status, complete bool, parts [][]byte) *DumpPush {
	return &DumpPush{s.ID, s.Collection, s.Account, s.Requested.UTC(), s.Successes, s.Failures, s.Stored, complete, parts}
}

// DumpLink is a link of the audit chain.
type DumpLink struct {
	Number uint64 `json:"number"`
	Hash   []byte `json:"hash"`
	Body   []byte `json:"body"`
}

// Link is the link, with its entry.
func (l *DumpLink) Link() (link audit.Link, e audit.Entry, err error) {
	if len(l.Hash) != len(link.Hash) {
		return link, e, fmt.Errorf("the hash of link %d is cut off", l.Number)
	}
	link = audit.Link{Number: l.Number, Hash: [32]byte(l.Hash), Body: l.Body}
	e, err = link.Entry()
	e.Number = link.Number
	return link, e, err
}

// DumpBlocked is blocked content of an origin, by BlockKey and reason; or an identity whose
// content is blocked, by identity and reason.
type DumpBlocked struct {
	Key      []byte `json:"key,omitempty"`
	Identity string `json:"identity,omitempty"`
	Reason   string `json:"reason"`
	Origin   string `json:"origin,omitempty"`
}

// DumpQuarantined is an object in quarantine.
type DumpQuarantined struct {
	Number uint64 `json:"number"`
	Note   []byte `json:"note"`
	Object []byte `json:"object"`
}

// DumpQuota is the number of pushes that an organisation has begun on a day.
type DumpQuota struct {
	Agreement string `json:"agreement"`
	Org       string `json:"org"`
	Day       string `json:"day"` // yyyymmdd
	Pushes    int64  `json:"pushes"`
}

// DumpEnd ends a dump.
type DumpEnd struct {
	Items int `json:"items"` // before this one
}

// Dumper yields all that a store keeps, as of one moment.
type Dumper interface {
	// Dump calls f with each item but the end. The item is valid until f returns.
	Dump(ctx context.Context, f func(*DumpItem) error) error
}

// Loader fills an empty store.
type Loader interface {
	// Load adds all items of a dump. An error that they yield is returned as it is. It
	// returns Conflict if the store is not empty. After another error a part of the dump
	// may be there, but no directory.
	Load(ctx context.Context, items iter.Seq2[*DumpItem, error]) error
}

// Items yields the items of a dump as it is made, with its end.
func Items(ctx context.Context, from Dumper) iter.Seq2[*DumpItem, error] {
	return func(yield func(*DumpItem, error) bool) {
		n := 0
		stopped := errors.New("stopped")
		err := from.Dump(ctx, func(item *DumpItem) error {
			n++
			if !yield(item, nil) {
				return stopped
			}
			return nil
		})
		switch {
		case err == nil:
			yield(&DumpItem{End: &DumpEnd{n}}, nil)
		case !errors.Is(err, stopped):
			yield(nil, err)
		}
	}
}

// WriteDump writes a dump as lines of JSON, compressed with zstd, and returns its size.
func WriteDump(ctx context.Context, w io.Writer, from Dumper) (int64, error) {
	out := &countingWriter{w: w}
	zip, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	lines := json.NewEncoder(zip)
	for item, err := range Items(ctx, from) {
		if err == nil {
			err = lines.Encode(item)
		}
		if err != nil {
			return out.n, errors.Join(err, zip.Close())
		}
	}
	return out.n, zip.Close()
}

// countingWriter counts what is written to w.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// dumpMagic begins every zstd frame.
const dumpMagic = "\x28\xb5\x2f\xfd"

// IsDump tells whether a file is a dump. It reads nothing beyond the buffer of r.
func IsDump(r *bufio.Reader) bool {
	magic, err := r.Peek(len(dumpMagic))
	return err == nil && string(magic) == dumpMagic
}

// ReadDump yields the items of what WriteDump wrote. An error is the last element: Invalid
// if it is no dump, is cut off or of another format.
func ReadDump(r io.Reader) iter.Seq2[*DumpItem, error] {
	return func(yield func(*DumpItem, error) bool) {
		invalid := func(text string, err error) {
			yield(nil, &taxii.Error{Code: taxii.Invalid, Msg: text, Err: err})
		}
		unzip, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			invalid("this is no dump", err)
			return
		}
		defer unzip.Close()
		lines := json.NewDecoder(unzip)
		for n := 0; ; n++ {
			item := &DumpItem{}
			switch err := lines.Decode(item); {
			case err != nil:
				invalid("the dump is damaged or cut off", err)
				return
			case n == 0 && (item.Begin == nil || item.Begin.Format != DumpFormat):
				invalid("this is no dump, or one of another version of comity", nil)
				return
			case item.End != nil && item.End.Items != n:
				invalid("the dump lacks items", nil)
				return
			}
			if !yield(item, nil) || item.End != nil {
				return
			}
		}
	}
}
