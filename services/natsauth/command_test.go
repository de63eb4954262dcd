// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/natsauth"
	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
)

// command runs opsrelay with the arguments.
func command(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := cli.New()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(arguments)
	err := root.ExecuteContext(bustest.Context(t))
	return out.String(), err
}

// contents are the files of a directory.
func contents(t *testing.T, directory string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	require.NoError(t, err)
	contents := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), entry.Name())
		data, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		require.NoError(t, err)
		contents[entry.Name()] = string(data)
	}
	return contents
}

// changed are the names of files that are not the same, or new.
func changed(before, after map[string]string) []string {
	var names []string
	for name, data := range after {
		if before[name] != data {
			names = append(names, name)
		}
	}
	return names
}

func TestTheCommandWritesASecretForEveryUser(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "new", "nats-auth")
	out, err := command(t, "nats-auth", "--output", directory, "--namespace", "relay", "--tls", "--san", "nats.relay.svc", "--subscriber", "partner", "-o", "json")
	require.NoError(t, err)
	var summary struct {
		Written []string `json:"written"`
		Users   []struct {
			Name string   `json:"name"`
			Keys []string `json:"keys"`
		} `json:"users"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &summary))
	files := contents(t, directory)
	require.Len(t, files, len(summary.Written))
	require.Len(t, summary.Users, 9)
	for _, user := range summary.Users {
		manifest := files["nats-"+user.Name+".yaml"]
		require.Contains(t, manifest, "namespace: relay")
		secret := data(t, []byte(manifest))
		require.True(t, strings.HasPrefix(secret["nkey.seed"], "SU"), user.Name)
		require.Len(t, secret, 4)
		require.Len(t, user.Keys, 1)
		require.Contains(t, data(t, []byte(files["nats-server.yaml"]))["auth.conf"], user.Keys[0])
		// The server never learns a seed, nor does whoever reads the summary.
		require.NotContains(t, files["nats-server.yaml"]+files["nats-auth.state"]+out, strings.TrimSpace(secret["nkey.seed"]))
	}
	info, err := os.Stat(directory)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestTheCommandChangesWhatItIsAskedToAndNothingElse(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	run := func(arguments ...string) error {
		_, err := command(t, append([]string{"nats-auth", "--output", directory}, arguments...)...)
		return err
	}
	require.ErrorContains(t, run("--rotate", "pauser"), "no set of users yet")
	require.NoError(t, run())
	before := contents(t, directory)

	require.ErrorContains(t, run(), "has users already; --rotate")
	require.ErrorContains(t, run("--tls"), "has users already")
	require.ErrorContains(t, run("--rotate", "nobody"), "there are watcher, pauser, expander, updater, provision, board, operator, sys")
	require.ErrorContains(t, run("--rotate", "server"), "without TLS")
	require.ErrorContains(t, run("--retire", "pauser"), "rotate first")
	require.ErrorContains(t, run("--subscriber", "watcher"), "the relay itself uses that name")
	require.ErrorContains(t, run("--rotate", "pauser", "--force"), "none of the others can be")
	require.ErrorContains(t, run("-o", "xml"), "neither text nor json")
	require.Empty(t, changed(before, contents(t, directory)))

	require.NoError(t, run("--rotate", "pauser"))
	after := contents(t, directory)
	require.ElementsMatch(t, []string{"nats-pauser.yaml", "nats-server.yaml", "nats-auth.state"}, changed(before, after))
	before = after
	require.NoError(t, run("--retire", "pauser"))
	after = contents(t, directory)
	require.ElementsMatch(t, []string{"nats-server.yaml", "nats-auth.state"}, changed(before, after))
	before = after
	require.NoError(t, run("--subscriber", "partner"))
	after = contents(t, directory)
	require.ElementsMatch(t, []string{"nats-partner.yaml", "nats-server.yaml", "nats-auth.state"}, changed(before, after))
	before = after
	require.NoError(t, run("--force"))
	require.Subset(t, changed(before, contents(t, directory)), []string{"nats-pauser.yaml", "nats-watcher.yaml", "nats-server.yaml"})
}

func TestTheCommandMakesASubscribersDurables(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{Subscribers: []string{"partner"}})
	s.provision(t)
	durables := func(name string) (string, error) {
		return command(t, "nats-auth", "durables", name, "--nats-url", "nats://"+s.srv.Addr().String(), "--nats-nkey", s.mount("provision", "nkey.seed"))
	}
	out, err := durables("partner")
	require.NoError(t, err)
	require.Contains(t, out, "consumer partner of stream OPSRELAY_PROGRESS is as it should be")

	// Nobody but who is in the server's configuration, and it is said why.
	_, err = durables("stranger")
	require.ErrorContains(t, err, "is the subscriber in the server's configuration")
	require.ErrorContains(t, err, `Publish to "$JS.API.CONSUMER.CREATE.OPSRELAY.stranger.opsrelay.v1.>"`)
}
