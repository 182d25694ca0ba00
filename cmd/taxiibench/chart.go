package main

import (
	"bytes"
	"fmt"
	"html"
)

// chart draws the ratios to the limits as bars, with their range and the
// target. Bars are longer where comity is better: a ratio that is wanted small
// is drawn upside down. A target far beyond 1 is drawn at 1, and its bar in
// proportion.
func chart(lines []line) []byte {
	type bar struct {
		label, value        string
		at, low, high, want float64
		met                 bool
		peer                string
	}
	const (
		left, scale, most = 360, 260, 1.5 // pixels of labels; of a ratio of 1; the largest ratio drawn
		step, top         = 24, 64
		width             = 1360
	)
	var bars []bar
	for _, l := range lines {
		if l.VsLimit == nil {
			continue
		}
		b := bar{
			label: fmt.Sprintf("%d  %s", l.Row, l.Name), at: l.VsLimit.Median, low: l.VsLimit.Low, high: l.VsLimit.High, want: l.Target, met: l.met(0),
			value: fmt.Sprintf("%s × %s", figure(l.VsLimit.Median), l.Limit),
		}
		if l.AtMost {
			b.at, b.low, b.high = 1/b.at, 1/b.high, 1/b.low
			if b.want > 0 {
				b.want = 1 / b.want
			}
		}
		if b.want > most {
			b.at, b.low, b.high, b.want = b.at/b.want, b.low/b.want, b.high/b.want, 1
			b.value += fmt.Sprintf(", wanted ≤ %s", figure(l.Target))
		}
		if l.VsPeer != nil {
			b.peer = fmt.Sprintf("; %s × better than %s", figure(l.VsPeer.Median), l.Peer)
		}
		bars = append(bars, b)
	}
	x := func(ratio float64) float64 { return left + scale*min(max(ratio, 0), most) }
	var b bytes.Buffer
	height := top + step*len(bars) + 16
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>comity beside the physical limit</title>
<rect width="%[1]d" height="%[2]d" fill="#fff"/>
<text x="16" y="24" font-size="15" font-weight="bold" fill="#222">comity beside the physical limit</text>
<text x="16" y="42" fill="#555">Longer is better; 1 is the limit, or the target where that is far beyond. The thin line is the range of the rounds, the upright mark the target.</text>
`, width, height)
	for _, grid := range []float64{0, 0.5, 1, 1.5} {
		colour := "#ddd"
		if grid == 1 {
			colour = "#888"
		}
		vertical(&b, x(grid), top-4, height-12, colour, 1)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#777">%g</text>`+"\n", x(grid), top-8, grid)
	}
	for i, r := range bars {
		y := top + step*i
		colour := "#2f7d4f"
		if !r.met {
			colour = "#c77d1e"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#222">%s</text>`+"\n", left-8, y+13, html.EscapeString(r.label))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="12" fill="%s"/>`+"\n", left, y+3, x(r.at)-left, colour)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="1" fill="#222"/>`+"\n", x(r.low), float64(y)+8.5, x(r.high)-x(r.low))
		if r.want > 0 {
			vertical(&b, x(r.want), y, y+18, "#b00020", 2)
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#444">%s</text>`+"\n", x(most)+12, y+13, html.EscapeString(r.value+r.peer))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func vertical(b *bytes.Buffer, x float64, from, to int, colour string, width int) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="%d"/>`+"\n", x, from, x, to, colour, width)
}
