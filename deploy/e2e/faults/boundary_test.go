// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// scenario is one way through the relay. run goes it once, for the nth time in
// the lane, and returns when its request has ended as it must.
type scenario struct {
	name string
	// of is the service whose points are tried again in this scenario though an
	// earlier one has them.
	of  string
	run func(l *lane, n int)
}

// scenarios are the ways through the relay: together they come to every point.
var scenarios = []scenario{
	{"online", "", func(l *lane, n int) {
		name := fmt.Sprintf("grow-%d", n)
		l.create(expansion(name, "sdb", 0, 1+n, 10+n))
		l.mustEnd(name, kubedb.OpsSuccessful)
	}},
	{"offline", "expander", func(l *lane, n int) {
		name := fmt.Sprintf("grow-%d", n)
		for _, claim := range []string{"data-sdb-aggregator-0", "data-sdb-leaf-0", "data-sdb-leaf-1"} {
			l.fault(claim, cluster.Fault{OfflineOnly: true})
		}
		request := expansion(name, "sdb", 0, 1+n, 10+n)
		request.Spec.VolumeExpansion.Mode = kubedb.ModeOffline
		l.create(request)
		l.mustEnd(name, kubedb.OpsSuccessful)
		await(l, l.databases, "sdb", "Ready", func(db *kubedb.Singlestore) bool { return db.Status.Phase == kubedb.DatabaseReady })
	}},
	{"statefulset", "", func(l *lane, n int) {
		l.createOnStatefulSet(standalone("one"))
		name := fmt.Sprintf("grow-%d", n)
		request := expansion(name, "one", 1+n, 0, 0)
		request.Spec.Apply = kubedb.ApplyAlways // nobody says of it that it is Ready
		l.create(request)
		l.mustEnd(name, kubedb.OpsSuccessful)
	}},
	{"young pods", "", youngPods},
	{"infeasible", "", func(l *lane, n int) {
		name := fmt.Sprintf("grow-%d", n)
		undo := l.fault("data-sdb-leaf-1", cluster.Fault{Code: "OUT_OF_RANGE", Message: "the pool is full"})
		l.create(expansion(name, "sdb", 0, 0, 10+n))
		l.mustEnd(name, kubedb.OpsFailed)
		undo()
	}},
	{"recovered", "expander", func(l *lane, n int) {
		name := fmt.Sprintf("grow-%d", n)
		undo := l.fault("data-sdb-leaf-1", cluster.Fault{Code: "OUT_OF_RANGE", Message: "the pool is full", Above: 11<<30 - 1})
		request := expansion(name, "sdb", 0, 0, 10+n)
		request.Annotations = map[string]string{kubedb.AnnotationInfeasible: kubedb.InfeasibleRecover}
		l.create(request)
		l.mustEnd(name, kubedb.OpsFailed)
		undo()
	}},
	{"cancelled", "", func(l *lane, n int) {
		name := fmt.Sprintf("grow-%d", n)
		undo := l.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
		l.create(expansion(name, "sdb", 0, 0, 10+n))
		l.condition(name, kubedb.ConditionDatabasePauseSucceeded)
		require.NoError(l.t, l.client.SinglestoreOpsRequests(l.namespace).Delete(l.ctx, name, metav1.DeleteOptions{}))
		await(l, l.requests, name, "gone", func(r *kubedb.SinglestoreOpsRequest) bool { return r == nil })
		l.isResumed("sdb") // a request is gone before that
		undo()
	}},
	{"rejected", "", func(l *lane, n int) {
		name := fmt.Sprintf("shrink-%d", n)
		l.create(expansion(name, "sdb", 0, 0, 5))
		l.mustEnd(name, kubedb.OpsFailed)
	}},
}

// mustEnd waits until the request ends, in the phase that it must have, with its
// database resumed.
func (l *lane) mustEnd(name string, phase kubedb.OpsRequestPhase) {
	request := l.ended(name)
	require.Equal(l.t, phase, request.Status.Phase, "%+v", request.Status.Conditions)
	l.resumed(request.Spec.DatabaseRef.Name)
}

// fault makes the storage driver misbehave for a claim until undo is called.
func (l *lane) fault(claim string, fault cluster.Fault) (undo func()) {
	volume := cluster.ClaimVolume(l.namespace, claim)
	require.NoError(l.t, shared.Cluster.SetFault(l.ctx, volume, fault))
	return func() { require.NoError(l.t, shared.Cluster.ClearFault(context.WithoutCancel(l.ctx), volume)) }
}

// point is one fault point of a service, at one of its hits.
type point struct {
	service, name string
	nth           int
}

// laneLength is how many points are tried one after the other in one lane.
const laneLength = 12

// Rows F01 to F06 of the failures, and every other boundary:
// SIGKILL at every point that a service comes to. The request ends right all the same, and nothing is done twice.
func TestF01_F02_F03_F04_F05_F06_EveryBoundary(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	lists := discover(t)
	requireEveryWriteIsThere(t, lists)
	known := map[string]bool{}
	t.Run("faults", func(t *testing.T) {
		for i, s := range scenarios {
			for at, points := range slices.Collect(slices.Chunk(s.choose(lists[i], known), laneLength)) {
				t.Run(fmt.Sprintf("%s-%d", s.name, at), func(t *testing.T) {
					t.Parallel()
					s.kill(t, points)
				})
			}
		}
		t.Run("frozen", func(t *testing.T) {
			t.Parallel()
			freeze(t, scenarios[0], lists[0])
		})
	})
}

// discover goes each way once, undisturbed, and returns which points it came to.
func discover(t *testing.T) [][]point {
	lists := make([][]point, len(scenarios))
	t.Run("discover", func(t *testing.T) {
		for i, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				l := s.lane(t, stack.Relay)
				s.run(l, 1)
				l.settled()
				lists[i] = l.traced()
				require.NotEmpty(t, lists[i])
			})
		}
	})
	return lists
}

// lane returns a lane with a database, where the services leave traces.
func (s scenario) lane(t *testing.T, traced []string) *lane {
	l := newLane(t, stack.Options{AckWait: time.Second})
	for _, service := range traced {
		require.NoError(t, os.WriteFile(l.trace(service), nil, 0o600))
	}
	l.createDatabases(topology("sdb"))
	return l
}

// trace is where a service tells which points it comes to.
func (l *lane) trace(service string) string { return filepath.Join(l.points, service+".trace") }

// traced are the points that the services came to.
func (l *lane) traced() []point {
	var points []point
	for _, service := range stack.Relay {
		data, err := os.ReadFile(l.trace(service))
		require.NoError(l.t, err)
		hits := map[string]int{}
		for name := range strings.Lines(string(data)) {
			name = strings.TrimSpace(name)
			hits[name]++
			points = append(points, point{service, name, hits[name]})
		}
	}
	return points
}

// everyTime is set in the environment to kill at a point each time that a service
// comes there, not the first time only.
const everyTime = "OPSRELAY_EVERY_TIME"

// choose leaves out the points that an earlier scenario has, and unless everyTime
// is set all hits but the first. Of the watcher's, which folds every fact in the
// same way, the first two are enough in any case.
func (s scenario) choose(points []point, known map[string]bool) []point {
	var chosen []point
	chosenNow := map[string]bool{}
	for _, p := range points {
		if p.nth > 1 && os.Getenv(everyTime) == "" || p.service == "watcher" && p.nth > 2 {
			continue
		}
		if key := p.service + p.name; !known[key] || p.service == s.of {
			chosenNow[key] = true
			chosen = append(chosen, p)
		}
	}
	maps.Copy(known, chosenNow)
	return chosen
}

// kill tries the points one after the other.
func (s scenario) kill(t *testing.T, points []point) {
	l := s.lane(t, nil)
	runs := 0
	for _, p := range points {
		t.Run(fmt.Sprintf("%s/%s#%d", p.service, p.name, p.nth), func(t *testing.T) {
			l.t = t
			died := l.killAt(p)
			// A service that writes less this time comes to the point the next time.
			for reached := false; !reached; {
				runs++
				s.run(l, runs)
				l.settled()
				select {
				case err := <-died:
					require.NoError(t, err)
					reached = true
				default:
					require.Less(t, runs, 10*len(points), "nobody comes to this point")
				}
			}
		})
		l.t = t
		if t.Failed() {
			return
		}
	}
}

// killAt has the service killed at the point, and starts it again once it is
// dead. The channel says when that is done.
func (l *lane) killAt(p point) <-chan error {
	died := l.stack.Died(p.service)
	l.arm(p.service, fmt.Sprintf("%s#%d=kill", p.name, p.nth))
	done := make(chan error, 1)
	go func() {
		select {
		case <-died:
			reaped := l.stack.KillService(p.service)
			done <- errors.Join(reaped, l.stack.StartService(p.service))
		case <-l.ctx.Done():
			done <- context.Cause(l.ctx)
		}
	}()
	return done
}

// freeze stops a process before each of its effects, for so long that another
// replica finishes, and wakes it up when the request has ended: it does nothing.
func freeze(t *testing.T, s scenario, points []point) {
	var replicas []string
	for _, service := range stack.Relay {
		replicas = append(replicas, service, service+".2")
	}
	l := newLane(t, stack.Options{AckWait: time.Second, Processes: replicas})
	l.createDatabases(topology("sdb"))
	runs := 0
	for _, p := range points {
		if p.nth > 1 || !strings.HasPrefix(p.name, "before") {
			continue
		}
		t.Run(p.service+"/"+p.name, func(t *testing.T) {
			l.t = t
			l.arm(p.service, p.name+"#1=freeze")
			for armed := true; armed; {
				runs++
				s.run(l, runs)
				_, err := os.Stat(filepath.Join(l.points, p.service))
				armed = err == nil
			}
			for _, name := range []string{p.service, p.service + ".2"} {
				require.NoError(t, l.stack.Signal(name, syscall.SIGCONT))
			}
			l.settled()
			l.resumed("sdb")
		})
		l.t = t
		if t.Failed() {
			return
		}
	}
}
