package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/crypto/bcrypt"

	"comity/stix"
	"comity/store/bolt"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// rowFileSize is the store as it was imported.
func (b *bed) rowFileSize(context.Context) ([]line, error) {
	l := line{
		Name: "size of the store", Unit: "octets", Ours: float64(b.file),
		Limit: "octets of the objects", LimitFigure: float64(b.raw), VsLimit: ratioOf([]float64{float64(b.file)}, []float64{float64(b.raw)}),
		Target: 1.22, AtMost: true, Note: "of one import; the file grows in steps of up to 64 MiB, which small collections show; the peer's ratio is of sizes for each octet of objects",
	}
	for _, p := range b.peers {
		if p.file == "" {
			continue
		}
		size, err := fileSize(p.file)
		if err != nil {
			return nil, err
		}
		theirs, mine := float64(size)/float64(p.raw), float64(b.file)/float64(b.raw)
		l.Peer, l.PeerFigure, l.VsPeer = p.name, float64(size), ratioOf([]float64{theirs}, []float64{mine})
	}
	return []line{l}, nil
}

// rowMemory is what comity holds after it was restarted, polled and pushed to.
func (b *bed) rowMemory(ctx context.Context) ([]line, error) {
	b.comity.stop()
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	t := b.comity.target(baseCollection)
	poll := func(s side) error {
		_, err := s.run(ctx)
		time.Sleep(settle)
		return err
	}
	if err := poll(b.rate("comity", t, pollers, heads(t, "limit=1000")...)); err != nil {
		return nil, err
	}
	// What is needed to take a push counts too, though polls can do without.
	for k, collection := range append([]string{baseCollection}, b.others...) {
		if err := b.pushKnown(ctx, collection, k*b.held); err != nil {
			return nil, err
		}
	}
	time.Sleep(settle)
	anonymous, err := memory(b.comity.process.pid(), "RssAnon")
	if err != nil {
		return nil, cannot(fmt.Sprintf("the system does not tell the memory of a process: %v", err))
	}
	limit := 32e6 + 20*float64(b.opt.Objects)
	l := line{
		Name: fmt.Sprintf("memory, %s objects served", thousands(float64(b.opt.Objects))), Unit: "octets", Ours: anonymous,
		Limit: "32 MB + 20 B an object", LimitFigure: limit, VsLimit: ratioOf([]float64{anonymous}, []float64{limit}), Target: 1, AtMost: true,
		Note: "of one run, anonymous memory; peers: all of their memory, with fewer objects",
	}
	for _, p := range b.peers {
		if err := poll(b.rate(p.name, p.base, peerClients, heads(p.base, "limit=1000")...)); err != nil {
			return nil, err
		}
		if p.memory, err = p.rss(); err != nil {
			return nil, err
		}
		if l.Peer == "" || p.memory < l.PeerFigure {
			l.Peer, l.PeerFigure = fmt.Sprintf("%s with %s", p.name, thousands(float64(p.objects))), p.memory
			l.VsPeer, l.PeerTarget = ratioOf([]float64{p.memory}, []float64{anonymous}), 1/1.4
		}
	}
	return []line{l}, nil
}

// pushKnown pushes an object that a collection has already, by its number.
func (b *bed) pushKnown(ctx context.Context, collection string, object int) error {
	t := b.comity.target(collection)
	body := b.base.appendEnvelope(nil, object, 1)
	head := t.post(0, len(body))
	_, err := load{
		clients: 1, dial: t.dial, keep: true,
		next: func(_, n int) ([]byte, []byte) {
			if n > 0 {
				return nil, nil
			}
			return head, body
		},
		check: func(_, _ int, a answer) error { return taken(a, 1) },
	}.run(ctx)
	return err
}

// rowCredentials is the share that checking a token has in the processor time
// of a page of 100. No page is served without that check, so that it is timed by
// itself, with the same accounts.
func (b *bed) rowCredentials(ctx context.Context) ([]line, error) {
	if err := b.serve(ctx); err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "credentials")
	if err := b.comity.backup(ctx, dir); err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	s, err := bolt.Open(dir, time.Now, log, time.Second)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	a := auth.New(exchange.NewCurrent(s), time.Now, "X-API-Key")
	r, err := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/", nil)
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Authorization", "Bearer "+b.comity.tokens[0])
	hash, err := bcrypt.GenerateFromPassword([]byte("bench"), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	check := side{name: "comity", run: func(context.Context) (float64, error) {
		return b.timed(func() error { _, _, err := a.Authenticate(r); return err })
	}}
	t := b.comity.target(baseCollection)
	polling := b.asking(t, pollers, heads(t, "limit=100")...)
	request := side{name: "processor time of a page of 100", run: func(ctx context.Context) (float64, error) {
		before, err := cpu(b.comity.process.pid())
		if err != nil {
			return 0, cannot(fmt.Sprintf("the system does not tell the processor time of a process: %v", err))
		}
		m, err := polling.run(ctx)
		if err != nil {
			return 0, err
		}
		after, err := cpu(b.comity.process.pid())
		return float64((after - before).Microseconds()) / float64(m.requests), err
	}}
	slow := side{name: "bcrypt, cost 10", run: func(context.Context) (float64, error) {
		return b.timed(func() error { return bcrypt.CompareHashAndPassword(hash, []byte("bench")) })
	}}
	return b.compare(ctx, line{Name: "check of a token", Unit: "µs", AtMost: true}, check, []against{{request, 0.03}}, []against{{slow, 2000}})
}

// timed is how long something takes that is done over and over, in microseconds.
func (b *bed) timed(do func() error) (float64, error) {
	n := 0
	begin := time.Now()
	for time.Since(begin) < b.opt.Time/2 {
		for range 10 {
			if err := do(); err != nil {
				return 0, err
			}
			n++
		}
	}
	return float64(time.Since(begin).Nanoseconds()) / 1000 / float64(n), nil
}

// rowParse reads an envelope of 1,000 objects, without any server: strictly,
// with the octets of each kept.
func (b *bed) rowParse(ctx context.Context) ([]line, error) {
	envelope := b.base.appendEnvelope(nil, 0, 1000)
	speed := func(name string, do func() error) side {
		return side{name: name, run: func(context.Context) (float64, error) {
			us, err := b.timed(do)
			return float64(len(envelope)) / us, err
		}}
	}
	lines, err := b.compare(ctx, line{Name: "parse of an envelope of 1,000", Unit: "MB/s"},
		speed("comity", func() error {
			for d := stix.NewDecoder(bytes.NewReader(envelope)); ; {
				if _, err := d.Next(); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
			}
		}),
		[]against{{speed("jsontext, validity alone", func() error {
			if !jsontext.Value(envelope).IsValid() {
				return fmt.Errorf("no valid JSON")
			}
			return nil
		}), 0}},
		[]against{{speed("encoding/json, raw objects", func() error {
			var e struct {
				Objects []json.RawMessage `json:"objects"`
			}
			return json.Unmarshal(envelope, &e)
		}), 6}})
	for i := range lines {
		lines[i].Note = "sonic, the limit of the target 0.50, is no dependency of this tree; jsontext stands in, without a target"
	}
	return lines, err
}
