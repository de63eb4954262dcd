// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

const (
	// leastFaults is how many faults a storm has at least.
	leastFaults = 200
	// stormDatabases is how many databases are expanded meanwhile.
	stormDatabases = 30
	// longestCalm is the longest pause between two faults, longestFreeze how long
	// a process is frozen at most: longer than the broker waits for it.
	longestCalm   = 200 * time.Millisecond
	longestFreeze = 3 * time.Second
	// faultsAtTheEnd is how many faults there are while the namespace goes.
	faultsAtTheEnd = 20
)

// A storm: while 30 databases grow again and again, processes are killed, frozen
// and restarted, the broker is, everything is delivered again, consumers are deleted
// and recreated, and somebody takes pauses away, as a seed says; at the end the
// namespace goes with requests under way. SEED replays one, DURATION lets it last
// longer (`make chaos`).
func TestStorm(t *testing.T) {
	t.Parallel()
	seed, lasts := stormOptions(t)
	t.Logf("storm: SEED=%d replays it", seed)
	var replicas []string
	for _, service := range stack.Relay {
		replicas = append(replicas, service, service+".2")
	}
	l := newLane(t, stack.Options{
		AckWait: time.Second, MaxDeliver: 100_000, Processes: replicas,
		Args: map[string][]string{"watcher": {"--redrive-after=5s"}},
	})
	var databases []*kubedb.Singlestore
	for i := range stormDatabases {
		databases = append(databases, standalone(fmt.Sprintf("sdb-%d", i)))
	}
	l.createDatabases(databases...)

	storm := &storm{lane: l, random: rand.New(rand.NewPCG(seed, 0)), replicas: replicas, faults: map[string]int{}}
	over := make(chan struct{})
	var growing sync.WaitGroup
	failures := make(chan string, stormDatabases)
	for _, db := range databases {
		growing.Go(func() { failures <- l.growUntil(over, db.Name) })
	}
	began := time.Now()
	for storm.count < leastFaults || time.Since(began) < lasts {
		if err := storm.strike(); err != nil {
			t.Errorf("SEED=%d, fault %d: %v", seed, storm.count, err)
			break
		}
	}
	storm.thaws.Wait()
	close(over)
	growing.Wait()
	t.Logf("storm: SEED=%d, %d faults in %s: %v", seed, storm.count, time.Since(began).Round(time.Second), storm.faults)
	for range databases {
		if failure := <-failures; failure != "" {
			t.Errorf("SEED=%d: %s", seed, failure)
		}
	}
	l.settled()
	requests := 0
	for uid, facts := range l.chains() {
		require.Equal(t, []events.Fact{events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed}, facts, uid)
		requests++
	}
	t.Logf("storm: %d requests", requests)
	require.GreaterOrEqual(t, requests, stormDatabases)
	storm.endOfNamespace(databases)
}

// endOfNamespace deletes the namespace while requests are under way and the storm
// goes on. Nothing of the relay keeps it, and every chain ends.
func (s *storm) endOfNamespace(databases []*kubedb.Singlestore) {
	s.checker.ExcuseNamespace()
	for _, db := range databases {
		s.create(expansion(db.Name+"-last", db.Name, 500, 0, 0))
	}
	require.NoError(s.t, shared.Clients.Core.CoreV1().Namespaces().Delete(s.ctx, s.namespace, metav1.DeleteOptions{}))
	for range faultsAtTheEnd {
		require.NoError(s.t, s.strike())
	}
	s.thaws.Wait()
	var last *corev1.Namespace
	require.Eventually(s.t, func() bool {
		namespace, err := shared.Clients.Core.CoreV1().Namespaces().Get(s.ctx, s.namespace, metav1.GetOptions{})
		last = namespace
		return apierrors.IsNotFound(err)
	}, patience, 200*time.Millisecond, "the namespace stays: %+v", &last)
	require.Eventually(s.t, func() bool {
		for _, facts := range s.chains() {
			if !facts[len(facts)-1].Ends() {
				return false
			}
		}
		return true
	}, patience, time.Second, "chains have not ended")
}

// stormOptions are what the environment asks for.
func stormOptions(t *testing.T) (seed uint64, lasts time.Duration) {
	seed = rand.Uint64()
	var err error
	if value := os.Getenv("SEED"); value != "" {
		seed, err = strconv.ParseUint(value, 10, 64)
		require.NoError(t, err, "SEED")
	}
	if value := os.Getenv("DURATION"); value != "" {
		lasts, err = time.ParseDuration(value)
		require.NoError(t, err, "DURATION")
	}
	return seed, lasts
}

// growUntil grows the database again and again until the storm is over, at least
// once. It returns what went wrong.
func (l *lane) growUntil(over <-chan struct{}, database string) string {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s-grow-%d", database, n)
		if failure := l.grow(name, database, 1+n); failure != "" {
			return failure
		}
		select {
		case <-over:
			return ""
		default:
		}
	}
}

func (l *lane) grow(name, database string, size int) string {
	_, err := l.client.SinglestoreOpsRequests(l.namespace).Create(l.ctx, expansion(name, database, size, 0, 0), metav1.CreateOptions{})
	if err != nil {
		return err.Error()
	}
	request, err := look(l, l.requests, name, func(r *kubedb.SinglestoreOpsRequest) bool {
		return r != nil && r.Status.Phase.Terminal()
	})
	switch {
	case err != nil:
		return err.Error()
	case request.Status.Phase != kubedb.OpsSuccessful:
		return fmt.Sprintf("request %s is %s: %+v", name, request.Status.Phase, request.Status.Conditions)
	default:
		return ""
	}
}

// storm is what happens to the services, one fault after the other.
type storm struct {
	*lane

	random   *rand.Rand
	replicas []string
	count    int
	faults   map[string]int
	thaws    sync.WaitGroup
}

// strike does the next fault, after a pause. The seed says which, and to whom.
func (s *storm) strike() error {
	calm := time.Duration(s.random.Int64N(int64(longestCalm)))
	kind, victim := s.random.IntN(100), s.replicas[s.random.IntN(len(s.replicas))]
	freeze := time.Duration(s.random.Int64N(int64(longestFreeze)))
	consumer := []events.Consumer{events.WatcherConsumer, events.PauserConsumer, events.ExpanderConsumer, events.UpdaterConsumer}[s.random.IntN(4)]
	database := fmt.Sprintf("sdb-%d", s.random.IntN(stormDatabases))
	select {
	case <-time.After(calm):
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	s.count++
	switch {
	case kind < 40:
		return s.did("kill", s.restart(victim, s.stack.KillService))
	case kind < 65:
		return s.did("freeze", s.freeze(victim, freeze))
	case kind < 75:
		return s.did("pause taken away", s.takePause(database))
	case kind < 87:
		return s.did("restart", s.restart(victim, s.stack.StopService))
	case kind < 93:
		return s.did("redelivery", s.redeliver(consumer))
	case kind < 97:
		return s.did("consumer recreated", s.recreate(consumer))
	default:
		return s.did("broker restart", s.stack.RestartBroker())
	}
}

func (s *storm) did(what string, err error) error {
	s.faults[what]++
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (s *storm) restart(victim string, end func(string) error) error {
	if err := end(victim); err != nil {
		return err
	}
	return s.stack.StartService(victim)
}

// freeze stops a process, and has it go on after a while, unless it is another
// one by then.
func (s *storm) freeze(victim string, lasts time.Duration) error {
	if err := s.stack.Signal(victim, syscall.SIGSTOP); err != nil {
		return err
	}
	s.thaws.Go(func() {
		frozen, cancel := context.WithTimeout(s.ctx, lasts) // no longer than the test
		defer cancel()
		<-frozen.Done()
		_ = s.stack.Signal(victim, syscall.SIGCONT) // it may have been replaced, and runs
	})
	return nil
}

// redeliver has the broker deliver everything again.
func (s *storm) redeliver(consumer events.Consumer) error {
	conn, err := s.stack.Connect(s.ctx, "storm")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(s.ctx) }() // everything was answered
	_, err = conn.JetStream().ResetConsumerToSequence(s.ctx, consumer.Stream, consumer.Name, 1)
	return err
}

// recreate deletes a consumer and creates it again, as somebody does who follows the
// advice of provisioning: all that is stored is delivered for the first time.
func (s *storm) recreate(consumer events.Consumer) error {
	conn, err := s.stack.Connect(s.ctx, "storm")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(s.ctx) }() // everything was answered
	is, err := conn.JetStream().Consumer(s.ctx, consumer.Stream, consumer.Name)
	if err != nil {
		return err
	}
	if err := conn.JetStream().DeleteConsumer(s.ctx, consumer.Stream, consumer.Name); err != nil {
		return err
	}
	_, err = conn.JetStream().CreateConsumer(s.ctx, consumer.Stream, is.CachedInfo().Config)
	return err
}

// takePause takes the pause of a database away, if it has one, as an operator with
// an old cache does, or a person.
func (s *storm) takePause(name string) error {
	db, err := s.client.Singlestores(s.namespace).Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // its namespace goes
	}
	if err != nil || !kubedb.IsPaused(db) {
		return err
	}
	patch, err := kubedb.ConditionRemovalPatch(db, db.Status.Conditions, kubedb.ConditionPaused)
	if err != nil {
		return err
	}
	_, err = s.client.Singlestores(s.namespace).Patch(s.ctx, name, types.JSONPatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsInvalid(err) || apierrors.IsNotFound(err) {
		return nil // somebody was faster
	}
	return err
}
