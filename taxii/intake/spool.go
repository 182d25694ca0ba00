package intake

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"syscall"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// spoolMemory is how much of a push is kept in memory, in bytes. What is longer
// goes to a file. viewSize is about what an object or a refusal takes there
// beside its text.
const (
	spoolMemory = 4 << 20
	viewSize    = 400
)

// spool keeps a push between its two readings: a short one as it is, a longer
// one in a file, as frames:
//
//	kind 1 | length uvarint | object as compact JSON, or store.Refusal as JSON,
//	                          or a warning about the object that follows;
//	                          behind a refusal, the object if it is quarantined
type spool struct {
	dir    string
	n      int         // how much there is
	bytes  int         // of text
	memory [][]spooled // until there is a file
	texts  texts       // in memory
	file   *os.File
	writer *bufio.Writer
}

// spooled is one object with its warning, or a refusal.
type spooled struct {
	object  stix.Object
	warning string
	refused *store.Refusal // then object is what is quarantined, or has no text
}

// text is how many bytes f holds.
func (f *spooled) text() int {
	n := len(f.object.Raw) + len(f.warning)
	if r := f.refused; r != nil {
		n += len(r.ID) + len(r.Version) + len(r.Message)
	}
	return n
}

const (
	objectFrame  = 'o'
	refusalFrame = 'r'
	warningFrame = 'w'
)

// add keeps f. The text of its object is copied.
func (s *spool) add(f *spooled) error {
	s.n++
	s.bytes += f.text()
	if s.file == nil {
		if s.n*viewSize+s.bytes <= spoolMemory {
			s.remember(f)
			return nil
		}
		if err := s.spill(); err != nil {
			return spoolError(err)
		}
	}
	if err := s.write(f); err != nil {
		return spoolError(err)
	}
	return nil
}

// spoolError is Unavailable if the disk is full.
func spoolError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the disk of the server is full", Err: err, RetryAfter: time.Minute}
	}
	return fmt.Errorf("spool: %w", err)
}

// remember keeps f in memory, in blocks: nothing is moved to make room.
func (s *spool) remember(f *spooled) {
	last := len(s.memory) - 1
	if last < 0 || len(s.memory[last]) == cap(s.memory[last]) {
		s.memory = append(s.memory, make([]spooled, 0, min(s.n, 256)))
		last++
	}
	s.memory[last] = append(s.memory[last], *f)
	kept := &s.memory[last][len(s.memory[last])-1]
	kept.object.Raw = s.texts.clone(f.object.Raw)
}

// texts makes copies of texts with one allocation for many.
type texts struct{ room []byte }

// clone is a copy of text, or nil.
func (t *texts) clone(text []byte) []byte {
	if text == nil {
		return nil
	}
	b := t.make(len(text))
	copy(b, text)
	return b
}

// make is room for n bytes.
func (t *texts) make(n int) []byte {
	if n > cap(t.room)-len(t.room) {
		t.room = make([]byte, 0, max(n, min(2*cap(t.room), 64<<10)))
	}
	from := len(t.room)
	t.room = t.room[:from+n]
	return t.room[from : from+n : from+n]
}

// write puts f into the file.
func (s *spool) write(f *spooled) (err error) {
	if f.warning != "" {
		err = s.frame(warningFrame, []byte(f.warning))
	}
	if f.refused != nil && err == nil {
		var refusal []byte
		if refusal, err = json.Marshal(f.refused); err == nil {
			err = s.frame(refusalFrame, refusal)
		}
	}
	if f.object.Raw != nil && err == nil {
		err = s.frame(objectFrame, f.object.Raw)
	}
	return err
}

func (s *spool) frame(kind byte, payload []byte) error {
	head := binary.AppendUvarint(append(s.writer.AvailableBuffer(), kind), uint64(len(payload)))
	if _, err := s.writer.Write(head); err != nil {
		return err
	}
	_, err := s.writer.Write(payload)
	return err
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
	for _, block := range s.memory {
		for i := range block {
			if err := s.write(&block[i]); err != nil {
				return err
			}
		}
	}
	s.memory, s.texts = nil, texts{}
	return nil
}

// frames gives everything in the order it came. It may be ranged over more than
// once; it ends with the first error.
func (s *spool) frames() iter.Seq2[*spooled, error] {
	return func(yield func(*spooled, error) bool) {
		if s.file == nil {
			for _, block := range s.memory {
				for i := range block {
					if !yield(&block[i], nil) {
						return
					}
				}
			}
			return
		}
		in, err := s.reader()
		var texts texts
		for err == nil {
			var f spooled
			if f, err = next(in, &texts); err == nil && !yield(&f, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(nil, spoolError(err))
		}
	}
}

// reader begins at the first frame of the file.
func (s *spool) reader() (*bufio.Reader, error) {
	if err := s.writer.Flush(); err != nil {
		return nil, err
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return bufio.NewReaderSize(s.file, 64<<10), err
}

// next reads an object or a refusal; io.EOF after the last.
func next(in *bufio.Reader, texts *texts) (f spooled, err error) {
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return f, err
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return f, io.ErrUnexpectedEOF
		}
		payload := texts.make(int(n))
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
			f.object, err = stix.NewObject(payload)
			return f, err
		}
	}
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
