package feed

import (
	"context"
	"errors"
	"iter"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/exchange"
)

// DNS serves feeds as response policy zones: it answers SOA, AXFR (RFC 5936) and IXFR (RFC
// 1995) that are signed with a key of the feed (RFC 8945), and refuses all else. The account
// of the feed decides what the zone holds, as it does over HTTP.
//
// The zone of a feed is ID.ORG.rpz.CENTRE. and its key ID.ORG. with the algorithm
// hmac-sha256; a key after n rotations is n.ID.ORG. instead.
type DNS struct {
	*Service
	transfers chan struct{} // holds a value for each transfer

	mu      sync.Mutex         // guards notices
	notices map[string]*notice // by "org/id" and address
}

// maxTransfers is the number of transfers at the same time.
const maxTransfers = 4

// NewDNS makes a DNS of the feeds.
func NewDNS(s *Service) *DNS {
	return &DNS{Service: s, transfers: make(chan struct{}, maxTransfers), notices: map[string]*notice{}}
}

// Serve answers queries that come to the sockets and, on the listeners, over TCP or TLS. It
// also tells secondary servers of changes. It closes all of them when ctx ends or one fails.
func (d *DNS) Serve(ctx context.Context, packets []net.PacketConn, listeners []net.Listener) error {
	var servers []*dns.Server
	for _, conn := range packets {
		servers = append(servers, &dns.Server{PacketConn: conn})
	}
	for _, l := range listeners {
		servers = append(servers, &dns.Server{Listener: patientListener{l}})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(servers))
	var running sync.WaitGroup
	for _, server := range servers {
		server.Handler, server.TsigProvider = dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) { d.answer(ctx, w, r) }), tsig{d.Service}
		server.ReadTimeout, server.IdleTimeout = 10*time.Second, func() time.Duration { return 30 * time.Second }
		running.Go(func() { failed <- server.ActivateAndServe() })
	}
	running.Go(func() { d.run(ctx) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	ending, end := context.WithTimeout(context.Background(), 5*time.Second)
	defer end()
	for i, server := range servers {
		if server.ShutdownContext(ending) != nil { // it has not begun, or does not end
			if i < len(packets) {
				packets[i].Close()
			} else {
				listeners[i-len(packets)].Close()
			}
		}
	}
	running.Wait()
	return err
}

// patientListener bounds the time that its clients take to read an answer.
type patientListener struct{ net.Listener }

// Accept implements net.Listener.
func (l patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return patientConn{conn}, err
}

type patientConn struct{ net.Conn }

// Write implements net.Conn.
func (c patientConn) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(grace))
	return c.Conn.Write(b)
}

// query is one query for a zone whose signature is right.
type query struct {
	*DNS
	writer  dns.ResponseWriter
	request *dns.Msg
	start   time.Time
	sent    string // "axfr" or "ixfr"; "" if no records of entries
	bytes   int
}

// answer answers a query. One without a right signature is refused in the same way whatever
// it asks for, and a signed one for another zone than that of its key is too.
func (d *DNS) answer(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) {
	q := &query{DNS: d, writer: w, request: r, start: time.Now()}
	signature, status := r.IsTsig(), w.TsigStatus()
	if signature == nil || status != nil && !errors.Is(status, dns.ErrTime) {
		w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeRefused)) // an error means that the client has left
		return
	}
	if status != nil { // the key is right, and the clocks differ (RFC 8945 §5.2.3)
		q.refuse(dns.RcodeNotAuth)
		return
	}
	rcode, account := q.serve(ctx)
	if rcode != dns.RcodeSuccess {
		q.refuse(rcode)
	}
	d.log.Info("query", "account", account, "type", dns.TypeToString[r.Question[0].Qtype], "status", dns.RcodeToString[rcode], "sent", q.sent,
		"remote", w.RemoteAddr().String(), "bytes", q.bytes, "seconds", time.Since(q.start).Seconds())
}

// serve answers a query, or returns the code with which to refuse it.
func (q *query) serve(ctx context.Context) (rcode int, account string) {
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	snapshot, err := q.current.Snapshot(opening)
	if err != nil {
		return dns.RcodeServerFailure, ""
	}
	feed, _, ok := keyOf(snapshot, q.request.IsTsig().Hdr.Name)
	if !ok {
		return dns.RcodeRefused, "" // it was removed meanwhile
	}
	p, usable := snapshot.Principal(snapshot.Directory.Accounts[feed.Account], q.now())
	question, centre := q.request.Question[0], snapshot.Policy.Centre().ID
	if !usable || q.request.Opcode != dns.OpcodeQuery || question.Qclass != dns.ClassINET ||
		dns.CanonicalName(question.Name) != ZoneName(feed.Account, feed.ID, centre)+"." {
		return dns.RcodeRefused, feed.Account
	}
	z, err := q.zone(opening, centre, p, feed.ID)
	if err != nil {
		q.log.Debug("zone", "account", feed.Account, "err", err)
		return rcodeOf(err), feed.Account
	}
	defer z.Close()
	_, datagram := q.writer.RemoteAddr().(*net.UDPAddr)
	switch {
	case question.Qtype == dns.TypeSOA:
		return q.send(z.soa()), feed.Account
	case question.Qtype == dns.TypeIXFR:
		return q.changes(ctx, z, datagram), feed.Account
	case question.Qtype == dns.TypeAXFR && !datagram:
		return q.transfer(ctx, z, "axfr", z.records()), feed.Account
	}
	return dns.RcodeRefused, feed.Account
}

// rcodeOf is the code for an error of [Service.Open].
func rcodeOf(err error) int {
	switch taxii.CodeOf(err) {
	case taxii.NotFound, taxii.Forbidden:
		return dns.RcodeRefused
	}
	return dns.RcodeServerFailure
}

// changes answers an IXFR. In a datagram it tells the newest serial only: the answer is
// never much longer than the query, whose address may be forged.
func (q *query) changes(ctx context.Context, z *zone, datagram bool) (rcode int) {
	if len(q.request.Ns) != 1 {
		return dns.RcodeFormatError
	}
	held, ok := q.request.Ns[0].(*dns.SOA)
	if !ok {
		return dns.RcodeFormatError
	}
	if datagram || int32(z.serial()-held.Serial) <= 0 { // RFC 1982
		return q.send(z.soa())
	}
	if records := z.since(held.Serial); records != nil {
		return q.transfer(ctx, z, "ixfr", records)
	}
	return q.transfer(ctx, z, "axfr", z.records())
}

// message begins an answer, which sign signs.
func (q *query) message() *dns.Msg {
	m := new(dns.Msg).SetReply(q.request)
	m.Authoritative = true
	return m
}

// sign signs an answer as the query was signed. It is called last.
func (q *query) sign(m *dns.Msg) *dns.Msg {
	signature := q.request.IsTsig()
	return m.SetTsig(signature.Hdr.Name, signature.Algorithm, 300, time.Now().Unix())
}

// refuse answers with an error.
func (q *query) refuse(rcode int) {
	m := q.sign(new(dns.Msg).SetRcode(q.request, rcode))
	if rcode == dns.RcodeNotAuth {
		t := m.IsTsig()
		t.Error, t.OtherLen, t.OtherData = dns.RcodeBadTime, 6, timeText(t.TimeSigned)
		t.TimeSigned = q.request.IsTsig().TimeSigned
	}
	q.writer.WriteMsg(m) // an error means that the client has left
}

// timeText is a time as TSIG has it, 48 bits in hexadecimal.
func timeText(seconds uint64) string {
	text := strconv.FormatUint(seconds, 16)
	return strings.Repeat("0", 12-len(text)) + text
}

// send answers with one record.
func (q *query) send(record dns.RR) (rcode int) {
	m := q.message()
	m.Answer, m.Compress = []dns.RR{record}, true
	if q.request.IsEdns0() != nil {
		m.SetEdns0(dns.DefaultMsgSize, false)
	}
	q.writer.WriteMsg(q.sign(m)) // an error means that the client has left
	return dns.RcodeSuccess
}

// messageSize is about the number of bytes of the records in one message of a transfer.
const messageSize = 16 << 10

// transfer sends records, which it notes as a delivery. It cuts off a client that reads
// too slowly.
func (q *query) transfer(ctx context.Context, z *zone, kind string, records iter.Seq[dns.RR]) (rcode int) {
	select {
	case q.transfers <- struct{}{}:
		defer func() { <-q.transfers }()
	case <-time.After(patience):
		return dns.RcodeServerFailure
	}
	if err := z.Deliver(kind); err != nil {
		q.log.Error("failed", "account", z.account, "err", err)
		return dns.RcodeServerFailure
	}
	z.Close() // before the client reads, which may take long
	q.sent = kind
	m, size := q.message(), 0
	flush := func() bool {
		m.Compress = true
		if err := q.writer.WriteMsg(q.sign(m)); err != nil || ctx.Err() != nil || time.Since(q.start) > grace+time.Duration(q.bytes)*time.Second/minRate {
			q.writer.Close()
			return false
		}
		q.writer.TsigTimersOnly(true)
		q.bytes += m.Len()
		m, size = q.message(), 0
		return true
	}
	for record := range records {
		m.Answer = append(m.Answer, record)
		if size += dns.Len(record); size >= messageSize && !flush() {
			return dns.RcodeSuccess
		}
	}
	if size > 0 {
		flush()
	}
	q.figures.pull(exchange.FeedKey(z.account, z.Definition.ID), Pull{File: kind, Time: q.now(), Status: dns.RcodeSuccess, Bytes: int64(q.bytes)})
	return dns.RcodeSuccess
}

// zone is what the DNS has of a feed.
type zone struct {
	*Answer
	name    string
	account string
	header  *stixfeed.Header
}

// zone opens the zone of a feed. Its serial is the second of its version. It grows too when
// another field of the SOA record changes, since a secondary server takes none of them
// otherwise.
func (d *DNS) zone(ctx context.Context, centre string, p exchange.Principal, id string) (*zone, error) {
	a, err := d.Open(ctx, p, id, RPZ)
	if err != nil {
		return nil, err
	}
	format, kinds, _ := stixfeed.Find("all.rpz")
	if err := a.serves(format, kinds); err != nil {
		a.Close()
		return nil, err
	}
	z := &zone{Answer: a, account: p.Account, header: &stixfeed.Header{
		Feed: id, Version: a.Version, Now: d.now(), Kinds: kinds & a.Definition.kinds, Subdomains: a.Definition.Entries.Subdomains,
		MaxEntries: a.Definition.Entries.Max, Zone: a.zone(centre),
	}}
	z.name = z.header.Zone.Origin + "."
	return z, nil
}

func (z *zone) serial() uint32 { return z.header.Serial() }

func (z *zone) soa() *dns.SOA { return z.soaOf(z.history[len(z.history)-1]) }

// soaOf is the SOA record of a state of the zone.
func (z *zone) soaOf(s state) *dns.SOA {
	header := *z.header
	header.Version, header.Zone.Expire = s.version, s.expire
	fields := header.SOA()
	return &dns.SOA{
		Hdr: z.head("", dns.TypeSOA), Ns: "localhost.", Mbox: "root.localhost.",
		Serial: fields[0], Refresh: fields[1], Retry: fields[2], Expire: fields[3], Minttl: fields[4],
	}
}

// head begins a record of a name below that of the zone, which ends with a dot; "" is the
// zone itself.
func (z *zone) head(below string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: below + z.name, Rrtype: kind, Class: dns.ClassINET, Ttl: z.header.SOA()[4]}
}

// owned yields the records of an entry, and is false if yield is.
func (z *zone) owned(e *stixfeed.Entry, yield func(dns.RR) bool) bool {
	for _, owner := range z.header.Zone.Owners(e.Value, z.header.Subdomains) {
		if !yield(&dns.CNAME{Hdr: z.head(owner+".", dns.TypeCNAME), Target: z.header.Zone.Target}) {
			return false
		}
	}
	return true
}
