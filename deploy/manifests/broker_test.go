// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// authCommand is how deploy/README.md has the Secrets of production made.
const authCommand = "nats-auth --output nats-auth --tls --san nats.opsrelay.svc --san *.nats-headless.opsrelay.svc.cluster.local"

// broker is a NATS server as the manifests have it, its files in a directory.
type broker struct {
	objects   manifests
	directory string
	// mounts are the directories that stand for those of the containers.
	mounts map[string]string
}

// newBroker lays out the server's files as its volumes do.
func newBroker(t *testing.T, directory string) *broker {
	t.Helper()
	b := &broker{objects: render(t, directory), directory: t.TempDir(), mounts: map[string]string{}}
	spec := b.objects.workload(t, "nats").template.Spec
	for _, mount := range spec.Containers[0].VolumeMounts {
		b.mounts[mount.MountPath] = filepath.Join(b.directory, filepath.FromSlash(mount.MountPath))
		require.NoError(t, os.MkdirAll(b.mounts[mount.MountPath], 0o700))
	}
	for _, mount := range spec.Containers[0].VolumeMounts {
		for _, volume := range spec.Volumes {
			if volume.Name == mount.Name && volume.ConfigMap != nil {
				config := as[corev1.ConfigMap](t, b.objects.find(t, "ConfigMap", volume.ConfigMap.Name))
				b.write(t, mount.MountPath, config.Data)
			}
		}
	}
	return b
}

// write writes files into a mount; the paths in them are those of our directory.
func (b *broker) write(t *testing.T, mount string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		for path := range b.mounts {
			text = strings.ReplaceAll(text, " \""+path, " \""+filepath.Join(b.directory, path))
			text = strings.ReplaceAll(text, " "+path, " "+filepath.Join(b.directory, path))
		}
		require.NoError(t, os.WriteFile(filepath.Join(b.mounts[mount], name), []byte(text), 0o600))
	}
}

// options are what a server reads from its file.
func (b *broker) options(t *testing.T, pod string) *server.Options {
	t.Helper()
	t.Setenv("POD_NAME", pod)
	args := b.objects.workload(t, "nats").template.Spec.Containers[0].Args
	require.Equal(t, "--config", args[0])
	options, err := server.ProcessConfigFile(filepath.Join(b.directory, filepath.FromSlash(args[1])))
	require.NoError(t, err)
	require.Equal(t, pod, options.ServerName)
	require.True(t, options.JetStream)
	require.True(t, options.SyncAlways)
	require.Equal(t, b.mounts["/data"], options.StoreDir)
	require.Equal(t, b.mounts["/run/nats"]+"/nats.pid", options.PidFile)
	require.Equal(t, 4222, options.Port)
	require.Equal(t, 8222, options.HTTPPort)
	grace := time.Duration(*b.objects.workload(t, "nats").template.Spec.TerminationGracePeriodSeconds) * time.Second
	require.Greater(t, grace, options.LameDuckGracePeriod+options.LameDuckDuration)
	// Here, servers share one address.
	options.Host, options.Port, options.HTTPPort = "127.0.0.1", server.RANDOM_PORT, 0
	return options
}

// provision runs the job against the given server.
func (b *broker) provision(t *testing.T, url string, mounted func(string) string) {
	t.Helper()
	notrun.SkipShort(t)
	c := b.objects.workload(t, "provision").template.Spec.Containers[0]
	environment := b.objects.environment(t, c)
	for name, value := range environment {
		environment[name] = mounted(value)
	}
	environment["OPSRELAY_NATS_URL"] = url
	output, err := command(c, environment).CombinedOutput()
	require.NoError(t, err, string(output))
	require.Contains(t, string(output), "are as they should be")
}

func TestDevelopmentBroker(t *testing.T) {
	b := newBroker(t, dev)
	srv := bustest.Start(t, b.options(t, "nats-0"))
	b.provision(t, srv.ClientURL(), func(value string) string { return value })
}

// Three servers with the file of production find each other over TLS, and every
// process is let on with its own Secret.
func TestProductionBroker(t *testing.T) {
	b := newBroker(t, production)
	secrets := b.makeSecrets(t)
	b.write(t, "/etc/nats-auth", secrets["nats-server"])
	hosts := []string{"nats-0", "nats-1", "nats-2"}
	routes := make([]*url.URL, len(hosts))
	for i := range hosts {
		_, port, err := net.SplitHostPort(freeAddress(t))
		require.NoError(t, err)
		routes[i] = &url.URL{Scheme: "nats", Host: net.JoinHostPort("localhost", port)}
	}
	servers := make([]*server.Server, len(hosts))
	for i, host := range hosts {
		options := b.options(t, host)
		require.Equal(t, "opsrelay", options.Cluster.Name)
		require.True(t, options.Cluster.NoAdvertise)
		require.Len(t, options.Routes, len(hosts))
		for i, route := range options.Routes {
			// KEDA takes the first part for the server's name.
			require.Equal(t, hosts[i]+".nats-headless.opsrelay.svc.cluster.local:6222", route.Host)
			requireCertified(t, secrets["nats-server"]["tls.crt"], route.Hostname())
		}
		port, err := strconv.Atoi(routes[i].Port())
		require.NoError(t, err)
		options.Routes, options.Cluster.Host, options.Cluster.Port = routes, "127.0.0.1", port
		servers[i] = bustest.Start(t, options)
	}
	require.Eventually(t, func() bool {
		for _, srv := range servers {
			if srv.JetStreamIsLeader() {
				return len(srv.JetStreamClusterPeers()) == len(servers)
			}
		}
		return false
	}, patience, tick, "the servers do not find each other")
	// A client is no server, though the same authority signed its certificate.
	require.Contains(t, joinCluster(t, routes[0].Host, secrets["nats-pauser"]), "Authorization Violation")
	require.Equal(t, "PONG\r\n", joinCluster(t, routes[0].Host, secrets["nats-server"]))
	at := fmt.Sprintf("tls://%s", servers[0].Addr())

	directories := map[string]string{}
	for name, files := range secrets {
		directories[name] = t.TempDir()
		for file, text := range files {
			require.NoError(t, os.WriteFile(filepath.Join(directories[name], file), []byte(text), 0o600))
		}
	}
	b.provision(t, at, func(value string) string {
		return strings.ReplaceAll(value, "/etc/opsrelay/nats", directories["nats-provision"])
	})
	for _, w := range b.objects.workloads(t) {
		if w.kind != "Deployment" {
			continue
		}
		environment := b.objects.environment(t, w.template.Spec.Containers[0])
		address, err := url.Parse(environment["OPSRELAY_NATS_URL"])
		require.NoError(t, err)
		require.Equal(t, "tls", address.Scheme)
		requireCertified(t, secrets["nats-server"]["tls.crt"], address.Hostname())
		file := func(name string) string {
			return strings.ReplaceAll(environment[name], "/etc/opsrelay/nats", directories["nats-"+w.name])
		}
		connection, err := bus.Connect(bustest.Context(t), bus.Config{
			Name: w.name, URL: at, NKeyFile: file("OPSRELAY_NATS_NKEY"),
			CAFile: file("OPSRELAY_NATS_CA"), CertFile: file("OPSRELAY_NATS_CERT"), KeyFile: file("OPSRELAY_NATS_KEY"),
		})
		require.NoError(t, err)
		require.NoError(t, connection.Ready())
		require.NoError(t, connection.Close(bustest.Context(t)))
	}
}

// makeSecrets makes the Secrets as the documentation says, and returns their
// files.
func (b *broker) makeSecrets(t *testing.T) map[string]map[string]string {
	t.Helper()
	notrun.SkipShort(t)
	cmd := exec.Command(binary, append(strings.Fields(authCommand), "--san", "localhost", "--san", "127.0.0.1")...)
	cmd.Dir = t.TempDir()
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	paths, err := filepath.Glob(filepath.Join(cmd.Dir, "nats-auth", "*.yaml"))
	require.NoError(t, err)
	secrets := map[string]map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var secret corev1.Secret
		require.NoError(t, yaml.Unmarshal(data, &secret))
		require.Equal(t, "opsrelay", secret.Namespace)
		secrets[secret.Name] = secret.StringData
	}
	// Each Secret that a pod asks for is among them.
	for _, w := range b.objects.workloads(t) {
		for _, volume := range w.template.Spec.Volumes {
			if volume.Secret != nil {
				require.Contains(t, secrets, volume.Secret.SecretName)
			}
		}
	}
	return secrets
}

// joinCluster introduces itself as a server with the certificate of a Secret, and
// returns what the cluster says to that.
func joinCluster(t *testing.T, address string, secret map[string]string) string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	pair, err := tls.X509KeyPair([]byte(secret["tls.crt"]), []byte(secret["tls.key"]))
	require.NoError(t, err)
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM([]byte(secret["ca.crt"])))
	encrypted := tls.Client(connection, &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: authorities, ServerName: "localhost"})
	_, err = fmt.Fprintf(encrypted, "CONNECT {\"name\":\"nats-9\",\"cluster\":\"opsrelay\",\"tls_required\":true}\r\nPING\r\n")
	require.NoError(t, err)
	answers := bufio.NewReader(encrypted)
	introduction, err := answers.ReadString('\n')
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(introduction, "INFO "), introduction)
	answer, err := answers.ReadString('\n')
	require.NoError(t, err)
	return answer
}

// requireCertified requires a certificate to be good for a name.
func requireCertified(t *testing.T, certificate, name string) {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	require.NotNil(t, block)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, parsed.VerifyHostname(name))
}

// freeAddress is one that nobody listens to just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// The server in the manifests is the one that all tests run with.
func TestBrokerIsTheOneThatIsTested(t *testing.T) {
	t.Parallel()
	for _, directory := range []string{dev, production} {
		require.Equal(t, "nats:"+server.VERSION, render(t, directory).workload(t, "nats").template.Spec.Containers[0].Image)
	}
}

// The command in the documentation is the one that the broker's test runs.
func TestDocumentationMakesTheSecrets(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	// Without the shell's quotes and continuation lines.
	words := strings.Fields(strings.NewReplacer("'", "", "\\\n", "").Replace(string(text)))
	require.Contains(t, strings.Join(words, " "), "opsrelay "+authCommand)
}
