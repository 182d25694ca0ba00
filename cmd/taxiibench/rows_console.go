package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

// rowConsole is the time of the slowest page of the demonstration, and that of the board of the
// centre after a country has reported an outcome.
func (b *bench) rowConsole(ctx context.Context) ([]line, error) {
	d, err := b.startDemonstration(ctx)
	if err != nil {
		return nil, err
	}
	defer d.process.stop()
	slowest, err := b.slowestPage(ctx, "the demonstration", 100, slices.Collect(maps.Values(d.browsers))...)
	if err != nil {
		return nil, err
	}
	board, err := b.boardAfterOutcome(ctx, d)
	return []line{slowest, board}, err
}

// rowConsoleLarge is the time of the slowest page about readCollection.
func (b *bench) rowConsoleLarge(ctx context.Context) ([]line, error) {
	who, err := b.person(ctx)
	if err != nil {
		return nil, err
	}
	slowest, err := b.slowestPage(ctx, thousands(float64(b.opt.Objects))+" objects", 200, who)
	return []line{slowest}, err
}

// slowestPage measures each page that persons reach, and returns the line of the one with the
// greatest median. The limit is in ms.
func (b *bench) slowestPage(ctx context.Context, of string, limit float64, people ...*browser) (line, error) {
	var slowest []float64
	name, count := "", 0
	for _, who := range people {
		paths, err := who.pages(ctx)
		if err != nil {
			return line{}, err
		}
		count += len(paths)
		for _, path := range paths {
			var took []float64
			for range b.opt.Rounds {
				v, err := who.do(ctx, "GET", path, nil)
				if err != nil {
					return line{}, err
				}
				took = append(took, v.took.Seconds()*1000)
			}
			if slowest == nil || median(took) > median(slowest) {
				slowest, name = took, path+" as "+who.account
			}
		}
	}
	return atMost(fmt.Sprintf("slowest of %d pages of the console, %s: %s", count, of, name), limit, slowest), nil
}

// atMost is a line of times in ms that must not exceed a limit.
func atMost(name string, limit float64, took []float64) line {
	return line{
		Name: name, Unit: "ms", Ours: median(took), Limit: figure(limit) + " ms", LimitFigure: limit,
		VsLimit: ratioOf(took, slices.Repeat([]float64{limit}, len(took))), Target: 1, AtMost: true,
	}
}

var findingForm = regexp.MustCompile(`name="finding" value="([^"]+)"`)

func (b *bench) boardAfterOutcome(ctx context.Context, d *demonstration) (line, error) {
	const board = "/console/operations/op-asean-demo"
	centre, bureau := d.browsers["igci/anna"], d.browsers["ncb-kh/dara"]
	if centre == nil || bureau == nil {
		return line{}, errors.New("the demonstration names no person of the centre or of Cambodia")
	}
	var took []float64
	for n := range b.opt.Rounds {
		list, err := bureau.do(ctx, "GET", board+"/outcomes", nil)
		if err != nil {
			return line{}, err
		}
		finding := findingForm.FindStringSubmatch(list.html)
		if finding == nil {
			return line{}, errors.New("the list of outcomes has no finding")
		}
		status := []string{"taken-down", "sinkholed"}[n%2] // each time another one
		if _, err := bureau.do(ctx, "POST", board+"/outcomes", url.Values{"finding": {finding[1]}, "status": {status}}); err != nil {
			return line{}, err
		}
		v, err := centre.do(ctx, "GET", board, nil)
		if err != nil {
			return line{}, err
		}
		took = append(took, v.took.Seconds()*1000)
	}
	return atMost("board of the centre after an outcome", 100, took), nil
}

// How many people use the console at a time, and the time from a page to the next one of a person.
const (
	people       = 50
	betweenPages = 5 * time.Second
)

// rowConsoleClicks is the processor time that a click costs the server, and the rate of pages of 100
// objects while people use the console. They share one session: a page costs the same for each of
// them. The rate varies with all else that the machine does; the time tells what the clicks take from
// polls.
func (b *bench) rowConsoleClicks(ctx context.Context) ([]line, error) {
	who, err := b.person(ctx)
	if err != nil {
		return nil, err
	}
	paths, err := who.pages(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := b.clickCost(ctx, who, paths)
	if err != nil {
		return nil, err
	}
	alone := b.pages("limit=100")
	clicked := side{name: "comity", run: func(ctx context.Context) (rate float64, err error) {
		clicking, stop := context.WithCancelCause(ctx)
		var wg sync.WaitGroup
		for range people {
			wg.Go(func() {
				for wait := rand.N(betweenPages); ; wait = betweenPages {
					select {
					case <-time.After(wait):
					case <-clicking.Done():
						return
					}
					if _, err := who.do(ctx, "GET", paths[rand.IntN(len(paths))], nil); err != nil {
						stop(err)
					}
				}
			})
		}
		rate, err = alone.run(ctx)
		stop(nil)
		wg.Wait()
		if fault := context.Cause(clicking); fault != context.Canceled {
			err = errors.Join(err, fault)
		}
		return rate, err
	}}
	alone.name = "nobody at the console"
	lines, err := b.compare(ctx, comparison{
		line:   line{Name: fmt.Sprintf("page of 100 objects, with %d people at the console", people), Unit: "pages/s"},
		ours:   clicked,
		limits: []limit{{alone, 0.95}},
	})
	return append([]line{cost}, lines...), err
}

// clickCost is the line of the processor time that a page of the console costs the server on
// average. The limit is what leaves polls 0.95 of one core.
func (b *bench) clickCost(ctx context.Context, who *browser, paths []string) (line, error) {
	const times = 10 // the kernel counts in steps of 10 ms
	server, err := procfs.NewProc(b.comity.process.pid())
	if err != nil {
		return line{}, err
	}
	var cost []float64
	for range b.opt.Rounds {
		before, err := server.Stat()
		if err != nil {
			return line{}, err
		}
		for range times {
			for _, path := range paths {
				if _, err := who.do(ctx, "GET", path, nil); err != nil {
					return line{}, err
				}
			}
		}
		after, err := server.Stat()
		if err != nil {
			return line{}, err
		}
		cost = append(cost, (after.CPUTime()-before.CPUTime())*1000/float64(times*len(paths)))
	}
	limit := 0.05 * betweenPages.Seconds() * 1000 / people
	return atMost("processor time of a click at the console", limit, cost), nil
}
