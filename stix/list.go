package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// list reads the elements of the list of objects by the scanner, as long as
// they are as usual.
type list struct {
	in   *limitedReader
	head []byte // the input up to the list, its bracket included
	text []byte // what was read from there on and is still held; at first, all that was
	at   int    // where in text the next element, or the comma before it, begins
	n    int    // elements so far
	scan scanner
}

// A list holds up to firstText bytes at first, and ever more up to mostText
// unless an element is larger.
const (
	firstText = 4 << 10
	mostText  = 64 << 10
)

// emptied is a list that has the memory of l.
func (l *list) emptied() list {
	return list{head: l.head[:0], text: l.text[:0], scan: scanner{names: l.scan.names}}
}

// Read gives the input up to the list, and somewhat farther.
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

// fill reads once, behind all that there is.
func (l *list) fill() (int, error) {
	if len(l.text) == cap(l.text) {
		l.text = slices.Grow(l.text, max(firstText, len(l.text)))
	}
	n, err := l.in.Read(l.text[len(l.text):cap(l.text)])
	l.text = l.text[:len(l.text)+n]
	return n, err
}

// begin starts with the first element, so many bytes into the input.
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

// unread is the text from the next element on, as far as it is there.
func (l *list) unread() []byte { return l.text[l.at:] }

// ends tells whether the next token is the end of the list.
func (l *list) ends() bool {
	return bytes.HasPrefix(bytes.TrimLeft(l.unread(), space), []byte("]"))
}

// closed tells whether nothing follows but the ends of the list, of the object
// around it, and of the input. It may be false where only more reading would tell.
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

// space is what may stand between tokens.
const space = " \t\r\n"

// next is the next element as it was sent, valid until the following call; its
// scan tells whether it is compact. It is nil at the end of the list and where
// the scanner is in doubt: then it stays in front of that.
func (l *list) next() ([]byte, error) {
	for {
		l.scan = scanner{b: l.text, names: l.scan.names[:0]}
		from, ok := l.start()
		if !ok {
			return nil, nil
		}
		l.scan.loose = false
		end := l.scan.value(from, 0)
		if end > 0 {
			return l.take(from, end), nil
		}
		if end == odd {
			return nil, nil
		}
		if err := l.moreOf(from); err != nil {
			return nil, noEnd(err)
		}
	}
}

// doubtful is the next element where the scanner is in doubt. It is nil where
// the end of the element cannot be found.
func (l *list) doubtful() ([]byte, error) {
	for {
		l.scan.b = l.text
		from, ok := l.start()
		if !ok {
			return nil, nil
		}
		end := new(skipper).skip(l.text[from:])
		if end == odd {
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

// noEnd is an error of reading on: the end of the input is for jsontext to judge.
func noEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// start is where the next element begins, behind the comma before it. It is not
// ok if something else stands there.
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

// moreOf is more for the element that begins at from.
func (l *list) moreOf(from int) error {
	begun := from < len(l.text)
	err := l.more()
	if err != nil && l.in.full && begun {
		return errLargeElement
	}
	return err
}

// skip reads over the next element, however large it is, and holds none of it.
func (l *list) skip() error {
	l.scan.b = l.text
	from, _ := l.start()
	var s skipper
	for {
		switch end := s.skip(l.text[from:]); {
		case end > 0:
			l.take(from, from+end)
			return nil
		case end == odd:
			return errors.New("an object is too large, and its end cannot be found")
		}
		l.text, from = l.text[:0], 0
		l.in.limit, l.in.full, l.in.err = l.in.read+mostText, false, nil
		if n, err := l.fill(); n == 0 {
			l.at = 0
			return err
		}
	}
}

// more reads on until there is twice as much as was too little, so that an
// element which comes in drops is not looked at again for every drop.
func (l *list) more() error {
	rest := l.unread()
	room := max(2*len(rest), min(max(4*cap(l.text), firstText), mostText))
	if room > cap(l.text) {
		l.text = append(make([]byte, 0, room), rest...)
	} else {
		l.text = l.text[:copy(l.text[:cap(l.text)], rest)]
	}
	l.at = 0
	for had := len(l.text); len(l.text) <= 2*had && len(l.text) < cap(l.text); {
		if len(l.text) > had && l.in.read == l.in.limit {
			break // no more is allowed, and perhaps this is enough
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

// limitedReader passes on what r gives, but no byte beyond the limit: a value
// that wants more is larger than allowed. It remembers why r stopped.
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
