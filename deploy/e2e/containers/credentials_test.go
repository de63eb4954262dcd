// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/moby/moby/client"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/testcontainers/testcontainers-go"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/services/natsauth"
)

// The users that are no services: the administrator of the servers, who only
// looks, and a third party.
const (
	userSystem     = "sys"
	userSubscriber = "partner"
)

// credentials are those that `opsrelay nats-auth` makes, in its directory.
type credentials struct {
	binary, directory string
}

// newCredentials makes keys and certificates for every user, and for servers of
// these names.
func newCredentials(ctx context.Context, binary, directory string, names ...string) (*credentials, error) {
	c := &credentials{binary: binary, directory: directory}
	args := []string{"--tls", "--subscriber=" + userSubscriber}
	for _, name := range names {
		args = append(args, "--san="+name)
	}
	return c, c.run(ctx, args...)
}

// run runs `opsrelay nats-auth` on the directory.
func (c *credentials) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, c.binary, append([]string{"nats-auth", "--output=" + c.directory}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// files are what goes into a directory of a container, by name.
type files map[string]string

// secret is what is in the Secret of a user, or of the server.
func (c *credentials) secret(of string) (files, error) {
	manifest, err := os.ReadFile(filepath.Join(c.directory, natsauth.SecretName(of)+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("credentials of %s: %w", of, err)
	}
	var secret struct {
		Data files `json:"stringData"`
	}
	if err := yaml.Unmarshal(manifest, &secret); err != nil {
		return nil, fmt.Errorf("credentials of %s: %w", of, err)
	}
	return secret.Data, nil
}

// keys are the public keys of the users, the newest of each.
func (c *credentials) keys() (map[string]string, error) {
	state, err := os.ReadFile(filepath.Join(c.directory, "nats-auth.state"))
	if err != nil {
		return nil, fmt.Errorf("public keys: %w", err)
	}
	var set natsauth.Set
	if err := json.Unmarshal(state, &set); err != nil {
		return nil, fmt.Errorf("public keys: %w", err)
	}
	keys := map[string]string{}
	for _, user := range set.Users {
		keys[user.Name] = user.Keys[0]
	}
	return keys, nil
}

// connect connects a user to the server at the address, whose certificate has
// the name.
func (c *credentials) connect(user, address, name string, options ...nats.Option) (*nats.Conn, error) {
	secret, err := c.secret(user)
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace([]byte(secret["nkey.seed"])))
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", user, err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", user, err)
	}
	secure, err := secret.tls(name)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", user, err)
	}
	options = append([]nats.Option{
		nats.Name(user), nats.Nkey(public, pair.Sign), nats.Secure(secure), nats.CustomInboxPrefix("_INBOX_" + user),
	}, options...)
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s as %s: %w", address, user, err)
	}
	return conn, nil
}

// tls is how the owner of these files speaks to a server of that name.
func (f files) tls(server string) (*tls.Config, error) {
	own, err := tls.X509KeyPair([]byte(f["tls.crt"]), []byte(f["tls.key"]))
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(f["ca.crt"])) {
		return nil, errors.New("there is no authority's")
	}
	return &tls.Config{ServerName: server, RootCAs: authorities, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}, nil
}

// deliver copies files into a directory of a container, readable for its user
// alone, and in the place of those that are there. (testcontainers' own copy
// goes by way of /, which a read-only container refuses.)
func (e *engine) deliver(ctx context.Context, container, directory string, content files) error {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for name, text := range content {
		header := &tar.Header{Name: name, Mode: 0o400, Uid: nonRootID, Gid: nonRootID, Size: int64(len(text)), ModTime: time.Now()}
		if err := writer.WriteHeader(header); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
		if _, err := writer.Write([]byte(text)); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("copy into %s: %w", directory, err)
	}
	_, err := e.docker.CopyToContainer(ctx, container, client.CopyToContainerOptions{DestinationPath: directory, Content: &archive})
	if err != nil {
		return fmt.Errorf("copy into %s: %w", directory, err)
	}
	return nil
}

// withFiles delivers files before the container starts.
func (e *engine) withFiles(directory string, content files) testcontainers.CustomizeRequestOption {
	return testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
		PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, container testcontainers.Container) error {
			return e.deliver(ctx, container.GetContainerID(), directory, content)
		}},
	})
}
