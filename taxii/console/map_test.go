package console_test

import (
	"math"
	"testing"

	"comity/taxii/console"
)

// Countries of all sizes are on the map: islands, enclaves, and those that the antimeridian
// divides.
func TestMapHasTheCountries(t *testing.T) {
	for _, code := range []string{"BN", "KH", "ID", "LA", "MY", "MM", "PH", "SG", "TH", "TL", "VN", "US", "RU", "FR", "NO", "VA", "LS", "MT", "XK", "FJ", "NR", "HK", "TW"} {
		if len(console.Circles(map[string]int{code: 1})) != 1 {
			t.Errorf("%s is not on the map", code)
		}
	}
}

// The circles of a map lie within it and do not cover each other; their areas are the counts.
func TestMapShowsCountsByArea(t *testing.T) {
	counts := map[string]int{"BN": 100, "KH": 400, "ID": 1600, "LA": 1, "MY": 1600, "SG": 900, "VN": 400, "": 7, "ZZ": 3}
	circles := console.Circles(counts)
	if len(circles) != 7 {
		t.Fatalf("%d circles, want one for each country that is known", len(circles))
	}
	for i, c := range circles {
		if c.Count != counts[c.Code] || c.X-c.R < 0 || c.X+c.R > 700 || c.Y-c.R < 0 {
			t.Errorf("the circle %+v", c)
		}
		if want := 30 * math.Sqrt(float64(c.Count)/1600); math.Abs(c.R-want) > 2.5 {
			t.Errorf("%s has radius %g, want %g", c.Code, c.R, want)
		}
		for _, other := range circles[:i] {
			if math.Hypot(c.X-other.X, c.Y-other.Y) < c.R+other.R-2 {
				t.Errorf("the circles of %s and %s cover each other", c.Code, other.Code)
			}
		}
	}
	if console.Circles(map[string]int{"": 1}) != nil {
		t.Error("there is a map of findings whose country is not known")
	}
}
