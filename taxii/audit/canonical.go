package audit

import (
	stdjson "encoding/json"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// canonical is the entry as RFC 8785 canonical JSON: the JSON of encoding/json with
// its members sorted. The members are written by hand, because the writer of the store
// makes an entry for every push while other pushes wait. Match and View, which only
// deliveries have, go through the library. RFC 8785 writes numbers from 2^53 on
// differently; no number here is that large.
func (e *Entry) canonical() (body []byte, err error) {
	b := members(append(make([]byte, 0, 512), '{'))
	b.text("account", e.Account)
	b = quoted(b.name("act"), string(e.Act))
	b.text("agreement", e.Agreement)
	b.text("article", e.Article)
	b.text("collection", e.Collection)
	b.number("count", e.Count)
	b.text("digest", e.Digest)
	b.time("ended", e.Ended, &err)
	b.text("feed", e.Feed)
	b.time("from", e.From, &err)
	b.time("high_water", e.HighWater, &err)
	b.text("home", e.Home)
	b.text("link", e.Link)
	if e.Match != nil {
		b.value("match", e.Match, &err)
	}
	b = strconv.AppendUint(b.name("n"), e.Number, 10)
	b.text("operator", e.Operator)
	b.text("org", e.Org)
	if len(e.Parties) > 0 {
		b = append(b.name("parties"), '[')
		for i, p := range e.Parties {
			if i > 0 {
				b = append(b, ',')
			}
			b = quoted(b, p)
		}
		b = append(b, ']')
	}
	b.number("refused", e.Refused)
	b.text("remote", e.Remote)
	b = quoted(b.name("salt"), e.Salt)
	if len(e.Subjects) > 0 {
		b = append(b.name("subjects"), '[')
		for i, s := range e.Subjects {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '{')
			b.text("digest", s.Digest)
			b = quoted(b.name("id"), s.ID)
			b.text("reason", s.Reason)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b.text("text", e.Text)
	b.time("time", &e.Time, &err)
	b.time("to", e.To, &err)
	b.text("token", e.Token)
	if e.View != nil {
		b.value("view", e.View, &err)
	}
	return append(b, '}'), err
}

// members is a JSON object that is being written.
type members []byte

func (b members) name(name string) members {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), '"', ':')
}

// text, number and time leave out zero values.
func (b *members) text(name, s string) {
	if s != "" {
		*b = quoted(b.name(name), s)
	}
}

func (b *members) number(name string, n int) {
	if n != 0 {
		*b = strconv.AppendInt(b.name(name), int64(n), 10)
	}
}

func (b *members) time(name string, t *time.Time, err *error) {
	if t == nil || *err != nil {
		return
	}
	var text []byte
	if text, *err = t.AppendText(append(b.name(name), '"')); *err == nil {
		*b = append(text, '"')
	}
}

func (b *members) value(name string, v any, err *error) {
	if *err != nil {
		return
	}
	var value jsontext.Value
	if value, *err = stdjson.Marshal(v); *err == nil {
		if *err = value.Canonicalize(); *err == nil {
			*b = append(b.name(name), value...)
		}
	}
}

// quoted appends a string; bytes that are no UTF-8 become U+FFFD.
func quoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
