// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Row 50: the clock of one process is an hour ahead, or behind. Requests go their
// way, what never grows fails when its time is up and not before, and no fact says
// a wrong time.
func TestF50_TheClockOfOneProcessIsOff(t *testing.T) {
	t.Parallel()
	for _, off := range []string{"1h", "-1h"} {
		for _, service := range stack.Relay {
			t.Run(service+" "+off, func(t *testing.T) {
				t.Parallel()
				l := newLane(t, stack.Options{})
				require.NoError(t, l.stack.StopService(service))
				require.NoError(t, os.WriteFile(filepath.Join(l.points, service+".clock"), []byte(off), 0o600))
				require.NoError(t, l.stack.StartService(service))
				l.createDatabases(topology("sdb"))
				began := time.Now()
				l.create(expansion("grow", "sdb", 0, 2, 11))
				l.mustEnd("grow", kubedb.OpsSuccessful)

				l.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
				late := expansion("late", "sdb", 0, 0, 12)
				late.Spec.Timeout = &metav1.Duration{Duration: 20 * time.Second} // a busy machine needs some for the pause
				l.create(late)
				l.mustEnd("late", kubedb.OpsFailed)
				requested, _ := l.claim("data-sdb-leaf-0")
				require.Equal(t, "12Gi", requested, "it had its time")
				l.timesAreWithin(began, time.Now())
			})
		}
	}
}

// timesAreWithin requires that every fact in the broker is from that time, and
// that no step was given more than half an hour from then.
func (l *lane) timesAreWithin(began, ended time.Time) {
	const noise = 5 * time.Second // clocks that differ less are not corrected by the broker's
	l.broker(func(js jetstream.JetStream) {
		stream, err := js.Stream(l.ctx, events.Stream)
		require.NoError(l.t, err)
		for message := range l.facts(stream) {
			e, err := events.Decode(message.Subject, message.Header, message.Data)
			require.NoError(l.t, err)
			require.WithinRange(l.t, e.Time, began.Add(-noise), ended.Add(noise), e.ID())
			if !e.Fact.Ends() {
				require.Equal(l.t, e.Operation.StepTimeout.Duration(), e.Operation.Deadline.Sub(e.Time), e.ID())
			}
		}
	})
}
