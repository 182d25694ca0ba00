package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// side is one side of a comparison. run measures it once.
type side struct {
	name string
	run  func(ctx context.Context) (float64, error)
	// rounds is how many of the rounds it takes part in, 0 for all of them: a
	// server that takes seconds for an answer would take hours for all.
	rounds int
}

// alternate measures each side once a round, every other round in reverse order, so that
// changes of the load of the machine affect all sides. It returns the figures of each
// side, by round.
func alternate(ctx context.Context, rounds int, sides []side) ([][]float64, error) {
	figures := make([][]float64, len(sides))
	for round := range rounds {
		for i := range sides {
			if round%2 == 1 {
				i = len(sides) - 1 - i
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if sides[i].rounds > 0 && round >= sides[i].rounds {
				continue
			}
			f, err := sides[i].run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sides[i].name, err)
			}
			figures[i] = append(figures[i], f)
		}
	}
	return figures, nil
}

// ratio is the ratio of two sides: the median of the rounds, and their range.
type ratio struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// ratioOf divides round by round, since only figures of the same round are comparable.
func ratioOf(ours, theirs []float64) *ratio {
	var list []float64
	for i := range min(len(ours), len(theirs)) {
		if r := ours[i] / theirs[i]; !math.IsNaN(r) && !math.IsInf(r, 0) {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return &ratio{median(list), slices.Min(list), slices.Max(list)}
}

// median is the middle one, or the mean of the two in the middle; NaN of none.
func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, cmp.Compare[float64])
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (r *ratio) String() string {
	if r == nil {
		return "–"
	}
	return fmt.Sprintf("%s × (%s to %s)", figure(r.Median), figure(r.Low), figure(r.High))
}

// figure formats a number with three significant digits, and a large one in full.
func figure(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "–"
	case abs >= 100:
		return thousands(math.Round(f))
	case abs >= 10:
		return fmt.Sprintf("%.1f", f)
	case abs >= 1:
		return fmt.Sprintf("%.2f", f)
	case abs >= 0.01 || f == 0:
		return fmt.Sprintf("%.3f", f)
	}
	return fmt.Sprintf("%.2g", f)
}

func thousands(f float64) string {
	s := fmt.Sprintf("%.0f", f)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
