// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestPolicyFlags(t *testing.T) {
	t.Parallel()
	parse := func(args ...string) (Policy, error) {
		var policy Policy
		flags := pflag.NewFlagSet("plan", pflag.ContinueOnError)
		policy.AddFlags(flags)
		return policy, flags.Parse(args)
	}
	policy, err := parse()
	require.NoError(t, err)
	require.Equal(t, "64Ti", policy.MaxSize.String())
	require.Empty(t, policy.Limits)

	policy, err = parse("--max-size=1Ti", "--expansion-limit=ebs.csi.aws.com=4/24h,a=1/6h", "--expansion-limit=b=2/90s")
	require.NoError(t, err)
	require.Equal(t, "1Ti", policy.MaxSize.String())
	require.Equal(t, Limits{"ebs.csi.aws.com": {4, 24 * time.Hour}, "a": {1, 6 * time.Hour}, "b": {2, 90 * time.Second}}, policy.Limits)
	require.Equal(t, "a=1/6h0m0s,b=2/1m30s,ebs.csi.aws.com=4/24h0m0s", policy.Limits.String())

	for _, wrong := range []string{"--max-size=much", "--max-size=-1Gi", "--expansion-limit=4/24h", "--expansion-limit==4/24h",
		"--expansion-limit=a=4", "--expansion-limit=a=0/24h", "--expansion-limit=a=x/24h", "--expansion-limit=a=4/day", "--expansion-limit=a=4/0s"} {
		_, err := parse(wrong)
		require.Error(t, err, wrong)
	}
}

func TestNextExpansion(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(hours ...int) []time.Time {
		var times []time.Time
		for _, h := range hours {
			times = append(times, noon.Add(-time.Duration(h)*time.Hour))
		}
		return times
	}
	limit := Limit{Count: 2, Time: 24 * time.Hour}
	cases := []struct {
		name  string
		times []time.Time
		next  time.Time
	}{
		{"never", nil, time.Time{}},
		{"once", ago(1), time.Time{}},
		{"twice", ago(5, 1), noon.Add(19 * time.Hour)},
		{"twice, in no order", ago(1, 5), noon.Add(19 * time.Hour)},
		{"once in the time, once before it", ago(30, 1), time.Time{}},
		{"as long ago as the limit says", ago(24, 1), time.Time{}},
		{"more than the limit says", ago(6, 5, 1), noon.Add(19 * time.Hour)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.next, limit.next(c.times, noon))
		})
	}
}
