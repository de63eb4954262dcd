// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 760
	plotLeft   = 90
	plotBar    = 16
	plotGap    = 12
	plotTop    = 40
	plotRight  = 70
	plotColour = "#4c6ef5"
	floorGrey  = "#adb5bd"
)

// stageColours are those of the stages, in their order.
var stageColours = []string{"#74c0fc", "#ffd43b", "#69db7c", "#ffa94d", "#da77f2", "#868e96"}

// plot draws an SVG: makespans pair by pair, and below where a median request's
// time goes.
func (r *result) plot() string {
	longest := 0.0
	for _, p := range r.Pairs {
		longest = max(longest, p.Floor.Makespan, p.Opsrelay.Makespan)
	}
	scale := float64(plotWidth-plotLeft-plotRight) / longest
	var body strings.Builder
	y := plotTop
	bar := func(label string, width float64, colour, text string) {
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			plotLeft-8, y+plotBar-4, label, plotLeft, y, width, plotBar, colour, float64(plotLeft)+width+6, y+plotBar-4, text)
		y += plotBar
	}
	for _, p := range r.Pairs {
		bar("floor", p.Floor.Makespan*scale, floorGrey, brief(p.Floor.Makespan))
		bar("opsrelay", p.Opsrelay.Makespan*scale, plotColour, fmt.Sprintf("%s, %.2fx", brief(p.Opsrelay.Makespan), p.Opsrelay.Makespan/p.Floor.Makespan))
		y += plotGap
	}
	y = r.plotStages(&body, y+plotGap)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">
<rect width="100%%" height="100%%" fill="white"/>
<text x="10" y="20" font-size="14">Makespan of %d databases of %d volumes (NATS %s, %d replicas)</text>
%s</svg>
`, plotWidth, y+plotGap, r.N, r.VolumesPerDatabase, r.NATS, r.Replicas, body.String())
}

// plotStages draws the stages of a median request one after the other, and
// returns where it ended.
func (r *result) plotStages(body *strings.Builder, y int) int {
	total := 0.0
	widths := make([]float64, len(r.Pairs[0].Opsrelay.Stages))
	for i := range widths {
		widths[i] = r.median(func(p pair) float64 { return p.Opsrelay.Stages[i].P50 })
		total += widths[i]
	}
	fmt.Fprintf(body, `<text x="10" y="%d" font-size="14">Where the time of a median request goes</text>`+"\n", y+plotBar)
	y += 2 * plotBar
	at := float64(plotLeft)
	for i, width := range widths {
		width *= float64(plotWidth-plotLeft-plotRight) / total
		fmt.Fprintf(body, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", at, y, width, plotBar, stageColours[i%len(stageColours)])
		at += width
	}
	y += plotBar + plotGap
	for i, width := range widths {
		fmt.Fprintf(body, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">until %s: %s</text>`+"\n",
			plotLeft, y, stageColours[i%len(stageColours)], plotLeft+16, y+9, r.Pairs[0].Opsrelay.Stages[i].Name, brief(width))
		y += plotBar
	}
	return y
}
