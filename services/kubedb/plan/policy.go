// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Policy is what the people of a cluster allow, beyond what its API says.
type Policy struct {
	// MaxSize is the largest size of one volume; zero means any.
	MaxSize resource.Quantity
	// Limits says how often a volume may be expanded, by provisioner.
	Limits Limits
}

// DefaultMaxSize is the largest volume that the common storages offer. A larger
// one is a slip of the pen.
const DefaultMaxSize = "64Ti"

// AddFlags adds the flags of the policy. The watcher and whoever plans for it
// should be given the same.
func (p *Policy) AddFlags(flags *pflag.FlagSet) {
	p.MaxSize = resource.MustParse(DefaultMaxSize)
	flags.Var((*quantityFlag)(&p.MaxSize), "max-size", "the largest size that a volume may be expanded to; 0 for any")
	flags.Var(&p.Limits, "expansion-limit", "how often a provisioner expands one volume, as PROVISIONER=COUNT/TIME, for instance ebs.csi.aws.com=4/24h; a request over it waits, unpaused; repeatable, or with commas")
}

// quantityFlag is a quantity as a flag.
type quantityFlag resource.Quantity

func (q *quantityFlag) String() string { return (*resource.Quantity)(q).String() }
func (q *quantityFlag) Type() string   { return "quantity" }
func (q *quantityFlag) Set(text string) error {
	parsed, err := resource.ParseQuantity(text)
	if err != nil {
		return err
	}
	if parsed.Sign() < 0 {
		return fmt.Errorf("%s is negative", text)
	}
	*q = quantityFlag(parsed)
	return nil
}

// Limit is how often a volume may be expanded: so many times in any such time.
type Limit struct {
	Count int
	Time  time.Duration
}

// Limits are the limits by provisioner. They are a flag.
type Limits map[string]Limit

// String implements pflag.Value.
func (l *Limits) String() string {
	var texts []string
	for _, provisioner := range slices.Sorted(maps.Keys(*l)) {
		texts = append(texts, fmt.Sprintf("%s=%d/%s", provisioner, (*l)[provisioner].Count, (*l)[provisioner].Time))
	}
	return strings.Join(texts, ",")
}

// Type implements pflag.Value.
func (l *Limits) Type() string { return "limit" }

// Set implements pflag.Value: it adds limits.
func (l *Limits) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		provisioner, rest, _ := strings.Cut(part, "=")
		count, window, ok := strings.Cut(rest, "/")
		if !ok || provisioner == "" {
			return fmt.Errorf("%q is not PROVISIONER=COUNT/TIME", part)
		}
		limit := Limit{}
		var err error
		if limit.Count, err = strconv.Atoi(count); err != nil || limit.Count < 1 {
			return fmt.Errorf("%q: the count must be 1 or more", part)
		}
		if limit.Time, err = time.ParseDuration(window); err != nil || limit.Time <= 0 {
			return fmt.Errorf("%q: the time must be a duration like 24h", part)
		}
		if *l == nil {
			*l = Limits{}
		}
		(*l)[provisioner] = limit
	}
	return nil
}

// next is when a volume that was expanded at these times may be expanded again;
// zero if it may at once.
func (l Limit) next(times []time.Time, now time.Time) time.Time {
	if len(times) < l.Count {
		return time.Time{}
	}
	// In order even if clocks were not.
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	next := times[len(times)-l.Count].Add(l.Time)
	if !next.After(now) {
		return time.Time{}
	}
	return next
}
