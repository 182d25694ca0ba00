//go:build ignore

// This program makes outlines.txt from countries-50m.json of the npm package world-atlas,
// which has the countries of Natural Earth (public domain) as TopoJSON:
//
//	go run outlines_make.go countries-50m.json > outlines.txt
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// A unit of the outlines is 1/perDegree degree. Points that span a triangle of less than
// detail square degrees with their neighbours are left out, and so are islands of less than
// smallest square degrees of a country with larger parts.
const (
	perDegree = 20
	detail    = 0.012
	smallest  = 0.03
)

type point struct{ x, y float64 } // degrees, y to the south

type topology struct {
	Transform struct{ Scale, Translate [2]float64 }
	Arcs      [][][2]float64
	Objects   struct {
		Countries struct {
			Geometries []struct {
				Type, ID   string
				Arcs       json.RawMessage
				Properties struct{ Name string }
			}
		}
	}
}

// without are the codes of countries to which Natural Earth gives no number.
var without = map[string]string{"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}

func main() {
	var in topology
	raw, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(raw, &in)
	}
	if err != nil {
		panic(err)
	}
	arcs := make([][]point, len(in.Arcs))
	for i, arc := range in.Arcs {
		var x, y float64
		for _, d := range arc {
			x, y = x+d[0], y+d[1]
			arcs[i] = append(arcs[i], point{
				x*in.Transform.Scale[0] + in.Transform.Translate[0], -(y*in.Transform.Scale[1] + in.Transform.Translate[1]),
			})
		}
		arcs[i] = simplify(arcs[i])
	}
	countries := map[string][][]point{}
	for _, g := range in.Objects.Countries.Geometries {
		code := without[g.Properties.Name]
		if n, err := strconv.Atoi(g.ID); err == nil {
			if region, err := language.EncodeM49(n); err == nil {
				code = region.String()
			}
		}
		if code == "AQ" {
			continue
		}
		var polygons [][][]int
		if g.Type == "Polygon" {
			polygons = make([][][]int, 1)
			err = json.Unmarshal(g.Arcs, &polygons[0])
		} else {
			err = json.Unmarshal(g.Arcs, &polygons)
		}
		if err != nil {
			panic(err)
		}
		for _, polygon := range polygons {
			var ring []point // the outer one; an enclave is drawn over the country around it
			for _, n := range polygon[0] {
				if n >= 0 {
					ring = append(ring, arcs[n]...)
				} else {
					back := slices.Clone(arcs[^n])
					slices.Reverse(back)
					ring = append(ring, back...)
				}
			}
			countries[cmp.Or(code, "--")] = append(countries[cmp.Or(code, "--")], ring)
		}
	}
	// The largest come first, so that enclaves are drawn last.
	var codes []string
	for code, rings := range countries {
		codes = append(codes, code)
		slices.SortFunc(rings, func(a, b []point) int { return cmp.Compare(area(b), area(a)) })
	}
	slices.SortFunc(codes, func(a, b string) int {
		return cmp.Or(cmp.Compare(area(countries[b][0]), area(countries[a][0])), strings.Compare(a, b))
	})
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, "# Natural Earth 1:50m countries (public domain), made by outlines_make.go. A line is a country")
	fmt.Fprintln(out, "# and its parts: the first point and the way to each next one, in 1/20 degree to the east and south.")
	for _, code := range codes {
		fmt.Fprint(out, code)
		for i, ring := range countries[code] {
			if i > 0 && area(ring) < smallest {
				continue
			}
			x, y := 0, 0
			var text []string
			for _, p := range ring {
				nx, ny := int(math.Round(p.x*perDegree)), int(math.Round(p.y*perDegree))
				if len(text) > 0 && nx == x && ny == y {
					continue
				}
				text = append(text, strconv.Itoa(nx-x)+" "+strconv.Itoa(ny-y))
				x, y = nx, ny
			}
			if len(text) > 2 || i == 0 {
				fmt.Fprint(out, "|", strings.Join(text, " "))
			}
		}
		fmt.Fprintln(out)
	}
}

// simplify leaves out the points of an arc that say least (Visvalingam). Its ends stay, so
// that countries keep their common borders.
func simplify(arc []point) []point {
	for len(arc) > 2 {
		least, at := detail, -1
		if arc[0] == arc[len(arc)-1] && len(arc) <= 6 {
			break // a small island
		}
		for i := 1; i < len(arc)-1; i++ {
			a, b, c := arc[i-1], arc[i], arc[i+1]
			if size := math.Abs((b.x-a.x)*(c.y-a.y)-(c.x-a.x)*(b.y-a.y)) / 2; size < least {
				least, at = size, i
			}
		}
		if at < 0 {
			break
		}
		arc = slices.Delete(arc, at, at+1)
	}
	return arc
}

func area(ring []point) (sum float64) {
	for i := range ring {
		a, b := ring[i], ring[(i+1)%len(ring)]
		sum += a.x*b.y - b.x*a.y
	}
	return math.Abs(sum) / 2
}
