// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opsrelay/opsrelay/deploy/stack"
)

// result is everything that was measured for one number of databases.
type result struct {
	Time               time.Time `json:"time"`
	Machine            string    `json:"machine"`
	N                  int       `json:"databases"`
	VolumesPerDatabase int       `json:"volumesPerDatabase"`
	Shape              string    `json:"shape"`
	Replicas           int       `json:"replicas"`
	NATS               string    `json:"nats"`
	Pairs              []pair    `json:"pairs"`
	Idle               cost      `json:"idle"`
	IdleSeconds        float64   `json:"idleSeconds"`
	Waiting            *cost     `json:"waiting,omitempty"` // nil if that was not asked for
	WaitingSeconds     float64   `json:"waitingSeconds,omitempty"`
	Ratio              ratios    `json:"ratio"`
}

// pair is floor and Opsrelay, one after the other.
type pair struct {
	Floor    *round `json:"floor"`
	Opsrelay *round `json:"opsrelay"`
}

// round is one turn. Times are in seconds.
type round struct {
	Makespan float64 `json:"makespan"`
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	Stages   []stage `json:"stages,omitempty"`
	Cost     cost    `json:"cost"`
}

// stage is a part of a request's way, named by the fact that ends it.
type stage struct {
	Name string  `json:"name"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
}

// cost is what a turn cost, whole: not per database.
type cost struct {
	Requests requests          `json:"requests"`
	Messages map[string]uint64 `json:"messages"`
	Usage    map[string]usage  `json:"usage"`
}

// ratios are Opsrelay to floor, pair by pair.
type ratios struct {
	Makespan spread `json:"makespan"`
	P50      spread `json:"p50"`
}

// spread is what is said of a few numbers.
type spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func spreadOf(numbers []float64) spread {
	slices.Sort(numbers)
	return spread{numbers[0], percentile(numbers, 50), numbers[len(numbers)-1]}
}

func (r *result) summarize() {
	r.Ratio.Makespan = spreadOf(r.each(func(p pair) float64 { return p.Opsrelay.Makespan / p.Floor.Makespan }))
	r.Ratio.P50 = spreadOf(r.each(func(p pair) float64 { return p.Opsrelay.P50 / p.Floor.P50 }))
}

func (r *result) each(number func(pair) float64) []float64 {
	var numbers []float64
	for _, p := range r.Pairs {
		numbers = append(numbers, number(p))
	}
	return numbers
}

func (r *result) median(number func(pair) float64) float64 { return spreadOf(r.each(number)).Median }

// services are the names of the relay's services.
func services() []string { return stack.Relay }

// perDatabase is the number of requests of a class per database, over all pairs.
func (r *result) perDatabase(class string, services ...string) float64 {
	sum := 0
	for _, p := range r.Pairs {
		sum += p.Opsrelay.Cost.Requests.of(class, services)
	}
	return float64(sum) / float64(len(r.Pairs)*r.N)
}

// write writes base.json and base.svg.
func (r *result) write(base string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.WriteFile(base+".svg", []byte(r.plot()), 0o600)
}

// table is the result for people.
func (r *result) table() string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) } // memory takes everything
	say("\n%d databases of %d volumes, shape %s, %d replicas, NATS %s, %d pairs; %s\n",
		r.N, r.VolumesPerDatabase, r.Shape, r.Replicas, r.NATS, len(r.Pairs), r.Machine)
	r.tellTimes(say)
	r.tellStages(say)
	r.tellRequests(say)
	r.tellUsage(say)
	r.tellWaiting(say)
	_ = out.Flush() // as above
	return text.String()
}

func (r *result) tellTimes(say func(string, ...any)) {
	say("MEDIAN OF PAIRS\tP50\tP95\tP99\tMAKESPAN")
	for _, who := range []struct {
		name string
		of   func(pair) *round
	}{{"floor", func(p pair) *round { return p.Floor }}, {"opsrelay", func(p pair) *round { return p.Opsrelay }}} {
		say("%s\t%s\t%s\t%s\t%s", who.name,
			brief(r.median(func(p pair) float64 { return who.of(p).P50 })), brief(r.median(func(p pair) float64 { return who.of(p).P95 })),
			brief(r.median(func(p pair) float64 { return who.of(p).P99 })), brief(r.median(func(p pair) float64 { return who.of(p).Makespan })))
	}
	say("")
	say("RATIO, PAIR BY PAIR\tMEDIAN\tMIN\tMAX")
	say("p50\t%.2f\t%.2f\t%.2f", r.Ratio.P50.Median, r.Ratio.P50.Min, r.Ratio.P50.Max)
	say("makespan\t%.2f\t%.2f\t%.2f", r.Ratio.Makespan.Median, r.Ratio.Makespan.Min, r.Ratio.Makespan.Max)
}

func (r *result) tellStages(say func(string, ...any)) {
	say("\nSTAGE, UNTIL\tP50\tP95")
	for i, s := range r.Pairs[0].Opsrelay.Stages {
		say("%s\t%s\t%s", s.Name, brief(r.median(func(p pair) float64 { return p.Opsrelay.Stages[i].P50 })),
			brief(r.median(func(p pair) float64 { return p.Opsrelay.Stages[i].P95 })))
	}
}

func (r *result) tellRequests(say func(string, ...any)) {
	say("\nAPI REQUESTS PER DATABASE\tOWN WRITES\tCLAIM PATCHES\tEVENTS\tREADS\tWATCHES")
	line := func(name string, services ...string) {
		say("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f", name, r.perDatabase(classWrite, services...), r.perDatabase(classClaim, services...),
			r.perDatabase(classEvent, services...), r.perDatabase(classRead, services...), r.perDatabase(classWatch, services...))
	}
	for _, service := range services() {
		line(service, service)
	}
	line("all four", services()...)
	for _, service := range stack.KubeDB {
		line("("+service+")", service)
	}
	say("\nBY VERB AND RESOURCE\t")
	for _, service := range append(append([]string{}, services()...), stack.KubeDB...) {
		counts := map[string]int{}
		for _, p := range r.Pairs {
			for what, count := range p.Opsrelay.Cost.Requests[service] {
				counts[what] += count
			}
		}
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			say("%s\t%s\t%.2f", service, what, float64(counts[what])/float64(len(r.Pairs)*r.N))
		}
	}
}

func (r *result) tellUsage(say func(string, ...any)) {
	say("\nPROCESS\tCPU PER DATABASE\tPEAK RSS\tIDLE RSS\tOF IT ITS OWN\tCPU IDLE\tCPU OF A FLOOR ROUND")
	for _, name := range slices.Sorted(maps.Keys(r.Idle.Usage)) {
		var peak float64
		for _, p := range r.Pairs {
			peak = max(peak, p.Opsrelay.Cost.Usage[name].Peak)
		}
		idle := r.Idle.Usage[name]
		say("%s\t%.1f ms\t%.0f MiB\t%.0f MiB\t%.0f MiB\t%.1f %%\t%.2f s", name,
			1000*r.median(func(p pair) float64 { return p.Opsrelay.Cost.Usage[name].CPU })/float64(r.N), peak, idle.RSS, idle.Own,
			100*idle.CPU/max(r.IdleSeconds, 1), r.median(func(p pair) float64 { return p.Floor.Cost.Usage[name].CPU }))
	}
	say("\nJETSTREAM MESSAGES\tPER DATABASE\tIDLE, %.0f s", r.IdleSeconds)
	for _, name := range slices.Sorted(maps.Keys(r.Idle.Messages)) {
		say("%s\t%.2f\t%d", name, r.median(func(p pair) float64 { return float64(p.Opsrelay.Cost.Messages[name]) })/float64(r.N), r.Idle.Messages[name])
	}
	say("\nIDLE, %.0f s: %d API requests besides watches, %d messages", r.IdleSeconds, r.Idle.Requests.besidesWatches(), sum(r.Idle.Messages))
}

// tellWaiting tells what it costs to wait.
func (r *result) tellWaiting(say func(string, ...any)) {
	if r.Waiting == nil {
		return
	}
	say("\nWAITING FOR %d VOLUMES\tCPU\tRSS\tOF IT ITS OWN", r.N*r.VolumesPerDatabase)
	for _, name := range slices.Sorted(maps.Keys(r.Waiting.Usage)) {
		u := r.Waiting.Usage[name]
		say("%s\t%.1f %%\t%.0f MiB\t%.0f MiB", name, 100*u.CPU/r.WaitingSeconds, u.RSS, u.Own)
	}
	say("\nWAITING, %.0f s: %d API requests besides watches, %d messages", r.WaitingSeconds, r.Waiting.Requests.besidesWatches(), sum(r.Waiting.Messages))
}
