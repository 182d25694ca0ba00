package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestRatioIsOfRoundsNotOfMedians(t *testing.T) {
	// The machine was ten times slower in the second round, for both.
	got := ratioOf([]float64{100, 10, 120}, []float64{200, 20, 100})
	if want := (ratio{0.5, 0.5, 1.2}); *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}
	if got := ratioOf([]float64{1, 2, 3}, []float64{2}); *got != (ratio{0.5, 0.5, 0.5}) {
		t.Errorf("rounds without a counterpart count: %+v", *got)
	}
	if got := ratioOf([]float64{1, 1}, []float64{0, 4}); *got != (ratio{0.25, 0.25, 0.25}) {
		t.Errorf("a division by zero counts: %+v", *got)
	}
	if ratioOf(nil, nil) != nil || ratioOf([]float64{0}, []float64{0}) != nil {
		t.Error("a ratio of nothing")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		before := slices.Clone(c.list)
		if got := median(c.list); got != c.want || !slices.Equal(c.list, before) {
			t.Errorf("median of %v: %v, left %v", before, got, c.list)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

func TestSidesAlternate(t *testing.T) {
	var order strings.Builder
	make := func(name string, rounds int) side {
		n := 0.0
		return side{name: name, rounds: rounds, run: func(context.Context) (float64, error) {
			order.WriteString(name)
			n++
			return n, nil
		}}
	}
	figures, err := alternate(t.Context(), 3, []side{make("a", 0), make("b", 0), make("c", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "abc"+"ba"+"ab"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if len(figures[0]) != 3 || len(figures[2]) != 1 || figures[1][2] != 3 {
		t.Errorf("figures %v", figures)
	}
	fails := side{name: "d", run: func(context.Context) (float64, error) { return 0, errors.New("broken") }}
	if _, err := alternate(t.Context(), 1, []side{fails}); err == nil || !strings.Contains(err.Error(), "d: broken") {
		t.Errorf("error %v", err)
	}
}

func TestFiguresAreReadable(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.000", 0.0004: "0.0004", 0.94: "0.940", 1.04: "1.04", 76.3: "76.3", 138.4: "138", 1234567: "1,234,567", -1234: "-1,234", 999.6: "1,000",
	} {
		if got := figure(f); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
	if got := bytesOf(1_220_000); got != "1.22 MB" {
		t.Error(got)
	}
}
