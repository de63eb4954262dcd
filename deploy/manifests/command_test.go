// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// environment is what a container finds, as far as the manifests say.
func (m manifests) environment(t *testing.T, c corev1.Container) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, source := range c.EnvFrom {
		require.NotNil(t, source.ConfigMapRef)
		config := as[corev1.ConfigMap](t, m.find(t, "ConfigMap", source.ConfigMapRef.Name))
		maps.Copy(found, config.Data)
	}
	for _, variable := range c.Env {
		require.Nil(t, variable.ValueFrom, variable.Name)
		found[variable.Name] = variable.Value
	}
	return found
}

// command is what a container runs.
func command(c corev1.Container, environment map[string]string) *exec.Cmd {
	cmd := exec.Command(binary, c.Args...)
	cmd.Env = []string{"KUBECONFIG=/nowhere", "HOME=/nowhere"}
	for name, value := range environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// A service that understands what it is told gets as far as looking for
// Kubernetes.
func TestServicesUnderstandTheirCommands(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	for _, directory := range []string{relay, dev, production} {
		objects := render(t, directory)
		for _, w := range objects.workloads(t) {
			if w.kind != "Deployment" {
				continue
			}
			t.Run(directory+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				c := w.template.Spec.Containers[0]
				environment := objects.environment(t, c)
				require.Equal(t, w.name, c.Args[0])
				output, err := command(c, environment).CombinedOutput()
				require.Error(t, err)
				require.Contains(t, string(output), "no connection to Kubernetes")

				c.Args = append(slices.Clone(c.Args), "--no-such-flag")
				output, err = command(c, environment).CombinedOutput()
				require.Error(t, err)
				require.Contains(t, string(output), "unknown flag")
			})
		}
	}
}

// A variable that stands for no flag would be passed over in silence.
func TestEveryVariableIsAFlag(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	flag := regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-z-]+)`)
	for _, directory := range []string{relay, dev, production} {
		objects := render(t, directory)
		for _, w := range objects.workloads(t) {
			if w.name == "nats" {
				continue
			}
			c := w.template.Spec.Containers[0]
			help, err := exec.Command(binary, c.Args[0], "--help").CombinedOutput()
			require.NoError(t, err)
			known := map[string]bool{}
			for _, match := range flag.FindAllStringSubmatch(string(help), -1) {
				known[runtime.EnvName(match[1])] = true
			}
			for name := range objects.environment(t, c) {
				if strings.HasPrefix(name, runtime.EnvPrefix) {
					require.True(t, known[name], "%s has no flag for %s", w.name, name)
				}
			}
		}
	}
}

// Every file that a process is told of is in its own Secret, which it has.
func TestProductionHasAKeyForEverybody(t *testing.T) {
	t.Parallel()
	objects := render(t, production)
	for _, w := range objects.workloads(t) {
		if w.name == "nats" {
			continue
		}
		c := w.template.Spec.Containers[0]
		require.Len(t, c.VolumeMounts, 1)
		require.True(t, c.VolumeMounts[0].ReadOnly)
		secret := w.template.Spec.Volumes[0].Secret
		require.Equal(t, "nats-"+w.name, secret.SecretName)
		require.False(t, *secret.Optional)
		require.EqualValues(t, 0o440, *secret.DefaultMode)
		environment := objects.environment(t, c)
		for _, name := range []string{"OPSRELAY_NATS_NKEY", "OPSRELAY_NATS_CA", "OPSRELAY_NATS_CERT", "OPSRELAY_NATS_KEY"} {
			require.True(t, strings.HasPrefix(environment[name], c.VolumeMounts[0].MountPath+"/"), name)
		}
	}
}
