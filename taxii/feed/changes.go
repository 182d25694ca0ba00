package feed

import (
	"bufio"
	"io"
	"net/http"
	"strconv"

	stixfeed "comity/stix/feed"
	"comity/taxii"
)

// getChanges answers a request for a file with ?since=CURSOR: what has changed since then,
// or all entries if the cursor is empty, unknown or too old. The entries are those of the
// feed before it merges them and cuts them to the size of a product, so that each change
// names its own value only.
func (h *handler) getChanges(w *response, r *http.Request, c *caller, a *Answer, f *file) error {
	d := a.Since(*f.since).of(f.kinds)
	header := w.Header()
	header.Set("Content-Type", f.format.Media)
	header.Set("X-Feed-Full", strconv.FormatBool(d.Full))
	header.Set("X-Feed-Cursor", d.Cursor)
	if r.Method == http.MethodHead {
		return nil
	}
	if d.added() > 0 {
		if err := a.Deliver(f.name); err != nil {
			return err
		}
	}
	a.Close() // before the client reads, which may take long
	out := bufio.NewWriterSize(w, 64<<10)
	if f.format.Ext == "txt" {
		d.writeText(out)
	} else {
		d.writeJSON(out)
	}
	out.Flush() // an error means that the client has left
	h.pulled(a, c, r, f.name+"?since", w.status, w.bytes)
	return nil
}

// checkSince refuses ?since= for files that cannot tell changes.
func (f *file) checkSince() error {
	switch {
	case f.since == nil:
		return nil
	case f.digest != "" || f.format.Ext != "json" && f.format.Ext != "txt":
		return taxii.Errorf(taxii.Invalid, "since: only files in json and txt can tell changes")
	case f.start != 0 || f.n != 0:
		return taxii.Errorf(taxii.Invalid, "since: start and n ask for a part of a list, not of its changes")
	}
	return nil
}

// of is the part of the difference that has these kinds.
func (d Delta) of(kinds stixfeed.Kinds) Delta {
	part := Delta{Full: d.Full, Cursor: d.Cursor, all: d.all, kinds: d.kinds & kinds}
	for _, lists := range []struct{ all, part *[]*stixfeed.Entry }{{&d.Add, &part.Add}, {&d.Changed, &part.Changed}, {&d.Remove, &part.Remove}} {
		for _, e := range *lists.all {
			if kinds.Has(e.Kind) {
				*lists.part = append(*lists.part, e)
			}
		}
	}
	return part
}

// writeJSON writes {"full":…,"add":[entry…],"remove":[{"kind":…,"value":…}…],"cursor":…}.
// Entries are as in the format "json".
func (d *Delta) writeJSON(w io.Writer) {
	line := append(strconv.AppendBool([]byte(`{"full":`), d.Full), `,"add":[`...)
	next := "\n"
	for e := range d.Added() {
		w.Write(e.AppendJSON(append(line, next...)))
		line, next = line[:0], ",\n"
	}
	line = append(line, `],"remove":[`...)
	next = "\n"
	for _, e := range d.Remove {
		w.Write(e.Value.AppendJSON(append(line, next...)))
		line, next = line[:0], ",\n"
	}
	w.Write(append(strconv.AppendQuote(append(line, `],"cursor":`...), d.Cursor), "}\n"...))
}

// writeText writes the values that left, a line each with "-" before it, and then those that
// came, with "+".
func (d *Delta) writeText(w io.Writer) {
	for _, e := range d.Remove {
		io.WriteString(w, "-"+e.Text+"\n")
	}
	for e := range d.Added() {
		io.WriteString(w, "+"+e.Text+"\n")
	}
}
