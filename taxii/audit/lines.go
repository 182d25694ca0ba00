package audit

import (
	"bufio"
	"fmt"
	"io"
)

// maxLine bounds a line of an export: an entry names 100 subjects at most, so
// none is near it.
const maxLine = 16 << 20

// lineError is about a line as such, not about the entry in it.
type lineError struct{ msg string }

func (e *lineError) Error() string { return e.msg }

func damaged(format string, args ...any) error { return &lineError{fmt.Sprintf(format, args...)} }

// lineReader reads lines with their ends, since every byte counts. n is the
// number of the line last asked for.
type lineReader struct {
	r    *bufio.Reader
	line []byte
	n    int
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, 64<<10)} }

// read returns a line that is good until the next read; io.EOF after the last.
func (l *lineReader) read() ([]byte, error) {
	l.n++
	l.line = l.line[:0]
	for {
		piece, err := l.r.ReadSlice('\n')
		l.line = append(l.line, piece...)
		switch {
		case err == nil:
			return l.line, nil
		case len(l.line) > maxLine:
			return nil, damaged("it is longer than %d MiB", maxLine>>20)
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(l.line) > 0:
			return nil, damaged("it breaks off")
		case err == io.EOF:
			return nil, io.EOF
		default:
			return nil, damaged("it cannot be read: %s", err)
		}
	}
}
