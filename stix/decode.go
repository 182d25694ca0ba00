package stix

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix/rawjson"
)

// MaxObject is the size above which one object is refused, in bytes as sent.
// It bounds the memory for reading a push. The text around the list of objects may not
// be larger either.
const MaxObject = 16 << 20

// maxSeparator is the greatest number of bytes between two objects.
const maxSeparator = 64 << 10

// A FormError says that the input is well-formed JSON, but neither a bundle
// nor an envelope.
type FormError struct{ Text string }

func (e *FormError) Error() string { return e.Text }

// A SyntaxError says that the input is no I-JSON (RFC 7493), in a place where
// no single object can be blamed: nothing behind it can be read.
type SyntaxError struct {
	Offset int64  // bytes before the fault
	Path   string // JSON pointer to where it is
	Rule   string // number of the rule, such as "R-002"
	Text   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("no valid JSON at byte %d, /%s: %s", e.Offset, strings.TrimPrefix(e.Path, "/"), e.Text)
}

// Decoder reads the objects of a STIX bundle (STIX 2.1 §8) or a TAXII envelope
// (TAXII 2.1 §3.7): of a JSON object, the member "objects". It holds one
// object at a time, whatever the size of the input.
//
// jsontext reads the input before and behind the list, and a much faster scanner reads
// the elements. If the scanner is uncertain about an element, jsontext reads that
// element; if even its end is uncertain, jsontext reads the rest of the input.
type Decoder struct {
	in       limitedReader
	json     *jsontext.Decoder
	scanning bool  // the scanner reads the list; otherwise json reads
	shift    int64 // offset in the input minus offset in the text that json reads
	list     list
	tail     bytes.Buffer // the input that json read behind the elements of the scanner
	state    decodeState
	buf      []byte
	err      error // the final error of Next
}

type decodeState uint8

const (
	beforeObjects decodeState = iota
	inObjects
	afterObjects
	noObjects // the whole input was read, and there is no list
)

// NewDecoder reads from r. Errors of r itself are returned by Next as they
// are.
func NewDecoder(r io.Reader) *Decoder {
	d := new(Decoder)
	d.Reset(r)
	return d
}

// Reset makes d read from r, as NewDecoder does. d may be a zero Decoder. Its memory is
// used again unless it is large, so slices that Next returned become invalid.
func (d *Decoder) Reset(r io.Reader) {
	// json has read no more than the head, which is in the buffer of the list, and the tail.
	small := cap(d.list.text) <= maxBuffer && cap(d.buf) <= maxBuffer && d.tail.Len() <= maxBuffer
	if d.json != nil && (small || d.in.read == 0) {
		*d = Decoder{json: d.json, buf: d.buf, list: d.list.emptyCopy()}
	} else {
		*d = Decoder{json: new(jsontext.Decoder)}
	}
	d.in.r, d.list.in = r, &d.in
	d.json.Reset(&d.list)
}

// Next returns the next element of "objects" in compact form, valid until the
// following call.
//
// An [*Error] says that this element is no I-JSON, is nested too deep or is too
// large; Next goes on behind it. Every other error is final, and Next returns
// it from then on. After the last element Next checks the rest of the input and
// returns io.EOF: only then is the whole input known to be well-formed.
// Otherwise it is a [*SyntaxError], a [*FormError], or the reader's.
func (d *Decoder) Next() (object []byte, err error) {
	if d.err != nil {
		return nil, d.err
	}
	object, err = d.next()
	if _, element := err.(*Error); !element {
		d.err = err
	}
	return object, err
}

func (d *Decoder) next() ([]byte, error) {
	for {
		switch d.state {
		case beforeObjects:
			if err := d.readHead(); err != nil {
				return nil, err
			}
			d.list.begin(d.json.InputOffset())
			d.scanning = true
		case inObjects:
			d.allow(MaxObject + maxSeparator)
			if d.scanning {
				value, err := d.element()
				if value != nil || err != nil {
					return value, err
				}
				if closed, err := d.list.closed(); err != nil {
					return nil, err
				} else if closed {
					return nil, io.EOF
				}
				if err := d.switchToJSON(); err != nil {
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
			if _, err := d.seekObjects(); err != nil {
				return nil, err
			}
			end := d.offset()
			switch _, err := d.json.ReadToken(); err {
			case io.EOF:
				return nil, io.EOF
			case nil:
				return nil, &SyntaxError{Offset: end, Rule: "R-002", Text: "something follows the object"}
			default:
				return nil, d.fault(err)
			}
		}
	}
}

// element is the next element of the list, or an error. Both are nil at the end of the
// list, and if the end of the element cannot be found.
func (d *Decoder) element() ([]byte, error) {
	value, err := d.list.next()
	switch {
	case err == errLargeElement:
		return nil, d.skipLarge()
	case err != nil:
		return nil, err
	case value != nil:
		return d.compact(value, d.list.scan.spaced)
	}
	if value, err = d.list.nextUncertain(); value == nil {
		if err == errLargeElement {
			err = d.skipLarge()
		}
		return nil, err
	}
	if fault := syntaxOf(value); fault != nil {
		at := d.offset() - int64(len(value)) + fault.Offset
		e := elementError(value, fault.Rule, fmt.Sprintf("%s, at byte %d", fault.Text, at))
		e.Path = fault.Path
		return nil, e
	}
	return d.compact(value, true)
}

// skipLarge reads over an element that is larger than allowed.
func (d *Decoder) skipLarge() error {
	begun := bytes.TrimLeft(d.list.unread(), space+",")
	e := elementError(begun, "R-180", fmt.Sprintf("larger than %d bytes, at byte %d", MaxObject, d.in.read-int64(len(begun))))
	if err := d.list.skip(); err != nil {
		return d.fault(err)
	}
	return e
}

// syntaxOf is the syntax error of an element whose end is known, nil if it has none. It
// reads token by token, to have the path of the error.
func syntaxOf(element []byte) *SyntaxError {
	in := jsontext.NewDecoder(bytes.NewReader(element))
	for whole := false; ; whole = in.StackDepth() == 0 {
		var fault *jsontext.SyntacticError
		if _, err := in.ReadToken(); errors.As(err, &fault) {
			return syntaxError(fault)
		} else if err == io.EOF {
			return nil
		} else if whole {
			return &SyntaxError{Rule: "R-002", Offset: in.InputOffset(), Text: "something follows the value"}
		}
	}
}

func syntaxError(e *jsontext.SyntacticError) *SyntaxError {
	text := e.Err.Error()
	return &SyntaxError{Offset: e.ByteOffset, Path: string(e.JSONPointer), Rule: syntaxRule(text), Text: text}
}

// syntaxRule is the rule that an error of jsontext breaks, by its text: UTF-8,
// no duplicate names, no half of a surrogate pair, no NaN or Infinity
// bounded depth, JSON at all.
func syntaxRule(text string) string {
	switch has := func(s string) bool { return strings.Contains(text, s) }; {
	case has("invalid UTF-8"), has("byte order mark"):
		return "R-001"
	case has("duplicate object member name"):
		return "R-003"
	case has("surrogate"):
		return "R-005"
	case has("'N' at start of value"), has("'I'"):
		return "R-009"
	case has("depth"), has("deeper"):
		return "R-180"
	}
	return "R-002"
}

// elementError is the error of an element that is no valid JSON, or is known only in
// part. It has the id of the element if that can be read.
func elementError(element []byte, rule, text string) *Error {
	in := jsontext.NewDecoder(bytes.NewReader(element), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	e := &Error{Rule: rule, Text: text}
	if token, err := in.ReadToken(); err != nil || token.Kind() != '{' {
		return e
	}
	for {
		name, err := in.ReadToken()
		if err != nil || name.Kind() != '"' {
			return e
		}
		if name.String() != "id" {
			if in.SkipValue() != nil {
				return e
			}
			continue
		}
		value, err := in.ReadValue()
		if err == nil {
			s, _ := rawjson.Text(value)
			id, _ := ParseID(string(s))
			e.ID = string(id)
		}
		return e
	}
}

// compact is value as Next returns it. spaced tells that there may be whitespace
// between its tokens.
func (d *Decoder) compact(value []byte, spaced bool) (_ []byte, err error) {
	if len(value) > MaxObject {
		return nil, elementError(value, "R-180", fmt.Sprintf("larger than %d bytes, before byte %d", MaxObject, d.offset()))
	}
	if !spaced {
		return value, nil
	}
	if d.buf, err = appendCompact(d.buf[:0], value); err != nil {
		return nil, elementError(value, "R-180", fmt.Sprintf("%v, before byte %d", err, d.offset()))
	}
	return d.buf, nil
}

// switchToJSON lets jsontext read on where the scanner stopped. It reads the text before
// the list, an empty string in place of each element so far, and the rest.
func (d *Decoder) switchToJSON() error {
	offset := d.offset()
	var read string
	if !d.list.ends() {
		read = strings.TrimSuffix(strings.Repeat(`"",`, d.list.n), ",")
	}
	shown := int64(len(d.list.head) + len(read))
	d.shift, d.scanning = offset-shown, false
	rest := io.TeeReader(io.MultiReader(bytes.NewReader(d.list.unread()), &d.in), &d.tail)
	d.json.Reset(io.MultiReader(bytes.NewReader(d.list.head), strings.NewReader(read), rest))
	for d.json.InputOffset() < shown {
		if _, err := d.json.ReadToken(); err != nil {
			return d.fault(err)
		}
	}
	return nil
}

// Around is the JSON object around the list, in compact form, with an empty list for
// the objects. It has the members read so far, and all members once Next has returned
// io.EOF. If the input is a JSON object without a list, such as a single STIX object,
// Around is that object. It is nil before the first call of Next and for other input.
func (d *Decoder) Around() []byte {
	var around jsontext.Value
	switch {
	case d.state == noObjects:
		around = bytes.Clone(d.list.text)
	case d.state == beforeObjects:
		return nil
	case d.err == io.EOF && !d.scanning:
		around = append(bytes.Clone(d.list.head), d.tail.Bytes()...)
	default:
		around = append(bytes.Clone(d.list.head), "]}"...)
	}
	if around.Compact() != nil {
		return nil
	}
	return around
}

// offset is the number of bytes of the input that were read.
func (d *Decoder) offset() int64 {
	if d.scanning {
		return d.in.read - int64(len(d.list.unread()))
	}
	return d.json.InputOffset() + d.shift
}

// allow lets n more bytes be read.
func (d *Decoder) allow(n int64) { d.in.limit = d.offset() + n }

// readHead reads up to the first element of "objects".
func (d *Decoder) readHead() error {
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
		} else if d.list.beginsWith(byteOrderMark) {
			return &SyntaxError{Rule: "R-001", Text: "a byte order mark stands before the JSON text: leave it out"}
		}
		return d.fault(err)
	default:
		return d.notForm("expected a JSON object with a list of objects: an envelope or a bundle")
	}
	found, err := d.seekObjects()
	if err != nil {
		return err
	}
	if !found {
		return d.noList(`there is no member "objects"`)
	}
	if d.json.PeekKind() != '[' {
		return d.noList(`"objects" is no list`)
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.fault(err)
	}
	d.state = inObjects
	return nil
}

// byteOrderMark is the mark that some editors put before a text in UTF-8.
const byteOrderMark = "\ufeff"

// SkipByteOrderMark reads over a byte order mark at the beginning of in, which
// files may have, and tells whether there was one. A push has none.
func SkipByteOrderMark(in *bufio.Reader) bool {
	if head, _ := in.Peek(len(byteOrderMark)); string(head) != byteOrderMark {
		return false
	}
	_, _ = in.Discard(len(byteOrderMark))
	return true
}

// noList is notForm for a JSON object, which [Decoder.Around] returns.
func (d *Decoder) noList(text string) error {
	err := d.notForm(text)
	var form *FormError
	if errors.As(err, &form) && !d.in.full {
		d.state = noObjects
	}
	return err
}

// notForm reads the rest of the input. It returns a SyntaxError if that is no JSON, and
// a FormError otherwise.
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

// seekObjects skips members up to the value of "objects", or to the end of the object
// if there is no such member.
func (d *Decoder) seekObjects() (found bool, err error) {
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

// fault returns the error of the reader, or a SyntaxError. The scanner reads ahead, so
// a fault of the text that did arrive comes before an error of the reader.
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
		e := syntaxError(syntactic)
		e.Offset += d.shift
		return e
	}
	return &SyntaxError{Offset: d.offset(), Path: string(d.json.StackPointer()), Rule: "R-002", Text: err.Error()}
}
