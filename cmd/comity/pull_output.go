package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"comity/store/atomicfile"
)

// pullOutput takes the pages of a pull.
type pullOutput interface {
	page(objects [][]byte) error
	// commit makes what was written outlive a kill, and returns how much there is.
	commit() (written int64, err error)
	// continues tells whether a later pull can go on after a commit in the middle.
	continues() bool
	// end completes the output.
	end() error
	close() error
}

// open opens the output of a pull with a state, or to standard output or a folder.
func (c *pullCmd) open(sh *shell, state *pullState) (pullOutput, error) {
	bundle := c.Format == "bundle"
	switch {
	case c.Out == "-":
		return &pullStream{w: buffered(sh.document), bundle: bundle}, nil
	case c.folder():
		return openFolder(c.Out, bundle, state)
	}
	if info, err := os.Stat(c.Out); errors.Is(err, fs.ErrNotExist) {
		state.Written = 0 // the user has taken the file away
	} else if err == nil && !state.Running && info.Size() != state.Written {
		return nil, fmt.Errorf("%s is not as the last pull with %s left it: move it away", c.Out, c.State)
	}
	f, err := atomicfile.Continue(c.Out, state.Written, 0o644)
	if err != nil {
		return nil, err
	}
	return &pullFile{pullStream{w: buffered(f)}, f}, nil
}

func buffered(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 256<<10) }

// pullStream writes one bundle, or a line for each object.
type pullStream struct {
	w       *bufio.Writer
	bundle  bool
	objects int
}

func (s *pullStream) page(objects [][]byte) error {
	for _, o := range objects {
		switch {
		case s.bundle && s.objects == 0:
			fmt.Fprintf(s.w, `{"type":"bundle","id":"bundle--%s","objects":[`, uuid.New())
		case s.bundle:
			s.w.WriteByte(',')
		}
		s.w.Write(o) // an error stays until the next Flush
		s.w.WriteByte('\n')
		s.objects++
	}
	return nil
}

func (s *pullStream) commit() (int64, error) { return 0, s.w.Flush() }

func (s *pullStream) continues() bool { return !s.bundle }

func (s *pullStream) end() error {
	switch {
	case s.bundle && s.objects > 0:
		fmt.Fprintln(s.w, "]}")
	case s.bundle:
		fmt.Fprintf(s.w, "{\"type\":\"bundle\",\"id\":\"bundle--%s\"}\n", uuid.New())
	}
	return s.w.Flush()
}

func (s *pullStream) close() error { return nil }

// pullFile adds lines to a file.
type pullFile struct {
	pullStream
	f *os.File
}

func (s *pullFile) commit() (int64, error) {
	if err := errors.Join(s.w.Flush(), s.f.Sync()); err != nil {
		return 0, err
	}
	return s.f.Seek(0, io.SeekCurrent)
}

func (s *pullFile) close() error { return s.f.Close() }

// pullFolder writes a file for each page.
type pullFolder struct {
	dir    string
	bundle bool
	files  int64
}

func openFolder(dir string, bundle bool, state *pullState) (*pullFolder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f := &pullFolder{dir: dir, bundle: bundle, files: state.Written}
	if !state.Running {
		if _, err := os.Lstat(f.name()); err == nil {
			return nil, fmt.Errorf("there is a file %s already: take another folder, or --state to add to this one", f.name())
		}
		return f, nil
	}
	for ; ; f.files++ { // the pages in these files come again, perhaps cut otherwise
		if err := os.Remove(f.name()); errors.Is(err, fs.ErrNotExist) {
			f.files = state.Written
			return f, nil
		} else if err != nil {
			return nil, err
		}
	}
}

// name is that of the next file.
func (s *pullFolder) name() string {
	ext := "ndjson"
	if s.bundle {
		ext = "json"
	}
	return filepath.Join(s.dir, fmt.Sprintf("%08d.%s", s.files+1, ext))
}

func (s *pullFolder) page(objects [][]byte) error {
	if len(objects) == 0 {
		return nil
	}
	err := atomicfile.Replace(s.name(), 0o644, func(w io.Writer) error {
		one := &pullStream{w: buffered(w), bundle: s.bundle}
		return errors.Join(one.page(objects), one.end())
	})
	s.files++
	return err
}

func (s *pullFolder) commit() (int64, error) { return s.files, nil }

func (s *pullFolder) continues() bool { return true }

func (s *pullFolder) end() error { return nil }

func (s *pullFolder) close() error { return nil }
