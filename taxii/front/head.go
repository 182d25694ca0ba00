package front

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// A head may be so long to be plain, and have so many fields. The body has fewer octets
// than that: what nobody wants of it is read even so before the answer, as net/http does
// up to there.
const (
	maxHead   = 4 << 10
	maxFields = 32
	maxBody   = 256 << 10
)

// request is the plain requests of a connection, one after the other, in the same
// memory.
type request struct {
	*http.Request
	blank  http.Request // what none has changed
	url    url.URL
	body   body
	values [maxFields]string // of the fields
}

func (r *request) init(c *conn) {
	r.body.conn = c
	r.Request = (&http.Request{
		URL: &r.url, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, RemoteAddr: c.tcp.RemoteAddr().String(),
	}).WithContext(&c.presence)
	r.blank = *r.Request
}

// parse reads a head, up to its empty line, as http.ReadRequest would. It only says
// yes, false being no more than a doubt: what is wrong with a request, or special,
// is net/http's to tell.
func (r *request) parse(head string) bool {
	line, fields, _ := strings.Cut(head, "\r\n")
	line = strings.Clone(line) // who keeps some of it is not to keep the credentials behind it
	*r.Request = r.blank
	target, v11 := strings.CutSuffix(line, " HTTP/1.1")
	r.Method, target, _ = strings.Cut(target, " ")
	if !v11 || r.Method != http.MethodGet && r.Method != http.MethodPost {
		return false
	}
	path, query, asks := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || !all(path, inPath) || asks && query == "" || !all(query, inQuery) {
		return false
	}
	clear(r.Header)
	r.body.left = 0
	for n := 0; fields != "\r\n"; n++ {
		var colon, ends bool
		if line, fields, ends = strings.Cut(fields, "\r\n"); !ends || n == maxFields {
			return false
		}
		var name, value string
		if name, value, colon = strings.Cut(line, ":"); !colon || name == "" || !all(name, inName) || !all(value, inValue) {
			return false
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		switch name {
		case "Host":
			if r.Host != "" || value == "" || !all(value, inHost) {
				return false
			}
			r.Host = value
			continue
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Content-Length":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || n == 0 || n >= maxBody || r.body.left > 0 {
				return false
			}
			r.body.left = int64(n)
		case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Te", "Pragma":
			return false
		}
		if r.Header[name] != nil {
			r.Header[name] = append(r.Header[name], value)
			continue
		}
		r.values[n] = value
		r.Header[name] = r.values[n : n+1 : n+1]
	}
	r.url = url.URL{Path: path, RawQuery: query}
	r.RequestURI, r.ContentLength = target, r.body.left
	if r.ContentLength > 0 {
		r.Body = &r.body
	}
	return r.Host != "" && (r.Method == http.MethodPost) == (r.ContentLength > 0)
}

// What octets may be, where they are plain.
const (
	inPath  = 1 << iota // RFC 3986 §3.3, but for what is escaped, or would be by net/url
	inQuery             // visible, but for what begins a fragment
	inName              // RFC 9110 §5.6.2
	inValue             // RFC 9110 §5.5, within ASCII
	inHost              // RFC 3986 §3.2.2, but for what is escaped
)

var octets = func() (table [256]uint8) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	add := func(which uint8, chars string) {
		for i := range len(chars) {
			table[chars[i]] |= which
		}
	}
	add(inPath, letters+"-._~$&+,;=:@/")
	add(inName, letters+"!#$%&'*+-.^_`|~")
	add(inHost, letters+"-._~:[]")
	add(inValue, "\t ")
	for c := byte('!'); c <= '~'; c++ {
		table[c] |= inValue
		if c != '#' {
			table[c] |= inQuery
		}
	}
	return table
}()

func all(s string, which uint8) bool {
	for i := range len(s) {
		if octets[s[i]]&which == 0 {
			return false
		}
	}
	return true
}
