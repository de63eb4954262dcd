// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// fill makes the stream of the chains small, and stores messages of no chain until
// it is that full.
func (l *lane) fill(share float64) {
	l.t.Helper()
	l.broker(func(js jetstream.JetStream) {
		require.NoError(l.t, bus.Provision(l.ctx, js, 1, bus.WithMaxBytes(2<<20)))
		for i, size := 0, 64<<10; size > 0; i++ {
			stream, err := js.Stream(l.ctx, events.Stream)
			require.NoError(l.t, err)
			if info := stream.CachedInfo(); float64(info.State.Bytes) >= share*float64(info.Config.MaxBytes) {
				return
			}
			if _, err := js.Publish(l.ctx, events.ProbeSubject(fmt.Sprint("filler-", i)), make([]byte, size)); err != nil {
				size /= 2 // it does not fit any more
			}
		}
	})
}

// empty takes out again what fill has stored.
func (l *lane) empty() {
	l.t.Helper()
	l.broker(func(js jetstream.JetStream) {
		stream, err := js.Stream(l.ctx, events.Stream)
		require.NoError(l.t, err)
		require.NoError(l.t, stream.Purge(l.ctx, jetstream.WithPurgeSubject(events.ProbeSubject("*"))))
	})
}

// waits waits until the request says that it waits for the reason, and returns
// what it says.
func (l *lane) waits(name, reason string) string {
	l.t.Helper()
	var message string
	require.Eventually(l.t, func() bool {
		request, err := l.requestNow(name)
		require.NoError(l.t, err)
		waiting := kubedb.FindCondition(request.Status.Conditions, kubedb.ConditionWaiting)
		if waiting == nil || waiting.Reason != reason {
			return false
		}
		message = waiting.Message
		return true
	}, patience, quick, "%s does not wait for %s", name, reason)
	return message
}

// frozen waits until a service has come to where it is armed to freeze.
func (l *lane) frozen(service string) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		_, err := os.Stat(filepath.Join(l.points, service))
		return errors.Is(err, os.ErrNotExist)
	}, patience, quick, "%s does not come to be frozen", service)
}

// A stream that is nearly full takes no new request, which says why, and begins by
// itself when there is room. One that is under way ends meanwhile.
func TestC18_ARequestWaitsForRoomAndThoseUnderWayEnd(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{AckWait: time.Second})
	l.createDatabases(topology("first"), topology("second"))
	l.arm("expander", "before publish expanded#1=freeze")
	l.create(expansion("under-way", "first", 0, 0, 11))
	l.frozen("expander")
	l.fill(events.NearlyFull)
	l.create(expansion("waiting", "second", 0, 0, 11))
	message := l.waits("waiting", bus.ReasonBrokerFull)
	require.Regexp(t, `stream OPSRELAY: \d+ of 2097152 bytes are used`, message)
	require.Contains(t, message, "opsrelay provision --max-bytes")
	request, err := l.requestNow("waiting")
	require.NoError(t, err)
	require.Equal(t, kubedb.OpsPending, request.Status.Phase)

	require.NoError(t, l.stack.Signal("expander", syscall.SIGCONT))
	l.mustEnd("under-way", kubedb.OpsSuccessful)
	l.empty()
	l.mustEnd("waiting", kubedb.OpsSuccessful)
}

// A stream that is quite full in the middle of a request: the request says so, and
// ends well when there is room.
func TestC18_AStreamFullInTheMiddle(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{AckWait: time.Second})
	l.createDatabases(topology("sdb"))
	l.arm("expander", "before publish expanded#1=freeze")
	l.create(expansion("grow", "sdb", 0, 0, 11))
	l.frozen("expander")
	l.fill(1)
	require.NoError(t, l.stack.Signal("expander", syscall.SIGCONT))
	require.Contains(t, l.waits("grow", bus.ReasonBrokerNotWritable), "maximum bytes exceeded")
	l.empty()
	l.mustEnd("grow", kubedb.OpsSuccessful)
}

// everything is `opsrelay up` in a process of its own.
type everything struct {
	*exec.Cmd
	nats, http string

	mu  sync.Mutex
	log strings.Builder
}

// up starts it in the lane's namespace, and waits until it says where it is.
func (l *lane) up(directory string) *everything {
	l.t.Helper()
	e := &everything{Cmd: exec.Command(binary, "up", "--data-dir", directory, "--max-bytes", "16Mi", "--kubeconfig", l.stack.Cluster.Kubeconfig,
		"--namespace", l.namespace, "--nats-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0")}
	e.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := e.StderrPipe()
	require.NoError(l.t, err)
	require.NoError(l.t, e.Start())
	found, ended := make(chan struct{}), make(chan struct{})
	go e.follow(said, found, ended)
	l.t.Cleanup(func() {
		_ = e.Process.Signal(syscall.SIGTERM) // it may have ended already
		<-ended
		_ = e.Wait() // how it ends is the test's to say
		if l.t.Failed() {
			l.t.Log(e.said())
		}
	})
	select {
	case <-found:
	case <-ended:
		require.FailNow(l.t, "opsrelay up ended", e.said())
	}
	return e
}

// follow reads the log, and says when it has said both addresses.
func (e *everything) follow(said io.Reader, found, ended chan<- struct{}) {
	defer close(ended)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		e.mu.Lock()
		e.log.WriteString(lines.Text() + "\n")
		e.mu.Unlock()
		var entry struct{ NATS, HTTP string }
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue
		}
		missing := e.nats == "" || e.http == ""
		if strings.HasPrefix(entry.NATS, "nats://") {
			e.nats = entry.NATS
		}
		if entry.HTTP != "" {
			e.http = entry.HTTP
		}
		if missing && e.nats != "" && e.http != "" {
			close(found)
		}
	}
}

func (e *everything) said() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

// readyz is what it answers a probe.
func (e *everything) readyz(t *testing.T) (code int, words string) {
	t.Helper()
	response, err := http.Get(e.http + "/readyz")
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// files bounds the size of the files that the process writes, in bytes: with next
// to none, every write fails as on a full disk, for a user without rights, too.
func (e *everything) files(t *testing.T, size uint64) {
	t.Helper()
	require.NoError(t, unix.Prlimit(e.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil))
}

// The disk of the embedded broker is full for longer than a step may take: the
// process is not ready and the request says why; as soon as there is room, the
// broker is restarted, and the request, whose volumes have grown, ends well.
func TestD22_UpGoesOnWhenTheDiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{Processes: []string{}})
	directory := t.TempDir()
	up := l.up(directory)
	l.createDatabases(topology("sdb"))
	require.Eventually(t, func() bool { code, _ := up.readyz(t); return code == http.StatusOK }, patience, quick)

	request := expansion("grow", "sdb", 0, 2, 11)
	request.Spec.Timeout = &metav1.Duration{Duration: 15 * time.Second}
	l.create(request)
	require.Eventually(t, func() bool {
		now, err := l.requestNow("grow")
		require.NoError(t, err)
		return now.Status.Phase == kubedb.OpsProgressing
	}, patience, quick)
	up.files(t, 1)
	full := time.Now()
	l.waits("grow", bus.ReasonBrokerNotWritable)
	code, words := up.readyz(t)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, words, "the broker has not stored anything in stream OPSRELAY")
	require.Eventually(t, func() bool { return strings.Contains(up.said(), "it is restarted once its directory can be written") }, patience, quick)
	time.Sleep(time.Until(full.Add(30 * time.Second))) // longer than the step may take, and its timer: this is what is tried
	up.files(t, unix.RLIM_INFINITY)
	l.mustEnd("grow", kubedb.OpsSuccessful)
	require.Contains(t, up.said(), "the embedded NATS server was restarted")
	require.Eventually(t, func() bool { code, _ := up.readyz(t); return code == http.StatusOK }, patience, quick)
}

// A directory has one broker: the second process ends at once and names the first,
// and after the first was killed the directory is free.
func TestD22_ADataDirectoryHasOneProcess(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{Processes: []string{}})
	directory := t.TempDir()
	first := l.up(directory)
	out, err := exec.CommandContext(t.Context(), binary, "up", "--data-dir", directory, "--max-bytes", "16Mi",
		"--kubeconfig", l.stack.Cluster.Kubeconfig, "--nats-address", "", "--http-address", "").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), fmt.Sprintf("is in use by the process %d", first.Process.Pid))
	require.NoError(t, first.Process.Kill())
	_, _ = first.Process.Wait() // it was killed
	l.up(directory)
	require.DirExists(t, directory)
	require.NoError(t, os.Remove(directory+"/opsrelay.lock"), "the lock is in the directory")
}
