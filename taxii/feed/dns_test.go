package feed_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"comity/taxii/exchange"
	"comity/taxii/feed"
)

const (
	zoneName = "f-block.ncb-kh.rpz.igci."
	keyName  = "f-block.ncb-kh."
)

// resolver is a secondary server of the zone of the feed f-block.
type resolver struct {
	*world
	address string // of the primary server
	key     feed.Secret
}

// resolver serves the zones, and makes a secondary server of one.
func (w *world) resolver() *resolver {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	packets, err := net.ListenPacket("udp", l.Addr().String())
	w.must(err)
	w.publish()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := feed.NewDNS(w.feeds).Serve(ctx, []net.PacketConn{packets}, []net.Listener{l}); err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(func() { cancel(); serving.Wait() })
	return &resolver{w, l.Addr().String(), w.secrets("f-block")[0]}
}

// publish lets the zone have a version of what the feed has now, and lets its second pass.
func (w *world) publish() {
	w.Helper()
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	if a, err := w.feeds.OpenNow(context.Background(), p, "f-block", feed.RPZ); err == nil {
		a.Close()
	}
	w.move(time.Second)
}

func (r *resolver) keys() map[string]string { return map[string]string{r.key.Name: r.key.Value} }

// ask sends a query over "tcp" or "udp", signed unless the key has no name.
func (r *resolver) ask(network string, query *dns.Msg) (*dns.Msg, error) {
	r.Helper()
	client := &dns.Client{Net: network, Timeout: 10 * time.Second}
	if r.key.Name != "" {
		query.SetTsig(r.key.Name, dns.HmacSHA256, 300, time.Now().Unix())
		client.TsigSecret = r.keys()
	}
	reply, _, err := client.Exchange(query, r.address)
	return reply, err
}

// soa asks for the SOA record of a zone.
func (r *resolver) soa(name string) (rcode int, serial uint32, expire uint32) {
	r.Helper()
	reply, err := r.ask("udp", new(dns.Msg).SetQuestion(name, dns.TypeSOA))
	r.must(err)
	if len(reply.Answer) == 1 {
		soa := reply.Answer[0].(*dns.SOA)
		return reply.Rcode, soa.Serial, soa.Expire
	}
	return reply.Rcode, 0, 0
}

// transfer asks for a transfer, and returns its records.
func (r *resolver) transfer(query *dns.Msg) (records []dns.RR, err error) {
	r.Helper()
	query.SetTsig(r.key.Name, dns.HmacSHA256, 300, time.Now().Unix())
	transfer := &dns.Transfer{TsigSecret: r.keys(), ReadTimeout: 10 * time.Second}
	messages, err := transfer.In(query, r.address)
	r.must(err)
	for m := range messages {
		if m.Error != nil {
			err = m.Error
		}
		records = append(records, m.RR...)
	}
	return records, err
}

// axfr transfers the whole zone.
func (r *resolver) axfr() []dns.RR {
	r.Helper()
	records, err := r.transfer(new(dns.Msg).SetAxfr(zoneName))
	r.must(err)
	return records
}

// copied is a copy of a zone that a secondary server holds.
type copied struct {
	soa   *dns.SOA
	names map[string]string // owner name and target of each CNAME
}

// refresh brings the copy up to date, and tells whether it got the whole zone. It is as strict
// as secondary servers are.
func (c *copied) refresh(t interface{ Fatalf(string, ...any) }, r *resolver) (whole bool) {
	query := new(dns.Msg).SetAxfr(zoneName)
	if c.soa != nil {
		query = new(dns.Msg).SetIxfr(zoneName, c.soa.Serial, "localhost.", "root.localhost.")
	}
	records, err := r.transfer(query)
	if err != nil {
		t.Fatalf("transfer: %v", err)
	}
	newest := records[0].(*dns.SOA)
	if len(records) == 1 {
		if newest.Serial != c.soa.Serial {
			t.Fatalf("it is told of %d and gets nothing", newest.Serial)
		}
		return false
	}
	if !dns.IsDuplicate(records[len(records)-1], newest) {
		t.Fatalf("the last record is %v, the first %v", records[len(records)-1], newest)
	}
	held, difference := records[1].(*dns.SOA)
	if !difference {
		c.names = map[string]string{}
	} else if held.String() != c.soa.String() {
		t.Fatalf("the difference begins with %v, held is %v", held, c.soa)
	}
	adding := !difference
	for _, record := range records[1 : len(records)-1] {
		switch record := record.(type) {
		case *dns.SOA:
			adding = record.Serial == newest.Serial
		case *dns.CNAME:
			name, target := record.Hdr.Name, record.Target
			if _, held := c.names[name]; held == adding {
				t.Fatalf("%s: held %t, adding %t", name, held, adding)
			}
			if adding {
				c.names[name] = target
			} else {
				delete(c.names, name)
			}
		}
	}
	c.soa = newest
	return !difference
}

func domain(name string) string { return "[domain-name:value = '" + name + "']" }

func TestAZoneHasTheEntriesOfTheFeed(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "[entries]\nsubdomains = true\n[rpz]\npolicy = \"nodata\"\nttl = 20\nrefresh = 120\n")
	w.push("fir", indicator(1, domain("bad.example.org"), ""), indicator(2, domain("www.bad.example.org"), ""), indicator(3, address("203.0.114.1"), ""),
		indicator(4, "[ipv6-addr:value = '2a0a::/48']", ""), indicator(5, "[url:value = 'http://good.example.net/bad']", ""))
	w.move(3 * time.Second)
	records := w.resolver().axfr()
	var got []string
	for _, record := range records {
		got = append(got, strings.Join(strings.Fields(record.String()), " "))
	}
	soa := fmt.Sprintf("%s 20 IN SOA localhost. root.localhost. %d 120 60 86400 20", zoneName, noon.Unix()+3)
	want := []string{
		soa, zoneName + " 20 IN NS localhost.",
		"32.1.114.0.203.rpz-ip." + zoneName + " 20 IN CNAME *.", "48.zz.2a0a.rpz-ip." + zoneName + " 20 IN CNAME *.",
		"bad.example.org." + zoneName + " 20 IN CNAME *.", "*.bad.example.org." + zoneName + " 20 IN CNAME *.",
		soa,
	}
	slices.Sort(want[2 : len(want)-1])
	slices.Sort(got[2 : len(got)-1])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Whatever changes between two transfers, and however often, a secondary server that
// transfers the difference holds what one has that begins now.
func TestASecondaryServerHoldsTheZone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, "")
		w.subscribe("block", "block", empty)
		w.move(2 * time.Second)
		r := w.resolver()
		held := &copied{}
		held.refresh(rt, r)
		day := map[int]int{}
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			n := rapid.IntRange(0, 6).Draw(rt, "indicator")
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0, 1, 2:
				day[n]++
				value := rapid.SampledFrom([]string{"example.org", "a.example.org", "b.a.example.org", "example.net"}).Draw(rt, "value")
				more := rapid.SampledFrom([]string{"", "", `,"revoked":true`, `,"valid_until":"2026-06-01T00:00:30Z"`}).Draw(rt, "more")
				w.tryPush("fir", indicatorAt(n, domain(value), time.Date(2026, 5, 1, 0, 0, day[n], 0, time.UTC).Format("2006-01-02T15:04:05.000Z"), more))
			case 3:
				w.remove("fir", n, "")
			case 4:
				more := rapid.SampledFrom([]string{"subdomains = true\n", "max = 2\n", "max = 3\n[rpz]\npolicy = \"nodata\"\n", ""}).Draw(rt, "definition")
				w.subscribe("block", "block", empty+more)
				w.publish()
			case 5, 6, 7:
				w.move(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond)
				held.refresh(rt, r)
			}
		}
		w.publish()
		held.refresh(rt, r)
		fresh := &copied{}
		fresh.refresh(rt, r)
		if diff := cmp.Diff(fresh.names, held.names); diff != "" || held.soa.Serial != fresh.soa.Serial {
			rt.Fatalf("at serial %d it holds (-whole zone +held), serial %d\n%s", held.soa.Serial, fresh.soa.Serial, diff)
		}
		if listed := strings.Count(w.get("block", "all.rpz").body, " CNAME "); listed != len(held.names) {
			rt.Fatalf("it holds %d names, the file of the zone has %d", len(held.names), listed)
		}
	})
}

func TestASecondaryServerGetsTheDifference(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	for i := range 20 {
		w.push("fir", indicator(i, domain(fmt.Sprintf("x%d.example.org", i)), ""))
	}
	w.move(2 * time.Second)
	r, held := w.resolver(), &copied{}
	held.refresh(t, r)
	for i := range 5 {
		w.remove("fir", i, "")
		w.push("elm", indicator(100+i, domain(fmt.Sprintf("y%d.example.org", i)), ""))
		w.publish()
		if held.refresh(t, r) || len(held.names) != 20 {
			t.Fatalf("step %d: it gets the whole zone of %d", i, len(held.names))
		}
	}
}

// A zone is that of the end of the last second, and so are both ends of a difference, whatever has
// changed since.
func TestADifferenceLacksWhatHasJustChanged(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, domain("a.example.org"), ""), indicator(2, domain("b.example.org"), ""), indicator(3, domain("c.example.org"), ""))
	r, held := w.resolver(), &copied{}
	held.refresh(t, r)
	w.push("fir", indicator(4, domain("d.example.org"), ""))
	w.publish()
	w.remove("fir", 1, "")
	if whole := held.refresh(t, r); whole || len(held.names) != 4 {
		t.Errorf("whole %t, %v", whole, held.names)
	}
	w.publish()
	if whole := held.refresh(t, r); whole || len(held.names) != 3 {
		t.Errorf("a second later: whole %t, %v", whole, held.names)
	}
}

// A request without the right key tells nothing of what feeds there are.
func TestOnlyTheKeyOfAFeedOpensItsZone(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.subscribe("other", "block", "")
	w.push("fir", indicator(1, domain("bad.example.org"), ""))
	w.move(2 * time.Second)
	r := w.resolver()
	right, other := r.key, w.secrets("f-other")[0]
	var refusals []string
	for _, c := range []struct {
		name string
		key  feed.Secret
		zone string
		kind uint16
	}{
		{"no signature", feed.Secret{}, zoneName, dns.TypeAXFR},
		{"no signature, unknown zone", feed.Secret{}, "f-nobody.ncb-kh.rpz.igci.", dns.TypeAXFR},
		{"the key of another feed", other, zoneName, dns.TypeAXFR},
		{"its key, unknown zone", right, "f-nobody.ncb-kh.rpz.igci.", dns.TypeAXFR},
		{"its key, zone of another feed", right, "f-other.ncb-kh.rpz.igci.", dns.TypeSOA},
		{"its key, a name", right, "bad.example.org." + zoneName, dns.TypeCNAME},
		{"its key, other type", right, zoneName, dns.TypeNS},
		{"its key, TXT", right, zoneName, dns.TypeTXT},
		{"wrong secret", feed.Secret{Name: right.Name, Value: other.Value}, zoneName, dns.TypeAXFR},
		{"unknown key", feed.Secret{Name: "f-nobody.ncb-kh.", Value: other.Value}, zoneName, dns.TypeAXFR},
	} {
		r.key = c.key
		query := new(dns.Msg).SetQuestion(c.zone, c.kind)
		reply, err := r.ask("tcp", query)
		signed := c.key == right || c.key == other
		if reply == nil || reply.Rcode != dns.RcodeRefused || len(reply.Answer)+len(reply.Ns) > 0 || (reply.IsTsig() != nil) != signed || signed && err != nil {
			t.Errorf("%s: %v, %v", c.name, reply, err)
			continue
		}
		if !signed {
			reply.Id, reply.Question = 0, nil
			refusals = append(refusals, reply.String())
		}
	}
	if len(slices.Compact(refusals)) != 1 {
		t.Errorf("refusals differ:\n%s", strings.Join(refusals, "\n"))
	}
}

func TestAKeyIsValidUntilTheRotationAfterTheNext(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.move(2 * time.Second)
	r := w.resolver()
	for rotation, want := range []int{dns.RcodeSuccess, dns.RcodeSuccess, dns.RcodeRefused} {
		if rcode, _, _ := r.soa(zoneName); rcode != want {
			t.Errorf("after %d rotations: %s", rotation, dns.RcodeToString[rcode])
		}
		newest := &resolver{w, r.address, w.secrets("f-block")[0]}
		if rcode, _, _ := newest.soa(zoneName); rcode != dns.RcodeSuccess {
			t.Errorf("the newest key after %d rotations: %s", rotation, dns.RcodeToString[rcode])
		}
		w.rotate("f-block")
	}
}

func TestAZoneEndsWithTheAccessOfItsAccount(t *testing.T) {
	for _, c := range []struct {
		terms string
		ended int
	}{{"", dns.RcodeSuccess}, {"[feeds]\narticle = \"4\"\nat_end = \"gone\"\n", dns.RcodeRefused}} {
		w := newWorld(t, c.terms)
		w.subscribe("block", "block", "")
		w.push("fir", indicator(1, domain("bad.example.org"), ""))
		w.amend(func(d *exchange.Directory) error {
			f := *d.Feeds["ncb-kh/f-block"]
			f.Source = strings.Replace(f.Source, `"*"`, `"pool.intel.fir"`, 1)
			return d.PutFeed(f, true)
		})
		w.move(2 * time.Second)
		r := w.resolver()
		held := &copied{}
		held.refresh(t, r)
		w.amend(func(d *exchange.Directory) error {
			d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: exchange.Suspend, At: w.now(), Reason: "a test"})
			return nil
		})
		w.publish()
		rcode, _, _ := r.soa(zoneName)
		if rcode != c.ended {
			t.Errorf("%q: %s", c.terms, dns.RcodeToString[rcode])
		}
		if c.ended == dns.RcodeSuccess {
			if held.refresh(t, r); len(held.names) != 0 {
				t.Errorf("it holds %v after the end", held.names)
			}
		}
	}
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.move(2 * time.Second)
	r := w.resolver()
	w.amend(func(d *exchange.Directory) error {
		d.Accounts["ncb-kh/block"].Disabled = true
		return nil
	})
	if rcode, _, _ := r.soa(zoneName); rcode != dns.RcodeRefused {
		t.Errorf("the account is disabled: %s", dns.RcodeToString[rcode])
	}
}

// A secondary server that loses its connection keeps the zone until its expiry: that must not
// be after the end of the agreement. Since it takes a new expiry with a new serial only, the
// serial grows when the expiry gets shorter.
func TestNoZoneIsKeptBeyondTheEndOfTheGrants(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	w.clock.Store(end.Add(-30 * time.Hour).UnixMicro())
	w.push("fir", indicator(1, domain("bad.example.org"), ""))
	w.move(2 * time.Second)
	r := w.resolver()
	_, held, expire := r.soa(zoneName)
	if expire != 86400 {
		t.Errorf("expire %d at first", expire)
	}
	for w.now().Before(end.Add(-time.Minute)) {
		w.move(7 * time.Minute)
		if !w.now().Before(end) {
			break
		}
		_, serial, now := r.soa(zoneName)
		if serial == held && now != expire {
			t.Errorf("expire %d and then %d of serial %d", expire, now, serial)
		}
		if serial < held || serial >= uint32(w.now().Unix()) {
			t.Errorf("serial %d after %d at %d", serial, held, w.now().Unix())
		}
		if held, expire = serial, now; w.now().Add(time.Duration(expire) * time.Second).After(end) {
			t.Errorf("%d s at %s", expire, w.now())
		}
	}
}

// The source address of a datagram may be forged.
func TestAnAnswerToADatagramIsNotMuchLongerThanTheQuery(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	for i := range 30 {
		w.push("fir", indicator(i, domain(fmt.Sprintf("x%d.example.org", i)), ""))
	}
	w.move(2 * time.Second)
	r := w.resolver()
	query := new(dns.Msg).SetIxfr(zoneName, 1, "localhost.", "root.localhost.")
	reply, err := r.ask("udp", query)
	r.must(err)
	reply.Extra, reply.Compress = nil, true // both have a signature, of the same length
	if len(reply.Answer) != 1 || reply.Len() > query.Len() {
		t.Errorf("IXFR: %d bytes for %d: %v", reply.Len(), query.Len(), reply)
	}
	if reply, err = r.ask("udp", new(dns.Msg).SetAxfr(zoneName)); err != nil || reply.Rcode != dns.RcodeRefused {
		t.Errorf("AXFR: %v %v", err, reply)
	}
	r.key = feed.Secret{}
	query = new(dns.Msg).SetQuestion(zoneName, dns.TypeANY)
	if reply, err = r.ask("udp", query); err != nil || reply.Len() > query.Len() {
		t.Errorf("ANY: %v %v", err, reply)
	}
}

// A query that is signed with the right key by a clock that is wrong is told so.
func TestAWrongClockIsTold(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.move(2 * time.Second)
	r := w.resolver()
	query := new(dns.Msg).SetQuestion(zoneName, dns.TypeSOA)
	query.SetTsig(r.key.Name, dns.HmacSHA256, 300, time.Now().Add(-time.Hour).Unix())
	client := &dns.Client{Net: "tcp", TsigSecret: r.keys()}
	reply, _, err := client.Exchange(query, r.address)
	if reply == nil || reply.Rcode != dns.RcodeNotAuth || reply.IsTsig() == nil || reply.IsTsig().Error != dns.RcodeBadTime || len(reply.IsTsig().OtherData) != 12 {
		t.Errorf("%v %v", reply, err)
	}
}

func TestATransferIsADelivery(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, domain("a.example.org"), ""), indicator(2, domain("b.example.org"), ""))
	w.move(2 * time.Second)
	r, held := w.resolver(), &copied{}
	r.soa(zoneName)
	held.refresh(t, r)
	held.refresh(t, r) // nothing has changed
	w.push("fir", indicator(3, domain("c.example.org"), ""))
	w.publish()
	held.refresh(t, r)
	w.must(w.recorder.Flush(t.Context()))
	var got []string
	links, err := w.store.Entries(t.Context(), 0, 1000)
	w.must(err)
	for _, l := range links {
		e, err := l.Entry()
		w.must(err)
		if e.Act == "delivery" {
			got = append(got, fmt.Sprintf("%s %s %d", e.Account, e.Feed, e.Count))
		}
	}
	slices.Sort(got)
	if want := []string{"ncb-kh/block f-block axfr 2", "ncb-kh/block f-block ixfr 3"}; !slices.Equal(got, want) {
		t.Errorf("deliveries %q, want %q", got, want)
	}
}

// Two exchanges, of which one also has objects that the account may not see: every record
// and serial of its zones is equal.
func TestHiddenObjectsChangeNoRecord(t *testing.T) {
	red := `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	var resolvers []*resolver
	for range 2 {
		w := newWorld(t, "")
		w.subscribe("block", "block", empty)
		w.move(2 * time.Second)
		resolvers = append(resolvers, w.resolver())
	}
	hiding := resolvers[1]
	serial := uint32(0)
	for i := range 6 {
		hiding.push("elm", indicator(90+i, domain("hidden.example.org"), red))
		var texts []string
		for _, r := range resolvers {
			if i%2 == 0 {
				r.push("fir", indicator(i, domain(fmt.Sprintf("x%d.example.org", i)), ""))
			}
			if i == 3 {
				r.remove("fir", 0, "")
			}
			r.publish()
			query := new(dns.Msg).SetAxfr(zoneName)
			if serial > 0 {
				query = new(dns.Msg).SetIxfr(zoneName, serial, "localhost.", "root.localhost.")
			}
			records, err := r.transfer(query)
			r.must(err)
			if r == hiding {
				serial = records[0].(*dns.SOA).Serial
			}
			texts = append(texts, fmt.Sprint(records))
		}
		if texts[0] != texts[1] {
			t.Errorf("step %d:\n%s\n%s", i, texts[0], texts[1])
		}
	}
}

// A secondary server that was told asks at once, and not at the end of the refresh interval.
func TestASecondaryServerIsToldOfAChange(t *testing.T) {
	w := newWorld(t, "")
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	w.must(err)
	told := make(chan uint32, 100)
	var attempts atomic.Int32
	w.subscribe("block", "block", empty+fmt.Sprintf("[rpz]\nnotify = [%q]\n", packets.LocalAddr()))
	key := w.secrets("f-block")[0]
	server := &dns.Server{PacketConn: packets, TsigSecret: map[string]string{key.Name: key.Value}, Handler: dns.HandlerFunc(func(out dns.ResponseWriter, m *dns.Msg) {
		if m.Opcode != dns.OpcodeNotify || m.IsTsig() == nil || out.TsigStatus() != nil || m.Question[0].Name != zoneName {
			t.Errorf("told %v: %v", m, out.TsigStatus())
		}
		if attempts.Add(1) == 1 {
			return // this one is lost
		}
		out.WriteMsg(new(dns.Msg).SetReply(m).SetTsig(key.Name, dns.HmacSHA256, 300, time.Now().Unix()))
		told <- m.Answer[0].(*dns.SOA).Serial
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	w.move(2 * time.Second)
	w.resolver()
	first := <-told
	w.push("fir", indicator(1, domain("bad.example.org"), ""))
	w.must(w.feeds.CatchUp(t.Context()))
	pushed := w.now().Unix()
	for second := uint32(0); second != uint32(pushed); {
		w.move(500 * time.Millisecond)
		select {
		case second = <-told:
			if second < first {
				t.Fatalf("told of serial %d after %d", second, first)
			}
		case <-time.After(time.Second):
		}
		if w.now().Unix() > pushed+60 {
			t.Fatalf("not told of the push at %d", pushed)
		}
	}
}
