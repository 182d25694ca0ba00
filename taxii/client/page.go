package client

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cespare/xxhash/v2"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/taxii"
)

// Page is one page of a list. It and its bytes are valid until the iteration goes on.
type Page struct {
	// Objects are the objects as the server spelled them, without whitespace between
	// tokens.
	Objects [][]byte
	// Faults tell which elements of the page are missing in Objects, since they are no
	// I-JSON or larger than [stix.MaxObject]. Each is a [stix.Error].
	Faults []error
	// First and Last are the headers X-TAXII-Date-Added-First and -Last; zero without them.
	First, Last time.Time
	// More tells that another page follows.
	More bool
	// Position is where a later walk goes on after this page.
	Position Position
}

// Position is how far a walk has come. It is stored after the objects of its page are: a
// walk that begins at it yields no object twice and loses none, provided the server keeps the
// order of the dates at which objects were added. It stays before dates that are more than
// [MaxSkew] to come. It is small (8 bytes for each object of a page) and may be stored as
// JSON. The zero value is the beginning.
type Position struct {
	AddedAfter time.Time `json:"added_after,omitzero"`
	// Next is used only if the server sends no dates. If the server has forgotten it, the
	// walk begins anew after AddedAfter, and yields objects again.
	Next string `json:"next,omitempty"`
	// Seen are hashes of objects that the server may send again after AddedAfter: those
	// that share their date with the end of the page, or whose date is to come.
	Seen []byte `json:"seen,omitempty"`
}

// rawPage is the answer to a request for a page, and memory that is used again for the
// next one.
type rawPage struct {
	decoder stix.Decoder
	text    []byte
	ends    []int // of each element in text
	faults  []error
	hashes  []uint64 // of each element
	more    bool
	next    string
	first   time.Time
	last    time.Time
	badDate bool // a header is there, and is no timestamp
}

// reset prepares p for another answer.
func (p *rawPage) reset() {
	p.text, p.ends, p.faults, p.hashes = p.text[:0], p.ends[:0], nil, p.hashes[:0]
	p.more, p.next, p.badDate = false, "", false
	p.first, p.last = time.Time{}, time.Time{}
}

// add appends an element.
func (p *rawPage) add(element []byte) {
	p.text = append(p.text, element...)
	p.ends = append(p.ends, len(p.text))
	p.hashes = append(p.hashes, xxhash.Sum64(element))
}

// element is the i-th element.
func (p *rawPage) element(i int) []byte {
	start := 0
	if i > 0 {
		start = p.ends[i-1]
	}
	return p.text[start:p.ends[i]:p.ends[i]]
}

// readObjects reads an envelope (TAXII 2.1 §3.7), a manifest (§5.3.1) or a bundle.
func (p *rawPage) readObjects(body io.Reader) error {
	p.decoder.Reset(body)
	var element *stix.Error
	var form *stix.FormError
	for {
		object, err := p.decoder.Next()
		switch {
		case err == nil:
			p.add(object)
			continue
		case errors.As(err, &element):
			p.faults = append(p.faults, element)
			continue
		case errors.As(err, &form):
			around := p.decoder.Around()
			if rawjson.Member(around, "objects") != nil || len(around) == 0 {
				return taxii.Errorf(taxii.BadGateway, "the answer is no envelope: %v", form)
			}
		case err != io.EOF:
			return err
		}
		return p.readAround(p.decoder.Around())
	}
}

// readAround reads the members of a page beside its list.
func (p *rawPage) readAround(text []byte) error {
	if err := hiddenError(text); err != nil {
		return err
	}
	p.more = string(rawjson.Member(text, "more")) == "true"
	next := rawjson.Member(text, "next")
	if s, ok := rawjson.Text(next); ok {
		p.next = string(s)
	} else if string(next) != "null" {
		p.next = string(next) // some servers send a number
	}
	return nil
}

// readVersions reads a versions resource (TAXII 2.1 §5.8.1).
func (p *rawPage) readVersions(body io.Reader) error {
	var v struct {
		More     bool              `json:"more"`
		Next     any               `json:"next"`
		Versions []json.RawMessage `json:"versions"`
	}
	if err := readResource(body, &v); err != nil {
		return err
	}
	for _, version := range v.Versions {
		p.add(version)
	}
	if p.more = v.More; v.Next != nil {
		p.next = fmt.Sprint(v.Next)
	}
	return nil
}

// readDates reads the headers of TAXII 2.1 §3.2.
func (p *rawPage) readDates(h http.Header) {
	read := func(name string) time.Time {
		value := h.Get(name)
		t, err := taxii.ParseTime(value)
		p.badDate = p.badDate || err != nil && value != ""
		return t
	}
	p.first, p.last = read("X-TAXII-Date-Added-First"), read("X-TAXII-Date-Added-Last")
}

// hash identifies the content of the page.
func (p *rawPage) hash() uint64 {
	var d xxhash.Digest
	d.Reset()
	var b [8]byte
	for _, h := range p.hashes {
		binary.BigEndian.PutUint64(b[:], h)
		d.Write(b[:])
	}
	fmt.Fprint(&d, len(p.faults), p.first.UnixNano(), p.last.UnixNano())
	return d.Sum64()
}
