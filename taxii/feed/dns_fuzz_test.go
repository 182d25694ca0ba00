package feed_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzQueries sends what it is given to a server twice: as it is, and signed with the right
// key. Only the second may get a record, and only of the zone of that key.
func FuzzQueries(f *testing.F) {
	w := newWorld(f, "")
	w.subscribe("block", "block", "")
	w.subscribe("other", "block", "")
	w.push("fir", indicator(1, domain("bad.example.org"), ""))
	r := w.resolver()
	_, serial, _ := r.soa(zoneName)

	ixfr := func(serial uint32) *dns.Msg {
		return new(dns.Msg).SetIxfr(zoneName, serial, "localhost.", "root.localhost.")
	}
	bare, odd, update, edns := ixfr(1), ixfr(1), ixfr(serial), ixfr(0)
	bare.Ns, odd.Ns = nil, []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: zoneName, Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "localhost."}}
	update.Opcode = dns.OpcodeUpdate
	edns.SetEdns0(65535, true)
	for _, m := range []*dns.Msg{
		new(dns.Msg).SetQuestion(zoneName, dns.TypeSOA), new(dns.Msg).SetAxfr(zoneName), ixfr(serial), ixfr(serial - 1), ixfr(serial + 1<<31),
		bare, odd, update, edns, new(dns.Msg).SetNotify(zoneName), new(dns.Msg).SetAxfr("f-other.ncb-kh.rpz.igci."), new(dns.Msg),
		new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT), ixfr(2).SetTsig(keyName, dns.HmacSHA256, 300, 1), ixfr(2).SetTsig("..", dns.HmacMD5, 65535, 1<<47),
	} {
		if packed, err := m.Pack(); err == nil {
			f.Add(packed)
		}
	}
	f.Add([]byte{})
	f.Add(make([]byte, 11))

	f.Fuzz(func(t *testing.T, query []byte) {
		if len(query) > dns.MaxMsgSize {
			return
		}
		for _, reply := range converse(t, r.address, query) {
			if len(reply.Answer)+len(reply.Ns) > 0 {
				t.Errorf("unsigned: %v", reply)
			}
		}
		m := new(dns.Msg)
		if m.Unpack(query) != nil {
			return
		}
		m.SetTsig(r.key.Name, dns.HmacSHA256, 300, time.Now().Unix())
		signed, _, err := dns.TsigGenerate(m, r.key.Value, "", false)
		if err != nil || len(signed) > dns.MaxMsgSize {
			return
		}
		for _, reply := range converse(t, r.address, signed) {
			for _, record := range reply.Answer {
				if !dns.IsSubDomain(zoneName, record.Header().Name) || dns.CanonicalName(m.Question[0].Name) != zoneName {
					t.Errorf("%v for %v", record, m.Question)
				}
			}
		}
	})
}

// converse sends one message over TCP, and returns the replies.
func converse(t *testing.T, address string, query []byte) (replies []*dns.Msg) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...))
	conn.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	for len(all) > 2 {
		size := int(binary.BigEndian.Uint16(all))
		reply := new(dns.Msg)
		if err := reply.Unpack(all[2 : 2+size]); err != nil {
			t.Fatalf("reply %x: %v", all, err)
		}
		replies, all = append(replies, reply), all[2+size:]
	}
	return replies
}
