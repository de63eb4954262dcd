// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e checks a development cluster from outside, as its users see it.
//
// It needs the built binary:
//
//	DEVCLUSTER=$PWD/bin/devcluster go test -C deploy/devcluster -trimpath -count=1 ./e2e
package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
)

const testTimeout = 60 * time.Second

// devcluster is a running cluster.
type devcluster struct {
	Kubeconfig, Server, CSI, DataDir string

	cmd    *exec.Cmd
	client kubernetes.Interface
}

// start runs the binary and waits for its line.
func start(t *testing.T, args ...string) *devcluster {
	t.Helper()
	binary := os.Getenv("DEVCLUSTER")
	if binary == "" {
		t.Fatal("DEVCLUSTER does not name the binary: run make test-devcluster")
	}
	began := time.Now()
	d := &devcluster{cmd: exec.Command(binary, append([]string{"--unsafe-no-fsync"}, args...)...)}
	d.cmd.Stderr = os.Stderr
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := d.cmd.StdoutPipe()
	must(t, err)
	must(t, d.cmd.Start())
	t.Cleanup(func() { _ = d.cmd.Process.Kill(); _ = d.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	must(t, err)
	must(t, json.Unmarshal(line, d))
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
	config, err := clientcmd.BuildConfigFromFlags("", d.Kubeconfig)
	must(t, err)
	config.QPS = -1
	d.client, err = kubernetes.NewForConfig(config)
	must(t, err)
	return d
}

func TestVolumes(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	d := start(t, "--node-expansion-delay=4s", "--audit-log="+audit)

	t.Run("cases", func(t *testing.T) {
		t.Run("online growth", func(t *testing.T) {
			t.Parallel()
			d.claimWithPod(t, "a", "online")
			t.Logf("grown after %s", d.grow(t, "a", "2Gi"))
		})
		t.Run("immediate binding", func(t *testing.T) {
			t.Parallel()
			d.claim(t, "b", "online-immediate")
			d.awaitClaim(t, "b", func(c *corev1.PersistentVolumeClaim) bool { return c.Status.Phase == corev1.ClaimBound })
		})
		t.Run("node expansion by itself", func(t *testing.T) {
			t.Parallel()
			d.claimWithPod(t, "c", "node-expansion")
			took := d.grow(t, "c", "2Gi")
			t.Logf("grown after %s", took)
			if took < 4*time.Second {
				t.Errorf("grown after %s, want the node's delay of 4s", took)
			}
		})
		t.Run("node expansion after a nudge", func(t *testing.T) {
			t.Parallel()
			d.claimWithPod(t, "d", "node-expansion")
			began := time.Now()
			d.request(t, "d", "2Gi")
			d.awaitClaim(t, "d", func(c *corev1.PersistentVolumeClaim) bool {
				return status(c) == corev1.PersistentVolumeClaimNodeResizePending
			})
			_, err := d.client.CoreV1().Pods("default").Patch(t.Context(), "d", types.MergePatchType,
				[]byte(`{"metadata":{"annotations":{"nudge":"1"}}}`), metav1.PatchOptions{})
			must(t, err)
			nudged := time.Now()
			d.awaitSize(t, "d", "2Gi")
			t.Logf("grown after %s, %s of it after the nudge", time.Since(began), time.Since(nudged))
			if since := time.Since(nudged); since > 3*time.Second {
				t.Errorf("grown %s after the nudge, want at once", since)
			}
		})
		t.Run("node expansion without a pod that runs", func(t *testing.T) { t.Parallel(); d.testHeldDead(t) })
		t.Run("node error", func(t *testing.T) { t.Parallel(); d.testNodeError(t) })
		t.Run("expansion not allowed", func(t *testing.T) {
			t.Parallel()
			d.claimWithPod(t, "e", "fixed")
			if err := d.patchRequest(t, "e", "2Gi"); !apierrors.IsForbidden(err) {
				t.Errorf("growing a fixed volume gave %v, want forbidden", err)
			}
		})
		t.Run("out of range", func(t *testing.T) {
			t.Parallel()
			d.claimWithPod(t, "f", "online")
			d.fault(t, "default.f", `{"code":"OUT_OF_RANGE","message":"the pool is full"}`)
			d.request(t, "f", "3Gi")
			c := d.awaitClaim(t, "f", func(c *corev1.PersistentVolumeClaim) bool {
				return status(c) == corev1.PersistentVolumeClaimControllerResizeInfeasible
			})
			if !strings.Contains(fmt.Sprint(c.Status.Conditions), "the pool is full") {
				t.Errorf("conditions %+v do not carry the driver's message", c.Status.Conditions)
			}
		})
		t.Run("internal error once", func(t *testing.T) {
			t.Parallel()
			d.claimWithPod(t, "g", "online")
			d.fault(t, "default.g", `{"code":"INTERNAL","times":1}`)
			t.Logf("grown after %s", d.grow(t, "g", "2Gi"))
			if codes := d.codes(t, "default.g"); len(codes) < 2 || codes[0] != "INTERNAL" || codes[len(codes)-1] != "OK" {
				t.Errorf("the driver answered %v, want INTERNAL, then OK", codes)
			}
		})
		t.Run("offline only", func(t *testing.T) { t.Parallel(); d.testOfflineOnly(t) })
		t.Run("stateful set", func(t *testing.T) { t.Parallel(); d.testStatefulSet(t) })
	})
	raw, err := os.ReadFile(audit)
	must(t, err)
	if !strings.Contains(string(raw), `"devcluster:resizer"`) || !strings.Contains(string(raw), `"requestObject"`) {
		t.Error("the audit log lacks the resizer's writes or the bodies")
	}
	d.stop(t)
}

// testOfflineOnly holds the dead pod by a finalizer, which has to be enough
// for the driver, and lets it go afterwards.
func (d *devcluster) testOfflineOnly(t *testing.T) {
	d.claimWithPod(t, "h", "online")
	d.fault(t, "default.h", `{"offlineOnly":true}`)
	pods := d.client.CoreV1().Pods("default")
	_, err := pods.Patch(t.Context(), "h", types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":["example.com/hold"]}}`), metav1.PatchOptions{})
	must(t, err)
	d.request(t, "h", "2Gi")
	d.awaitClaim(t, "h", func(c *corev1.PersistentVolumeClaim) bool {
		return len(c.Status.Conditions) > 0 && strings.Contains(fmt.Sprint(c.Status.Conditions), "pod default/h")
	})
	began := time.Now()
	must(t, pods.Delete(t.Context(), "h", metav1.DeleteOptions{}))
	d.awaitPod(t, "h", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded && ptr.Deref(p.DeletionGracePeriodSeconds, -1) == 0
	})
	t.Logf("the held pod was dead after %s", time.Since(began))
	d.awaitSize(t, "h", "2Gi")
	t.Logf("grown after %s", time.Since(began))
	if _, err := pods.Get(t.Context(), "h", metav1.GetOptions{}); err != nil {
		t.Errorf("read the held pod: %v", err)
	}
	_, err = pods.Patch(t.Context(), "h", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	must(t, err)
	if _, err := pods.Get(t.Context(), "h", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod without finalizers is still there: %v", err)
	}
}

// testHeldDead grows a volume twice while its pod is held dead: the node's part is
// done when a pod runs again, first for the size that was allocated first.
func (d *devcluster) testHeldDead(t *testing.T) {
	d.claimWithPod(t, "i", "node-expansion")
	pods := d.client.CoreV1().Pods("default")
	_, err := pods.Patch(t.Context(), "i", types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/hold"]}}`), metav1.PatchOptions{})
	must(t, err)
	must(t, pods.Delete(t.Context(), "i", metav1.DeleteOptions{}))
	d.awaitPod(t, "i", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	d.request(t, "i", "2Gi")
	pending := func(c *corev1.PersistentVolumeClaim) bool {
		return status(c) == corev1.PersistentVolumeClaimNodeResizePending
	}
	d.awaitClaim(t, "i", pending)
	d.request(t, "i", "3Gi")
	_, err = pods.Patch(t.Context(), "i", types.MergePatchType, []byte(`{"metadata":{"annotations":{"nudge":"1"}}}`), metav1.PatchOptions{})
	must(t, err)
	time.Sleep(5 * time.Second) // longer than the node's delay
	c := d.awaitClaim(t, "i", pending)
	if allocated := c.Status.AllocatedResources.Storage().String(); allocated != "2Gi" || c.Status.Capacity.Storage().String() != "1Gi" {
		t.Errorf("%s allocated, capacity %s, want 2Gi and 1Gi while no pod runs", allocated, c.Status.Capacity.Storage())
	}
	_, err = pods.Patch(t.Context(), "i", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	must(t, err)
	d.pod(t, "i")
	c = d.awaitClaim(t, "i", func(c *corev1.PersistentVolumeClaim) bool { return c.Status.Capacity.Storage().String() != "1Gi" })
	if got := c.Status.Capacity.Storage().String(); got != "2Gi" {
		t.Errorf("capacity %s, want 2Gi first", got)
	}
	d.awaitSize(t, "i", "3Gi")
}

// testNodeError has a node fail, and find out by itself that it does not any more.
func (d *devcluster) testNodeError(t *testing.T) {
	d.claimWithPod(t, "j", "node-expansion")
	d.fault(t, "default.j", `{"code":"OUT_OF_RANGE","message":"too large","operation":"nodeExpand","times":2}`)
	d.request(t, "j", "2Gi")
	d.awaitClaim(t, "j", func(c *corev1.PersistentVolumeClaim) bool {
		return status(c) == corev1.PersistentVolumeClaimNodeResizeInfeasible
	})
	c := d.awaitClaim(t, "j", func(c *corev1.PersistentVolumeClaim) bool {
		return status(c) == corev1.PersistentVolumeClaimNodeResizePending || status(c) == ""
	})
	if status(c) != "" && !strings.Contains(fmt.Sprint(c.Status.Conditions), "too large") {
		t.Errorf("conditions %+v do not carry the driver's message while the node tries again", c.Status.Conditions)
	}
	d.awaitSize(t, "j", "2Gi")
}

func (d *devcluster) testStatefulSet(t *testing.T) {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "db"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "db", Image: "db"}}},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{*newClaim("data", "online")},
		},
	}
	began := time.Now()
	_, err := d.client.AppsV1().StatefulSets("default").Create(t.Context(), set, metav1.CreateOptions{})
	must(t, err)
	source := cache.NewListWatchFromClient(d.client.AppsV1().RESTClient(), "statefulsets", "default", fields.OneTermEqualSelector("metadata.name", "db"))
	await(t, source, &appsv1.StatefulSet{}, func(s *appsv1.StatefulSet) bool { return s.Status.ReadyReplicas == 3 })
	t.Logf("3 of 3 ready after %s", time.Since(began))
	for _, claim := range []string{"data-db-0", "data-db-1", "data-db-2"} {
		d.request(t, claim, "2Gi")
	}
	began = time.Now()
	for _, claim := range []string{"data-db-0", "data-db-1", "data-db-2"} {
		d.awaitSize(t, claim, "2Gi")
	}
	t.Logf("3 volumes grown after %s", time.Since(began))

	// A pod that dies comes back under its name, with its volume.
	pod, err := d.client.CoreV1().Pods("default").Get(t.Context(), "db-0", metav1.GetOptions{})
	must(t, err)
	must(t, d.client.CoreV1().Pods("default").Delete(t.Context(), "db-0", metav1.DeleteOptions{}))
	d.awaitPod(t, "db-0", func(p *corev1.Pod) bool { return p.UID != pod.UID && p.Status.Phase == corev1.PodRunning })
}

func TestAttach(t *testing.T) {
	d := start(t, "--attach")
	d.claimWithPod(t, "a", "online")
	attachments := cache.NewListWatchFromClient(d.client.StorageV1().RESTClient(), "volumeattachments", "", fields.Everything())
	await(t, attachments, &storagev1.VolumeAttachment{}, func(a *storagev1.VolumeAttachment) bool { return a.Status.Attached })
	d.fault(t, "default.a", `{"offlineOnly":true}`)
	hold := []byte(`{"metadata":{"finalizers":["example.com/hold"]}}`)
	_, err := d.client.CoreV1().Pods("default").Patch(t.Context(), "a", types.MergePatchType, hold, metav1.PatchOptions{})
	must(t, err)
	must(t, d.client.CoreV1().Pods("default").Delete(t.Context(), "a", metav1.DeleteOptions{}))
	began := time.Now()
	d.awaitNoAttachment(t)
	t.Logf("the held pod's volume was detached after %s", time.Since(began))
	d.grow(t, "a", "2Gi")
	if codes := d.codes(t, "default.a"); len(codes) == 0 || codes[0] != "OK" {
		t.Errorf("the driver answered %v for a detached volume, want OK", codes)
	}
	d.stop(t)
}

func (d *devcluster) awaitNoAttachment(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	list, err := d.client.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	must(t, err)
	if len(list.Items) == 0 {
		return
	}
	source := cache.NewListWatchFromClient(d.client.StorageV1().RESTClient(), "volumeattachments", "", fields.Everything())
	_, err = watchtools.Until(ctx, list.ResourceVersion, source, func(e watch.Event) (bool, error) {
		return e.Type == watch.Deleted, nil
	})
	must(t, err)
}

// TestTwoAtOnce also checks that nothing is left of a cluster that was killed.
// A second cluster on one data directory ends at once, says who has it, and leaves
// the first alone. Nothing of a lock is left by a cluster that was killed.
func TestADataDirectoryIsOneProcessesAlone(t *testing.T) {
	directory := t.TempDir()
	first := start(t, "--data-dir="+directory)
	out, err := exec.CommandContext(t.Context(), os.Getenv("DEVCLUSTER"), "--data-dir="+directory).CombinedOutput()
	if want := "is in use by the process " + strconv.Itoa(first.cmd.Process.Pid); err == nil || !strings.Contains(string(out), want) {
		t.Errorf("the second ended with %v and said %q, want %q", err, out, want)
	}
	first.claim(t, "a", "online-immediate")
	must(t, first.cmd.Process.Kill())
	_ = first.cmd.Wait() // it was killed
	start(t, "--data-dir="+directory)
}

func TestTwoAtOnce(t *testing.T) {
	a, b := start(t), start(t)
	children := childrenOf(t, a.cmd.Process.Pid)
	if len(children) != 2 {
		t.Errorf("the cluster has %d children, want 2", len(children))
	}
	must(t, a.cmd.Process.Kill())
	_ = a.cmd.Wait()
	for pid, child := range children {
		if !ended(child, 10*time.Second) {
			t.Errorf("child %d outlived the killed cluster", pid)
		}
	}
	_ = os.RemoveAll(a.DataDir)
	b.claimWithPod(t, "a", "online")
	b.grow(t, "a", "2Gi")
	b.stop(t)
}

// stop ends the cluster by SIGTERM and checks that it ends well.
func (d *devcluster) stop(t *testing.T) {
	t.Helper()
	children := childrenOf(t, d.cmd.Process.Pid)
	began := time.Now()
	must(t, d.cmd.Process.Signal(syscall.SIGTERM))
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("the cluster ended with %v", err)
	}
	t.Logf("stopped after %s", time.Since(began).Round(time.Millisecond))
	for pid, child := range children {
		if !ended(child, 0) {
			t.Errorf("child %d outlived the cluster", pid)
		}
	}
	if _, err := os.Stat(d.DataDir); !os.IsNotExist(err) {
		t.Errorf("the temporary data directory is still there: %v", err)
	}
}

// childrenOf returns a file descriptor for each child of the process, by its id: it
// can be read when the child has ended, which nobody but its parent may wait for.
func childrenOf(t *testing.T, pid int) map[int]int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	children := map[int]int{}
	for _, task := range tasks {
		raw, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(raw)) {
			child, err := strconv.Atoi(field)
			must(t, err)
			descriptor, err := unix.PidfdOpen(child, 0)
			must(t, err)
			t.Cleanup(func() { _ = unix.Close(descriptor) })
			children[child] = descriptor
		}
	}
	return children
}

// ended waits until the child of that descriptor has ended, and reports whether it
// has in time.
func ended(descriptor int, within time.Duration) bool {
	child := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}
	deadline := time.Now().Add(within)
	for {
		n, err := unix.Poll(child, int(max(0, time.Until(deadline)).Milliseconds()))
		if err != unix.EINTR {
			return n == 1
		}
	}
}

func newClaim(name, class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

func (d *devcluster) claim(t *testing.T, name, class string) {
	t.Helper()
	_, err := d.client.CoreV1().PersistentVolumeClaims("default").Create(t.Context(), newClaim(name, class), metav1.CreateOptions{})
	must(t, err)
}

// claimWithPod creates a claim and a pod of the same name that runs with it.
func (d *devcluster) claimWithPod(t *testing.T, name, class string) {
	t.Helper()
	d.claim(t, name, class)
	d.pod(t, name)
}

// pod creates a pod that runs with the claim of its name.
func (d *devcluster) pod(t *testing.T, name string) {
	t.Helper()
	_, err := d.client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "main", Image: "main"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	d.awaitPod(t, name, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
}

func (d *devcluster) patchRequest(t *testing.T, claim, size string) error {
	_, err := d.client.CoreV1().PersistentVolumeClaims("default").Patch(t.Context(), claim, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, size), metav1.PatchOptions{})
	return err
}

func (d *devcluster) request(t *testing.T, claim, size string) {
	t.Helper()
	must(t, d.patchRequest(t, claim, size))
}

// grow requests a size and returns how long it took to be there.
func (d *devcluster) grow(t *testing.T, claim, size string) time.Duration {
	t.Helper()
	began := time.Now()
	d.request(t, claim, size)
	d.awaitSize(t, claim, size)
	return time.Since(began)
}

func (d *devcluster) awaitSize(t *testing.T, claim, size string) {
	t.Helper()
	want := resource.MustParse(size)
	d.awaitClaim(t, claim, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Capacity.Storage().Cmp(want) >= 0
	})
}

func status(c *corev1.PersistentVolumeClaim) corev1.ClaimResourceStatus {
	return c.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
}

func (d *devcluster) awaitClaim(t *testing.T, name string, done func(*corev1.PersistentVolumeClaim) bool) *corev1.PersistentVolumeClaim {
	t.Helper()
	return await(t, d.named("persistentvolumeclaims", name), &corev1.PersistentVolumeClaim{}, done)
}

func (d *devcluster) awaitPod(t *testing.T, name string, done func(*corev1.Pod) bool) {
	t.Helper()
	await(t, d.named("pods", name), &corev1.Pod{}, done)
}

func (d *devcluster) named(resource, name string) cache.ListerWatcher {
	return cache.NewListWatchFromClient(d.client.CoreV1().RESTClient(), resource, "default", fields.OneTermEqualSelector("metadata.name", name))
}

// await watches until an object satisfies done, and returns it.
func await[T runtime.Object](t *testing.T, source cache.ListerWatcher, kind T, done func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	var last T
	_, err := watchtools.UntilWithSync(ctx, source, kind, nil, func(e watch.Event) (bool, error) {
		var ok bool
		if last, ok = e.Object.(T); !ok || e.Type == watch.Deleted {
			return false, nil
		}
		return done(last), nil
	})
	if err != nil {
		t.Fatalf("%v; last seen: %+v", err, last)
	}
	return last
}

func (d *devcluster) fault(t *testing.T, volume, fault string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, d.CSI+"/faults/"+volume, strings.NewReader(fault))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("set fault %s: %s: %s", fault, resp.Status, body)
	}
}

// codes are the driver's answers for a claim.
func (d *devcluster) codes(t *testing.T, claim string) (codes []string) {
	t.Helper()
	resp, err := http.Get(d.CSI + "/calls")
	must(t, err)
	defer resp.Body.Close()
	var calls []struct{ Claim, Code string }
	must(t, json.NewDecoder(resp.Body).Decode(&calls))
	for _, call := range calls {
		if call.Claim == claim {
			codes = append(codes, call.Code)
		}
	}
	return codes
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
