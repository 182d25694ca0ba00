package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// list reads the elements of the list of objects with the scanner.
type list struct {
	in   *limitedReader
	head []byte // the input up to the list, its bracket included
	text []byte // the buffer: the unread input and, at first, all input before it
	at   int    // index in text of the next element, or of the comma before it
	n    int    // elements so far
	scan scanner
}

// The buffer of a list grows from minBuffer to maxBuffer bytes, and further if an
// element is larger.
const (
	minBuffer = 4 << 10
	maxBuffer = 64 << 10
)

// emptyCopy is an empty list that uses the memory of l.
func (l *list) emptyCopy() list {
	return list{head: l.head[:0], text: l.text[:0], scan: scanner{names: l.scan.names}}
}

// Read is for jsontext, which reads the input up to the list through it.
func (l *list) Read(p []byte) (int, error) {
	if l.at == len(l.text) {
		if n, err := l.fill(); n == 0 {
			return 0, err
		}
	}
	n := copy(p, l.unread())
	l.at += n
	return n, nil
}

// fill reads once into the end of the buffer.
func (l *list) fill() (int, error) {
	if len(l.text) == cap(l.text) {
		l.text = slices.Grow(l.text, max(minBuffer, len(l.text)))
	}
	n, err := l.in.Read(l.text[len(l.text):cap(l.text)])
	l.text = l.text[:len(l.text)+n]
	return n, err
}

// begin sets the place of the first element, as an offset in the input.
func (l *list) begin(offset int64) {
	l.head = append(l.head, l.text[:offset]...)
	l.at = int(offset)
}

// beginsWith tells whether the input begins with text.
func (l *list) beginsWith(text string) bool {
	for len(l.text) < len(text) {
		if n, _ := l.fill(); n == 0 {
			break
		}
	}
	return bytes.HasPrefix(l.text, []byte(text))
}

// unread is the buffered text from the next element on.
func (l *list) unread() []byte { return l.text[l.at:] }

// ends tells whether the next token is the end of the list.
func (l *list) ends() bool {
	return bytes.HasPrefix(bytes.TrimLeft(l.unread(), space), []byte("]"))
}

// closed tells whether only the ends of the list, of the object around it, and of the
// input follow. It may be false if that is not yet in the buffer.
func (l *list) closed() (bool, error) {
	rest, end := bytes.CutPrefix(bytes.TrimLeft(l.unread(), space), []byte("]"))
	if end {
		rest, end = bytes.CutPrefix(bytes.TrimLeft(rest, space), []byte("}"))
	}
	if !end || len(bytes.TrimLeft(rest, space)) > 0 {
		return false, nil
	}
	switch n, err := l.fill(); {
	case n > 0:
		return false, nil
	case err == io.EOF:
		return true, nil
	default:
		return false, err
	}
}

// space is the whitespace of JSON.
const space = " \t\r\n"

// next is the next element as it was sent, valid until the following call; its
// scan tells whether it is compact. It is nil at the end of the list, and if the
// scanner is uncertain; the element is then still unread.
func (l *list) next() ([]byte, error) {
	for {
		l.scan = scanner{b: l.text, names: l.scan.names[:0]}
		from, ok := l.start()
		if !ok {
			return nil, nil
		}
		l.scan.spaced = false
		end := l.scan.value(from, 0)
		if end > 0 {
			return l.take(from, end), nil
		}
		if end == uncertain {
			return nil, nil
		}
		if err := l.moreOf(from); err != nil {
			return nil, noEnd(err)
		}
	}
}

// nextUncertain is the next element after the scanner was uncertain. It is nil if
// the end of the element cannot be found.
func (l *list) nextUncertain() ([]byte, error) {
	for {
		l.scan.b = l.text
		from, ok := l.start()
		if !ok {
			return nil, nil
		}
		end := new(skipper).skip(l.text[from:])
		if end == uncertain {
			return nil, nil
		}
		if end > 0 {
			end += from
			if follows := bytes.TrimLeft(l.text[end:], space); len(follows) > 0 {
				if follows[0] != ',' && follows[0] != ']' {
					return nil, nil
				}
				return l.take(from, end), nil
			}
		}
		if err := l.moreOf(from); err != nil {
			return nil, noEnd(err)
		}
	}
}

// noEnd drops io.EOF, since jsontext reports an early end of the input.
func noEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// start is the index of the next element, behind the comma before it. ok is false if
// there is no comma.
func (l *list) start() (from int, ok bool) {
	from = l.scan.space(l.at)
	if l.n > 0 && from < len(l.text) {
		if l.text[from] != ',' {
			return 0, false
		}
		from = l.scan.space(from + 1)
	}
	return from, true
}

func (l *list) take(from, end int) []byte {
	l.at = end
	l.n++
	return l.text[from:end:end]
}

// errLargeElement says that an element has begun which is larger than allowed.
var errLargeElement = errors.New("an element is too large")

// moreOf reads more of the element that begins at from. The error is errLargeElement if
// the limit is reached.
func (l *list) moreOf(from int) error {
	begun := from < len(l.text)
	err := l.more()
	if err != nil && l.in.full && begun {
		return errLargeElement
	}
	return err
}

// skip reads over the next element, however large it is, without keeping it.
func (l *list) skip() error {
	l.scan.b = l.text
	from, _ := l.start()
	var s skipper
	for {
		switch end := s.skip(l.text[from:]); {
		case end > 0:
			l.take(from, from+end)
			return nil
		case end == uncertain:
			return errors.New("an object is too large, and its end cannot be found")
		}
		l.text, from = l.text[:0], 0
		l.in.limit, l.in.full, l.in.err = l.in.read+maxBuffer, false, nil
		if n, err := l.fill(); n == 0 {
			l.at = 0
			return err
		}
	}
}

// more reads until the buffer has twice the unread text, so that an element that comes
// in small pieces is not scanned again for each piece.
func (l *list) more() error {
	rest := l.unread()
	size := max(2*len(rest), min(max(4*cap(l.text), minBuffer), maxBuffer))
	if size > cap(l.text) {
		l.text = append(make([]byte, 0, size), rest...)
	} else {
		l.text = l.text[:copy(l.text[:cap(l.text)], rest)]
	}
	l.at = 0
	for had := len(l.text); len(l.text) <= 2*had && len(l.text) < cap(l.text); {
		if len(l.text) > had && l.in.read == l.in.limit {
			break // the limit is reached, and perhaps this is enough
		}
		n, err := l.in.Read(l.text[len(l.text):cap(l.text)])
		l.text = l.text[:len(l.text)+n]
		if n == 0 && err != nil && len(l.text) == had {
			return err
		}
		if err != nil {
			break
		}
	}
	return nil
}

// limitedReader reads from r, but no byte beyond the limit, where a value is larger than
// allowed. It remembers the error of r.
type limitedReader struct {
	r           io.Reader
	read, limit int64
	full        bool // it stopped at the limit
	err         error
}

func tooLarge() error {
	return &FormError{fmt.Sprintf("an object, or what surrounds the list of objects, is larger than %d bytes", MaxObject)}
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.read >= l.limit {
		l.full, l.err = true, tooLarge()
		return 0, l.err
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.limit-l.read)])
	l.read += int64(n)
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}
