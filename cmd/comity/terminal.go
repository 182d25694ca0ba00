package main

import (
	"context"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"comity/stix"
)

// isTerminal reports whether file is an *os.File of a terminal.
func isTerminal(file any) bool {
	f, ok := file.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printable escapes text by [stix.Printable], since text of others may hold control
// sequences of the terminal. It is safe for concurrent use: the log of a server writes
// beside its command.
type printable struct {
	to     io.Writer
	before func() // called before each write, if not nil

	mu   sync.Mutex // guards rest, and held while writing
	rest []byte     // the beginning of a character, until the rest of it arrives
}

// Write implements io.Writer.
func (p *printable) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.before != nil {
		p.before()
	}
	text := append(p.rest, b...)
	n := len(text)
	for cut := 1; cut < utf8.UTFMax && cut <= len(text); cut++ {
		if last := text[len(text)-cut:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				n = len(text) - cut
			}
			break
		}
	}
	p.rest = append([]byte(nil), text[n:]...)
	if _, err := io.WriteString(p.to, stix.Printable(string(text[:n]))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// interruptible reads until the context is done. A read from a terminal or a pipe cannot
// be cancelled, so its goroutine is left waiting.
type interruptible struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r interruptible) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.ctx.Err()
	}
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		text := make([]byte, len(b))
		n, err := r.from.Read(text)
		read <- result{text[:n], err}
	}()
	select {
	case got := <-read:
		return copy(b, got.text), got.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

// progress shows a progress bar if standard error is a terminal. max is -1 if the total
// is unknown.
func (sh *shell) progress(max int64, what string) *progressbar.ProgressBar {
	if sh.terminal == nil {
		return progressbar.NewOptions64(max, progressbar.OptionSetVisibility(false))
	}
	// Only the counting draws the bar. The library's own goroutine for it has a data race.
	sh.bar = progressbar.NewOptions64(max, progressbar.OptionSetWriter(sh.terminal), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetSpinnerChangeInterval(0))
	return sh.bar
}

// clearProgress removes the progress bar from the screen, so that the next text begins at
// the start of a line. A bar without a maximum does not come back.
func (sh *shell) clearProgress() {
	switch {
	case sh.bar == nil:
	case sh.bar.GetMax64() < 0:
		sh.bar.Finish()
	default:
		sh.bar.Clear()
	}
}
