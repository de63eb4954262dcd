// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
)

// A reader runs every command of the documents, in the order of the documents,
// as they stand there, in the namespace demo of an installation of his own.
//
// What cannot run inside a test is checked instead: make without doing
// (make -n), manifests by rendering them (package manifests applies them),
// processes that do not end by their flags.
func TestCommandsOfTheDocuments(t *testing.T) {
	r := newReader(t)
	for _, line := range commands(t) {
		t.Log(line)
		words := strings.Fields(line)
		for strings.Contains(words[0], "=") { // VARIABLE=value command
			words = words[1:]
		}
		switch name := words[0]; {
		case filepath.Base(name) == "opsrelay":
			r.opsrelay(line)
		case name == "kubectl":
			r.kubectl(words[1:])
		case name == "make":
			r.make(words[1:])
		case name == "go":
			require.Equal(t, "test", words[1], line)
			r.goTest(words[2:])
		case name == "export":
		case name == "bin/devcluster":
			help, err := exec.CommandContext(r.ctx, filepath.Join(r.root, name), "--help").CombinedOutput()
			require.NoError(t, err)
			for _, flag := range words[1:] {
				require.Contains(t, string(help)+"--help", flag)
			}
		default:
			require.FileExists(t, filepath.Join(r.root, name), "what is %q?", line)
		}
	}
	require.Empty(t, r.situations, "situations of commands that no document has any more")
}

// reader is somebody who does as the documents say.
type reader struct {
	*bundle
	root string
	// situations are what a command needs to be there, by command; each is made
	// when the command comes for the first time.
	situations map[string]func()
}

func newReader(t *testing.T) *reader {
	b := setupOwn(t, stack.Options{})
	_, err := b.core.CoreV1().Namespaces().Create(b.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.namespace = "demo"
	root, _ := documents(t)
	r := &reader{bundle: b, root: root}
	// What `make demo` leaves, which the documents begin with.
	b.createDatabase(fixture.Topology("sample-sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("sdb-online-vol-expansion", "sample-sdb", fixture.Guide))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("sdb-online-vol-expansion").Status.Phase)
	r.situations = map[string]func(){
		"cancel": func() { // of one that waits for somebody else's pause
			b.pauseByCLI("sample-sdb")
			b.create(fixture.Expansion("more", "sample-sdb", fixture.Sizes{Leaf: "13Gi"}))
			b.condition("more", kubedb.ConditionWaiting)
		},
		"retry": func() {
			b.resumeByCLI("sample-sdb")
			b.create(fixture.Expansion("too-small", "sample-sdb", fixture.Sizes{Leaf: "1Gi"}))
			require.Equal(t, kubedb.OpsFailed, b.ended("too-small").Status.Phase)
		},
	}
	return r
}

// endless are the commands that serve until they are stopped; tests of their own
// run them.
var endless = []string{"up", "board"}

// opsrelay runs a command of ours in a directory that has the documents' request
// as request.yaml.
func (r *reader) opsrelay(line string) {
	r.Helper()
	line = strings.NewReplacer("[", "", "]", "").Replace(line)
	found, args := command(r.T, line, line)
	if slices.Contains(endless, found.Name()) {
		return
	}
	if situation := r.situations[found.Name()]; situation != nil {
		situation()
		delete(r.situations, found.Name())
	}
	for i, arg := range args {
		if arg == "request.yaml" {
			args[i] = r.request()
		}
	}
	if found.Flags().Lookup("kubeconfig") != nil {
		args = append(args, "--kubeconfig", r.stack.Cluster.Kubeconfig)
	}
	if found.Flags().Lookup("nats-url") != nil {
		args = append(args, "--nats-url", r.stack.NATS)
	}
	text, err := r.run(r.ctx, args...)
	if code := exitCode(err); code != user.ExitFailed { // a finding is an answer, too
		require.NoError(r, err, "%s\n%s", line, text)
	}
}

// request is a file with the request that the documents show.
func (r *reader) request() string {
	r.Helper()
	for _, b := range blocks(r.T) {
		if text := strings.Join(b.lines, "\n"); b.lang == "yaml" && strings.Contains(text, kubedb.KindSinglestoreOpsRequest) {
			file := filepath.Join(r.TempDir(), "request.yaml")
			require.NoError(r, os.WriteFile(file, []byte(text), 0o600))
			return file
		}
	}
	require.Fail(r, "no document shows a request")
	return ""
}

// kubectl runs kubectl. Manifests are rendered only, and nothing is waited for.
func (r *reader) kubectl(args []string) {
	r.Helper()
	if at := slices.Index(args, "-k"); at >= 0 {
		args = []string{"kustomize", filepath.Join(r.root, args[at+1])}
	}
	if at := slices.Index(args, "wait"); at >= 0 {
		args = slices.DeleteFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--for=") || strings.HasPrefix(arg, "--timeout=") })
		args[at] = "get"
		args = append(args, "--ignore-not-found")
	}
	path, err := exec.LookPath("kubectl")
	if err != nil {
		r.Logf("NOT RUN, for there is no kubectl: %v", args)
		return
	}
	cmd := exec.CommandContext(r.ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+r.stack.Cluster.Kubeconfig)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	require.NoError(r, err, "kubectl %v\n%s", args, out)
	require.NotContains(r, string(out), "error:")
}

// make requires that the targets are there, and that the Makefile knows the
// variables.
func (r *reader) make(args []string) {
	r.Helper()
	makefile, err := os.ReadFile(filepath.Join(r.root, "Makefile"))
	require.NoError(r, err)
	for _, arg := range args {
		if variable, _, is := strings.Cut(arg, "="); is {
			require.Regexp(r, `\$\((if \$\(|or \$\()?`+variable+`\b`, string(makefile))
		}
	}
	cmd := exec.CommandContext(r.ctx, "make", append([]string{"-n"}, args...)...)
	cmd.Dir = r.root
	out, err := cmd.CombinedOutput()
	require.NoError(r, err, "make %v\n%s", args, out)
}

// goTest requires that the packages are there.
func (r *reader) goTest(args []string) {
	r.Helper()
	cmd := exec.CommandContext(r.ctx, "go", "list")
	cmd.Dir = r.root
	for i, arg := range args {
		if arg == "-C" {
			cmd.Dir = filepath.Join(r.root, args[i+1])
		}
		if strings.HasPrefix(arg, "./") {
			cmd.Args = append(cmd.Args, arg)
		}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(r, err, "%v\n%s", cmd.Args, out)
}
