package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

// supply is the objects that a run pushes.
type supply struct {
	objects int
	made    generator
	given   []json.RawMessage // the objects of a file; nil if they are made
	ids     []string          // of those of a file
}

func (c *runCmd) supply() (s supply, err error) {
	if c.From == "" {
		return supply{objects: c.Objects, made: generator{seed: rand.Uint64(), size: c.Size}}, nil
	}
	text, err := os.ReadFile(c.From)
	if err != nil {
		return s, err
	}
	var bundle struct {
		Objects []json.RawMessage `json:"objects"`
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		return s, fmt.Errorf("%s: %w", c.From, err)
	}
	if len(bundle.Objects) == 0 {
		return s, fmt.Errorf("%s holds no objects", c.From)
	}
	s = supply{objects: len(bundle.Objects), given: bundle.Objects}
	for i, o := range s.given {
		var named struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(o, &named); err != nil || named.ID == "" {
			return s, fmt.Errorf("%s: object %d has no id", c.From, i)
		}
		s.ids = append(s.ids, named.ID)
	}
	return s, nil
}

// envelope appends an envelope of the objects from..to, and gives their ids.
func (s supply) envelope(b []byte, from, to int) ([]byte, []string) {
	if s.given == nil {
		ids := make([]string, 0, to-from)
		for i := from; i < to; i++ {
			ids = append(ids, s.made.id(i))
		}
		return s.made.appendEnvelope(b, from, to-from), ids
	}
	b = append(b, `{"objects":[`...)
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = append(b, s.given[i]...)
	}
	return append(b, "]}"...), s.ids[from:to]
}

// pushRound pushes one round's share of the objects. The latencies leave out the time to
// build a push and to read its status. The rate includes it, but it is small.
func (c *runCmd) pushRound(ctx context.Context, s *contender, round int) error {
	from, to := s.supply.objects*round/c.Rounds, s.supply.objects*(round+1)/c.Rounds
	if from == to {
		return nil
	}
	pushes := (to - from + c.Batch - 1) / c.Batch
	writers := min(c.Writers, pushes)
	bodies, ids := make([][]byte, writers), make([][]string, writers)
	m, err := load{
		clients: writers, dial: s.c.dial, keep: true,
		next: func(client, n int) ([]byte, []byte) {
			push := n*writers + client
			if push >= pushes {
				return nil, nil
			}
			begin := from + push*c.Batch
			bodies[client], ids[client] = s.supply.envelope(bodies[client][:0], begin, min(begin+c.Batch, to))
			return s.c.post(client, "", len(bodies[client])), bodies[client]
		},
		check: func(client, _ int, a answer) error {
			n, err := s.c.completed(a)
			if err == nil && n != len(ids[client]) {
				err = fmt.Errorf("of a push of %d objects, %d were taken", len(ids[client]), n)
			}
			if err == nil {
				s.ids.add(ids[client]...)
			}
			return err
		},
	}.run(ctx)
	if err != nil {
		return err
	}
	s.push = append(s.push, m)
	s.pushed = append(s.pushed, float64(to-from)/m.took.Seconds())
	return nil
}

// follow polls each server for new objects if --follow is set. stop ends the polling and
// compares the received objects.
func (c *runCmd) follow(ctx context.Context, contenders []*contender) (stop func() error) {
	if !c.Follow {
		return func() error { return nil }
	}
	done, failed := make(chan struct{}), make(chan error, len(contenders))
	for _, s := range contenders {
		go func() {
			received, err := pollTail(ctx, s.c, c.Limit, done)
			if err == nil {
				d := s.ids.compare(received)
				s.Followed = &d
			}
			failed <- err
		}()
	}
	return func() (err error) {
		close(done)
		for range contenders {
			err = errors.Join(err, <-failed)
		}
		return err
	}
}
