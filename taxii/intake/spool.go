package intake

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"

	"comity/store"
)

// spoolMemory is how much of a push is kept in memory. What is longer goes to
// a file.
const spoolMemory = 4 << 20

// spool keeps a push between its two readings, as frames:
//
//	kind 1 | length uvarint | object as compact JSON, or store.Refusal as JSON,
//	                          or a warning about the object that follows;
//	                          behind a refusal, the object if it is quarantined
type spool struct {
	dir    string
	buf    bytes.Buffer
	file   *os.File // nil while everything fits in buf
	writer *bufio.Writer
}

const (
	objectFrame  = 'o'
	refusalFrame = 'r'
	warningFrame = 'w'
)

// object keeps one object, and what is worth saying about it.
func (s *spool) object(raw []byte, warning string) error {
	if warning != "" {
		if err := s.frame(warningFrame, []byte(warning)); err != nil {
			return err
		}
	}
	return s.frame(objectFrame, raw)
}

// refusal keeps a refusal, and the object if that is to be kept apart.
func (s *spool) refusal(r *store.Refusal, raw []byte) error {
	b, err := json.Marshal(r)
	if err == nil {
		err = s.frame(refusalFrame, b)
	}
	if err == nil && r.Quarantine {
		err = s.frame(objectFrame, raw)
	}
	return err
}

func (s *spool) frame(kind byte, payload []byte) error {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(payload)))
	if s.file == nil && s.buf.Len()+len(head)+len(payload) > spoolMemory {
		if err := s.spill(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	if s.file == nil {
		s.buf.Write(head)
		s.buf.Write(payload)
		return nil
	}
	if _, err := s.writer.Write(head); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if _, err := s.writer.Write(payload); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// spill moves what is in memory to a file that has no name any more, so that
// even a kill leaves nothing behind.
func (s *spool) spill() error {
	f, err := os.CreateTemp(s.dir, "push-*.spool")
	if err != nil {
		return err
	}
	s.file = f
	s.writer = bufio.NewWriterSize(f, 64<<10)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	_, err = s.buf.WriteTo(s.writer)
	s.buf = bytes.Buffer{}
	return err
}

// spooled is one object with its warning, or a refusal.
type spooled struct {
	object  []byte
	warning string
	refused *store.Refusal // then object is that of a quarantine, nil for none
}

// frames gives everything in the order it came. The bytes stay valid. It may
// be ranged over more than once; it ends with the first error.
func (s *spool) frames() iter.Seq2[spooled, error] {
	return func(yield func(spooled, error) bool) {
		in, err := s.reader()
		for err == nil {
			var f spooled
			if f, err = next(in); err == nil && !yield(f, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(spooled{}, fmt.Errorf("spool: %w", err))
		}
	}
}

// reader begins at the first frame.
func (s *spool) reader() (*bufio.Reader, error) {
	if s.file == nil {
		return bufio.NewReader(bytes.NewReader(s.buf.Bytes())), nil
	}
	if err := s.writer.Flush(); err != nil {
		return nil, err
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return bufio.NewReaderSize(s.file, 256<<10), err
}

// next reads an object or a refusal; io.EOF after the last.
func next(in *bufio.Reader) (f spooled, err error) {
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return f, err
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return f, io.ErrUnexpectedEOF
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(in, payload); err != nil {
			return f, io.ErrUnexpectedEOF
		}
		switch kind {
		case warningFrame:
			f.warning = string(payload)
		case refusalFrame:
			f.refused = new(store.Refusal)
			if err := json.Unmarshal(payload, f.refused); err != nil || !f.refused.Quarantine {
				return f, err
			}
		default:
			f.object = payload
			return f, nil
		}
	}
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
