package console

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"comity/stix/report"
)

//go:embed outlines.txt
var outlineText string

// outline is a country as a map draws it.
type outline struct {
	code  string // ISO 3166-1 alpha-2; "--" for land without one
	parts []part // the largest first
}

// part is one piece of land, in 1/20 degree to the east and to the south.
type part struct {
	box
	path             string // of SVG
	middleX, middleY float64
}

// box is a rectangle on the map.
type box struct{ west, north, east, south float64 }

// outlines are all countries, by the size of their largest parts.
var outlines = sync.OnceValue(func() (all []outline) {
	for line := range strings.Lines(outlineText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		pieces := strings.Split(strings.TrimSpace(line), "|")
		o := outline{code: pieces[0]}
		for _, piece := range pieces[1:] {
			o.parts = append(o.parts, readPart(piece))
		}
		all = append(all, o)
	}
	return all
})

// readPart reads the first point of a part and the way to each next one.
func readPart(text string) part {
	fields := strings.Fields(text)
	p := part{path: "M" + strings.Join(fields[:2], " ") + "l" + strings.Join(fields[2:], " ") + "z", box: nowhere}
	var xs, ys []float64
	var x, y float64
	for i := 0; i < len(fields); i += 2 {
		dx, _ := strconv.ParseFloat(fields[i], 64)
		dy, _ := strconv.ParseFloat(fields[i+1], 64)
		x, y = x+dx, y+dy
		xs, ys, p.box = append(xs, x), append(ys, y), p.with(box{x, y, x, y})
	}
	// The middle is the centroid of the polygon.
	var twice float64
	for i := range xs {
		next := (i + 1) % len(xs)
		cross := xs[i]*ys[next] - xs[next]*ys[i]
		twice += cross
		p.middleX += cross * (xs[i] + xs[next])
		p.middleY += cross * (ys[i] + ys[next])
	}
	p.middleX, p.middleY = p.middleX/(3*twice), p.middleY/(3*twice)
	return p
}

// nowhere is a box that has no point.
var nowhere = box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}

// with is the smallest box around both.
func (b box) with(c box) box {
	return box{min(b.west, c.west), min(b.north, c.north), max(b.east, c.east), max(b.south, c.south)}
}

func (b box) meets(c box) bool {
	return b.west < c.east && c.west < b.east && b.north < c.south && c.north < b.south
}

func (b box) size() float64 { return max(b.east-b.west, 1) * max(b.south-b.north, 1) }

// chartMap is a map of the part of the world where the counts are: a circle in each country,
// whose area is its count.
type chartMap struct {
	Width, Height  float64
	ScaleX, ScaleY float64 // of the land
	West, North    float64
	Land           []land
	Circles        []circle
}

// land is one piece of land.
type land struct {
	Path    string
	Counted bool
}

// circle is the count of a country.
type circle struct {
	X, Y, R, LabelY float64
	Code, Title     string
	Count           int
}

// How a map is drawn: its width, the radius of the largest circle, and the smallest part of
// the world that it shows, in 1/20 degree.
const (
	mapWidth   = 700
	mostRadius = 30
	leastSide  = 240
)

// mapOf is the map of some counts by country; nil if none of these countries is on it.
func mapOf(counts map[string]int) *chartMap {
	frame, most := nowhere, 0
	for _, o := range outlines() {
		if counts[o.code] == 0 {
			continue
		}
		most = max(most, counts[o.code])
		for _, p := range o.parts {
			if p.size() >= o.parts[0].size()/10 {
				frame = frame.with(p.box)
			}
		}
	}
	if most == 0 {
		return nil
	}
	frame = frame.framed()
	middle := (frame.north + frame.south) / 2 / 20 * math.Pi / 180
	m := &chartMap{Width: mapWidth, West: -frame.west, North: -frame.north}
	m.ScaleX = mapWidth / (frame.east - frame.west)
	m.ScaleY = m.ScaleX / math.Cos(middle) // true to shape in the middle
	m.Height = math.Round((frame.south - frame.north) * m.ScaleY)
	for _, o := range outlines() {
		for _, p := range o.parts {
			if p.meets(frame) {
				m.Land = append(m.Land, land{p.path, counts[o.code] > 0})
			}
		}
		if n := counts[o.code]; n > 0 {
			c := circle{
				X: (o.parts[0].middleX - frame.west) * m.ScaleX, Y: (o.parts[0].middleY - frame.north) * m.ScaleY,
				R: max(3, math.Round(mostRadius*math.Sqrt(float64(n)/float64(most)))), Code: o.code, Count: n,
				Title: fmt.Sprintf("%s: %s", report.CountryName(o.code), number(n)),
			}
			m.Circles = append(m.Circles, c)
		}
	}
	spread(m.Circles)
	return m
}

// spread moves circles that cover each other apart, so that each can be read with its label.
func spread(circles []circle) {
	const label = 9 // half its height
	for range 100 {
		for i := range circles {
			for j := range circles[:i] {
				a, b := &circles[i], &circles[j]
				dx, dy := a.X-b.X, a.Y-b.Y
				apart := math.Hypot(dx, dy)
				if apart == 0 {
					dy, apart = 1, 1
				}
				if by := (a.R + b.R + 2*label - apart) / 2; by > 0 {
					a.X, a.Y, b.X, b.Y = a.X+dx/apart*by, a.Y+dy/apart*by, b.X-dx/apart*by, b.Y-dy/apart*by
				}
			}
		}
	}
	for i := range circles {
		c := &circles[i]
		c.X, c.Y = math.Round(c.X), math.Round(c.Y)
		c.LabelY = c.Y + c.R + 14
	}
}

// framed is b with a margin, neither very small nor much longer than wide.
func (b box) framed() box {
	wide, high := max(b.east-b.west, leastSide)*1.16, max(b.south-b.north, leastSide/2)*1.16
	wide, high = max(wide, high*1.2), max(high, wide*0.4)
	x, y := (b.west+b.east)/2, (b.north+b.south)/2
	return box{x - wide/2, max(y-high/2, -1700), x + wide/2, min(y+high/2, 1200)}
}
