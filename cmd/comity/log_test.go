package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is logged comes out whole, once and in order, whether the room is full or the
// command ends.
func TestLogLinesLoseNothing(t *testing.T) {
	var out, want bytes.Buffer
	l := &logLines{w: &out}
	for n := range 3000 {
		line := strings.Repeat("x", n%100) + "\n"
		want.WriteString(line)
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	l.flush()
	if !bytes.Equal(out.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes came out, want the %d that were logged", out.Len(), want.Len())
	}
}
