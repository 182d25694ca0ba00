package stix_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"comity/stix"
)

// generator yields head, n times part, and tail, and counts the bytes that were read.
type generator struct {
	head, part, tail string
	n                int
	rest             string
	taken            int64
}

func (g *generator) Read(p []byte) (n int, err error) {
	for n < len(p) {
		switch {
		case g.rest != "":
		case g.head != "":
			g.rest, g.head = g.head, ""
		case g.n > 0:
			g.rest = g.part
			g.n--
		case g.tail != "":
			g.rest, g.tail = g.tail, ""
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
		taken := copy(p[n:], g.rest)
		g.rest = g.rest[taken:]
		g.taken += int64(taken)
		n += taken
	}
	return n, nil
}

const text64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// sized returns an object of exactly n bytes.
func sized(n int) string {
	const frame = `{"a":""}`
	return `{"a":"` + strings.Repeat("x", n-len(frame)) + `"}`
}

const largeID = "tool--00000000-0000-4000-8000-000000000001"

// An object that is too large is one fault. The objects beside it are read.
func TestDecoderTakesAnObjectOfMaxObjectAndNoLarger(t *testing.T) {
	tests := []struct {
		name, in string
		want     int      // objects
		refused  []string // the ids of those that are too large
	}{
		{"just as large", `{"objects":[` + sized(stix.MaxObject) + `]}`, 1, nil},
		{"just as large, behind another", `{"objects":[` + sized(stix.MaxObject) + ",\n  " + sized(stix.MaxObject) + `]}`, 2, nil},
		{"one byte larger", `{"objects":[` + sized(stix.MaxObject+1) + `]}`, 0, []string{""}},
		{"one byte larger, between small ones", `{"objects":[{},` + sized(stix.MaxObject+1) + `,{}]}`, 2, []string{""}},
		{"much larger, with an id", `{"objects":[{},{"id":"` + largeID + `","x":` + sized(3*stix.MaxObject) + "} , {}]}", 2, []string{largeID}},
		{"larger by its whitespace", `{"objects":[{"a":` + strings.Repeat(" ", stix.MaxObject) + `1},{}]}`, 1, []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, n := stix.NewDecoder(strings.NewReader(tt.in)), 0
			var refused []string
			for {
				_, err := d.Next()
				var fault *stix.Error
				switch {
				case err == io.EOF:
					if n != tt.want || !slices.Equal(refused, tt.refused) {
						t.Errorf("%d objects and %q refused, want %d and %q", n, refused, tt.want, tt.refused)
					}
					return
				case errors.As(err, &fault) && fault.Rule == "R-180":
					refused = append(refused, fault.ID)
				case err != nil:
					t.Fatal(err)
				default:
					n++
				}
			}
		})
	}
}

// The decoder holds no more of a large object than the largest allowed object has. It does
// not bound the input: callers bound the reader.
func TestDecoderHoldsLittleOfALargeObject(t *testing.T) {
	for name, in := range map[string]generator{
		"a string": {head: `{"objects":[{"a":"`, part: text64, n: 2 << 20, tail: `"},{}]}`},
		"a list":   {head: `{"objects":[{"a":[0`, part: strings.Repeat(",12345678901234567890123456789012", 32), n: 1 << 16, tail: `]},{}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := stix.NewDecoder(&in)
			before := heapInUse()
			_, err := d.Next()
			if grown := heapInUse() - before; grown > 3*stix.MaxObject {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			var fault *stix.Error
			if next, second := d.Next(); !errors.As(err, &fault) || string(next) != "{}" {
				t.Errorf("%v, then %s and %v; want a fault and its neighbour", err, next, second)
			}
		})
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// A page of a list and a push cost no more memory than the one before them, whatever stands
// around their objects.
func TestResetUsesTheMemoryOfTheDecoderAgain(t *testing.T) {
	for _, tail := range []string{`]}`, `],"more":true,"next":"cursor"}`} {
		in := `{"objects":[` + strings.Repeat(sized(1000)+",", 999) + sized(1000) + tail
		d := stix.NewDecoder(strings.NewReader(in))
		read := func() {
			for err := error(nil); err == nil; {
				_, err = d.Next()
			}
			d.Reset(strings.NewReader(in))
		}
		read()
		if n := testing.AllocsPerRun(10, read); n > 15 {
			t.Errorf("%s: %.0f allocations for each further page", tail, n)
		}
	}
}

// The decoder reads no more text outside of objects than one object may have.
func TestDecoderStopsReadingEndlessTextOutsideObjects(t *testing.T) {
	const endless = 1 << 24
	tests := []struct {
		name string
		in   generator
		text string // of the error, if not that it is too large
	}{
		{"whitespace between objects", generator{head: `{"objects":[{},`, part: strings.Repeat(" ", 64), n: endless}, ""},
		{"a member before the objects", generator{head: `{"x":"`, part: text64, n: endless}, ""},
		{"the name of a member", generator{head: `{"`, part: text64, n: endless}, ""},
		{"a list before the objects", generator{head: `{"x":[0`, part: ",12345678901234567890123456789012", n: endless}, ""},
		{"a member behind the objects", generator{head: `{"objects":[],"x":"`, part: text64, n: endless}, ""},
		{"whitespace behind the envelope", generator{head: `{"objects":[]}`, part: strings.Repeat(" ", 64), n: endless}, ""},
		{"whitespace before the envelope", generator{part: strings.Repeat(" ", 64), n: endless}, ""},
		{"a list that is no envelope", generator{head: `[0`, part: ",12345678901234567890123456789012", n: endless}, "expected a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(&tt.in)
			var form *stix.FormError
			if !errors.As(err, &form) || !strings.Contains(form.Text, cmp.Or(tt.text, "larger than")) {
				t.Errorf("error %v (%T), want a FormError that says why", err, err)
			}
			if got, want := tt.in.taken, int64(stix.MaxObject+stix.MaxObject/4); got > want {
				t.Errorf("%d bytes read, want at most %d", got, want)
			}
		})
	}
}

// Many small members outside the objects count like one large member, since the decoder
// keeps their names to find duplicates.
func TestDecoderBoundsTheMembersAroundTheObjects(t *testing.T) {
	for name, head := range map[string]string{
		"before the objects": `{`,
		"behind the objects": `{"objects":[],`,
		"without objects":    `[{`,
	} {
		t.Run(name, func(t *testing.T) {
			in := &members{head: head}
			_, err := decode(in)
			var form *stix.FormError
			if !errors.As(err, &form) {
				t.Errorf("error %v (%T), want a FormError", err, err)
			}
			if got, want := in.taken, 2*stix.MaxObject; got > want {
				t.Errorf("%d bytes read, want at most %d", got, want)
			}
		})
	}
}

// members yields an object without end, in which each member has another name.
type members struct {
	head, rest string
	n, taken   int
}

func (m *members) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if m.rest == "" {
			m.rest = m.head + fmt.Sprintf(`"%0400d":0,`, m.n)
			m.head = ""
			m.n++
		}
		taken := copy(p[n:], m.rest)
		m.rest = m.rest[taken:]
		n += taken
	}
	m.taken += n
	return n, nil
}

func TestDecoderRefusesNestingWithoutEnd(t *testing.T) {
	const levels = 20_000
	open, shut := strings.Repeat(`[`, levels), strings.Repeat(`]`, levels)
	maps, ends := strings.Repeat(`{"a":`, levels), strings.Repeat(`}`, levels)
	for name, in := range map[string]string{
		"lists":              `{"objects":[{"a":` + open + shut + `}]}`,
		"objects":            `{"objects":[{"a":` + maps + `1` + ends + `}]}`,
		"before the objects": `{"x":` + open + shut + `,"objects":[]}`,
		"behind the objects": `{"objects":[],"x":` + maps + `1` + ends + `}`,
		"no envelope":        open + shut,
		"never closed":       `{"objects":[` + open,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(strings.NewReader(in))
			var syntax *stix.SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("error %v (%T), want a SyntaxError", err, err)
			}
		})
	}
	deepest := open[:100] + shut[:100]
	if got, err := decode(strings.NewReader(`{"objects":[` + deepest + `]}`)); err != nil || len(got) != 1 {
		t.Errorf("100 levels: %d objects, %v; want one", len(got), err)
	}
}

func TestDecoderHoldsOneObjectAtATime(t *testing.T) {
	object := `{"type":"indicator","name":"` + strings.Repeat(text64, 16) + `"},`
	in := &generator{head: `{"objects":[`, part: object, n: 50 << 20 / len(object), tail: `{}]}`}
	d := stix.NewDecoder(in)
	before, most := heapInUse(), uint64(0)
	n := 0
	for ; ; n++ {
		_, err := d.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n%10_000 == 0 {
			most = max(most, heapInUse())
		}
	}
	if n < 40_000 {
		t.Fatalf("%d objects in %d bytes, want 50 MB of them", n, in.taken)
	}
	if most > before+4<<20 {
		t.Errorf("the heap grew by %d bytes, want at most 4 MB", most-before)
	}
	more := &generator{head: `{"objects":[`, part: object, n: 1200, tail: `{}]}`}
	d = stix.NewDecoder(more)
	if got := testing.AllocsPerRun(1000, func() {
		if _, err := d.Next(); err != nil {
			t.Error(err)
		}
	}); got > 1 {
		t.Errorf("%v allocations an object, want at most one", got)
	}
}

func TestDecoderReturnsTheErrorOfItsReader(t *testing.T) {
	broken := errors.New("the line broke")
	for name, in := range map[string]string{
		"at once":             ``,
		"before the objects":  `{"x":[`,
		"in an object":        `{"objects":[{"a":"b`,
		"between objects":     `{"objects":[{}`,
		"behind the objects":  `{"objects":[]`,
		"behind the envelope": `{"objects":[]}`,
		"in another form":     `[1,`,
	} {
		r := io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken))
		if _, err := decode(r); err != broken {
			t.Errorf("%s: error %v, want the reader's own", name, err)
		}
	}
}

// The decoder reads ahead, but a fault in the text is returned before an error of the reader
// that came later.
func TestDecoderReturnsAFaultBeforeALaterReadError(t *testing.T) {
	broken := errors.New("the line broke")
	r := io.MultiReader(strings.NewReader(`{"objects":[{"a":"b`), strings.NewReader(`c"}x`), iotest.ErrReader(broken))
	objects, err := decode(r)
	var syntax *stix.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset != 22 {
		t.Errorf("error %v (%T), want a SyntaxError at byte 22", err, err)
	}
	if len(objects) != 1 || objects[0] != `{"a":"bc"}` {
		t.Errorf("objects %q, want the one before", objects)
	}
}

// Appending to an object does not overwrite the next one.
func TestAppendingToAnObjectDoesNotChangeTheNext(t *testing.T) {
	d := stix.NewDecoder(strings.NewReader(`{"objects":[{"a":1},{"a":2}]}`))
	first, err := d.Next()
	if err != nil {
		t.Fatal(err)
	}
	_ = append(first, "and more"...)
	if second, err := d.Next(); err != nil || string(second) != `{"a":2}` {
		t.Errorf("the next is %q, %v", second, err)
	}
}

// After an error, Next returns the same error again: nobody can read past it.
func TestDecoderStaysAtItsEnd(t *testing.T) {
	for name, in := range map[string]string{
		"end":              `{"objects":[{}]}`,
		"syntax":           `{"objects":[{"a":"b"c"}, {}]}`,
		"form":             `{"a":1}`,
		"a list that is 1": `{"objects":1}`,
		"too large":        `{"x":` + sized(stix.MaxObject+1) + `,"objects":[{}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := stix.NewDecoder(strings.NewReader(in))
			var first error
			for first == nil {
				_, first = d.Next()
			}
			for range 3 {
				if o, err := d.Next(); o != nil || err == nil || err.Error() != first.Error() {
					t.Fatalf("then %q and %v, want %v again", o, err, first)
				}
			}
		})
	}
}
