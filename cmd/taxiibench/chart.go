package main

import (
	"bytes"
	"fmt"
	"html"
)

// chart draws the ratios to the limits as bars, with their range and the target. A
// longer bar is better: if a small ratio is better, its inverse is drawn. If the target
// is beyond the scale, the ratio is drawn as a share of the target.
func chart(lines []line) []byte {
	const (
		left, scale, most = 360, 260, 1.5 // width of the labels and of a ratio of 1 in pixels; the largest ratio drawn
		step, top, width  = 24, 64, 1360
	)
	x := func(ratio float64) float64 { return left + scale*min(max(ratio, 0), most) }
	var bars bytes.Buffer
	y := top
	for _, l := range lines {
		if l.VsLimit == nil {
			continue
		}
		at, low, high, want := l.VsLimit.Median, l.VsLimit.Low, l.VsLimit.High, l.Target
		if l.AtMost {
			at, low, high, want = 1/at, 1/high, 1/low, 1/want
		}
		value := fmt.Sprintf("%s × %s", figure(l.VsLimit.Median), l.Limit)
		if want > most {
			at, low, high, want = at/want, low/want, high/want, 1
			value += ", wanted " + l.target()
		}
		if l.VsPeer != nil {
			value = fmt.Sprintf("%s × %s; ", figure(l.VsPeer.Median), l.Peer) + value
		}
		colour := "#2f7d4f"
		if !l.met(0) {
			colour = "#c77d1e"
		}
		fmt.Fprintf(&bars, `<text x="%d" y="%d" text-anchor="end" fill="#222">%s</text>`+"\n", left-8, y+13, html.EscapeString(l.Name))
		fmt.Fprintf(&bars, `<rect x="%d" y="%d" width="%.1f" height="12" fill="%s"/>`+"\n", left, y+3, x(at)-left, colour)
		fmt.Fprintf(&bars, `<rect x="%.1f" y="%.1f" width="%.1f" height="1" fill="#222"/>`+"\n", x(low), float64(y)+8.5, x(high)-x(low))
		upright(&bars, x(want), y, y+18, "#b00020", 2)
		fmt.Fprintf(&bars, `<text x="%.1f" y="%d" fill="#444">%s</text>`+"\n", x(most)+12, y+13, html.EscapeString(value))
		y += step
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>comity beside the limit of each workload</title>
<rect width="%[1]d" height="%[2]d" fill="#fff"/>
<text x="16" y="24" font-size="15" font-weight="bold" fill="#222">comity beside the limit of each workload</text>
<text x="16" y="42" fill="#555">Longer is better; 1 is the limit. The thin line is the range of the rounds, the upright mark the target.</text>
`, width, y+16)
	for _, grid := range []float64{0, 0.5, 1, 1.5} {
		upright(&b, x(grid), top-4, y+4, "#ccc", 1)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#777">%g</text>`+"\n", x(grid), top-8, grid)
	}
	b.Write(bars.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func upright(b *bytes.Buffer, x float64, from, to int, colour string, width int) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="%d"/>`+"\n", x, from, x, to, colour, width)
}
