package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxObject is the size above which one object is refused, in bytes as sent.
// It bounds what reading a push can hold in memory: what surrounds the list of
// objects may not be larger either.
const MaxObject = 16 << 20

// between is the room for what separates one object from the next.
const between = 64 << 10

// A FormError says that the input is well-formed JSON, but neither a bundle
// nor an envelope.
type FormError struct{ Text string }

func (e *FormError) Error() string { return e.Text }

// A SyntaxError says that the input is no I-JSON (RFC 7493): bad syntax, bad
// UTF-8, a duplicate member name, or nesting without end.
type SyntaxError struct {
	Offset int64  // octets before the fault
	Path   string // JSON pointer to where it is
	Text   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("no valid JSON at octet %d, %s: %s", e.Offset, "/"+trimSlash(e.Path), e.Text)
}

func trimSlash(s string) string {
	if s != "" && s[0] == '/' {
		return s[1:]
	}
	return s
}

// Decoder reads the objects of a STIX bundle (STIX 2.1 §8) or a TAXII envelope
// (TAXII 2.1 §3.7): of a JSON object, the member "objects". It holds one
// object at a time, whatever the size of the input.
//
// What comes before the list is read by jsontext, and the elements by a scanner
// that is much faster. Wherever that is in doubt, jsontext takes over for the
// rest: all that is said of a fault is what jsontext says.
type Decoder struct {
	in    limitedReader
	json  *jsontext.Decoder
	scans bool  // the scanner reads, json waits
	moved int64 // what the offsets of json are short of those of the input
	list  list
	state decodeState
	buf   []byte
	err   error // what Next returned last
}

type decodeState uint8

const (
	beforeObjects decodeState = iota
	inObjects
	afterObjects
)

// NewDecoder reads from r. Errors of r itself are returned by Next as they
// are.
func NewDecoder(r io.Reader) *Decoder {
	d := new(Decoder)
	d.Reset(r)
	return d
}

// Reset makes d, or a zero Decoder, what NewDecoder returns. It keeps the memory
// of d, unless that is much; what Next returned before is not valid any more.
func (d *Decoder) Reset(r io.Reader) {
	little := d.scans && cap(d.list.text) <= mostText && cap(d.buf) <= mostText // json has read the head alone
	if d.json != nil && (little || d.in.read == 0) {
		*d = Decoder{json: d.json, buf: d.buf, list: d.list.emptied()}
	} else {
		*d = Decoder{json: new(jsontext.Decoder)}
	}
	d.in.r, d.list.in = r, &d.in
	d.json.Reset(&d.list)
}

// Next returns the next element of "objects" in compact form, valid until the
// following call. After the last it checks the rest of the input and returns
// io.EOF: only then is the whole input known to be well-formed. Any other
// error is a [*SyntaxError], a [*FormError], or the reader's. Every error is
// final: Next returns it from then on.
func (d *Decoder) Next() (object []byte, err error) {
	if d.err == nil {
		object, d.err = d.next()
	}
	return object, d.err
}

func (d *Decoder) next() ([]byte, error) {
	for {
		switch d.state {
		case beforeObjects:
			if err := d.enter(); err != nil {
				return nil, err
			}
			d.list.begin(d.json.InputOffset())
			d.scans = true
		case inObjects:
			d.allow(MaxObject + between)
			if d.scans {
				value, ok, err := d.list.next()
				if err != nil {
					return nil, err
				}
				if ok {
					return d.compact(value, d.list.scan.loose)
				}
				if closed, err := d.list.closed(); err != nil {
					return nil, err
				} else if closed {
					return nil, io.EOF
				}
				if err := d.handOver(); err != nil {
					return nil, err
				}
			}
			if d.json.PeekKind() == ']' {
				if _, err := d.json.ReadToken(); err != nil {
					return nil, d.fault(err)
				}
				d.state = afterObjects
				continue
			}
			value, err := d.json.ReadValue()
			if err != nil {
				return nil, d.fault(err)
			}
			return d.compact(value, true)
		case afterObjects:
			d.allow(MaxObject)
			if _, err := d.seek(); err != nil {
				return nil, err
			}
			end := d.offset()
			switch _, err := d.json.ReadToken(); err {
			case io.EOF:
				return nil, io.EOF
			case nil:
				return nil, &SyntaxError{Offset: end, Text: "something follows the object"}
			default:
				return nil, d.fault(err)
			}
		}
	}
}

// compact is value as Next returns it. loose tells that there may be whitespace
// between its tokens.
func (d *Decoder) compact(value []byte, loose bool) (_ []byte, err error) {
	if len(value) > MaxObject {
		return nil, tooLarge()
	}
	if !loose {
		return value, nil
	}
	if d.buf, err = appendCompact(d.buf[:0], value); err != nil {
		return nil, d.fault(err)
	}
	return d.buf, nil
}

// handOver lets jsontext read on where the scanner stopped. It is shown what
// came before the list, something in place of each element that was read, and
// the rest.
func (d *Decoder) handOver() error {
	offset := d.offset()
	var read string
	if !d.list.ends() {
		read = strings.TrimSuffix(strings.Repeat(`"",`, d.list.n), ",")
	}
	shown := int64(len(d.list.head) + len(read))
	d.moved, d.scans = offset-shown, false
	d.json.Reset(io.MultiReader(
		bytes.NewReader(d.list.head), strings.NewReader(read), bytes.NewReader(d.list.unread()), &d.in))
	for d.json.InputOffset() < shown {
		if _, err := d.json.ReadToken(); err != nil {
			return d.fault(err)
		}
	}
	return nil
}

// offset is how many octets of the input are behind us.
func (d *Decoder) offset() int64 {
	if d.scans {
		return d.in.read - int64(len(d.list.unread()))
	}
	return d.json.InputOffset() + d.moved
}

// allow lets n more octets be read.
func (d *Decoder) allow(n int64) { d.in.limit = d.offset() + n }

// enter reads up to the first element of "objects".
func (d *Decoder) enter() error {
	d.allow(MaxObject)
	switch d.json.PeekKind() {
	case '{':
		if _, err := d.json.ReadToken(); err != nil {
			return d.fault(err)
		}
	case 0:
		_, err := d.json.ReadToken()
		if err == io.EOF {
			err = errors.New("there is nothing")
		}
		return d.fault(err)
	default:
		return d.notForm("expected a JSON object with a list of objects: an envelope or a bundle")
	}
	found, err := d.seek()
	if err != nil {
		return err
	}
	if !found {
		return d.notForm(`there is no member "objects"`)
	}
	if d.json.PeekKind() != '[' {
		return d.notForm(`"objects" is no list`)
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.fault(err)
	}
	d.state = inObjects
	return nil
}

// notForm reads on, so that what is no JSON at all is said to be that, and
// returns a FormError otherwise.
func (d *Decoder) notForm(text string) error {
	d.allow(MaxObject)
	for {
		if _, err := d.json.ReadToken(); err == io.EOF || d.in.full {
			return &FormError{text}
		} else if err != nil {
			return d.fault(err)
		}
	}
}

// seek skips members up to the value of "objects", or, where there is none
// left, over the end of the object.
func (d *Decoder) seek() (found bool, err error) {
	for {
		token, err := d.json.ReadToken()
		if err != nil {
			return false, d.fault(err)
		}
		if token.Kind() == '}' {
			return false, nil
		}
		if token.String() == "objects" && d.state == beforeObjects {
			return true, nil
		}
		if err := d.json.SkipValue(); err != nil {
			return false, d.fault(err)
		}
	}
}

// fault tells an error of the input's text from one of its reader. The scanner
// reads ahead: what is wrong with the text that did arrive comes first.
func (d *Decoder) fault(err error) error {
	var syntactic *jsontext.SyntacticError
	found := errors.As(err, &syntactic)
	if d.in.err != nil && (!found || errors.Is(err, io.ErrUnexpectedEOF)) {
		return d.in.err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if found {
		return &SyntaxError{Offset: syntactic.ByteOffset + d.moved, Path: string(syntactic.JSONPointer), Text: syntactic.Err.Error()}
	}
	return &SyntaxError{Offset: d.offset(), Path: string(d.json.StackPointer()), Text: err.Error()}
}
