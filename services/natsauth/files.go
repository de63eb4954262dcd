// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"
)

// The files of a directory that a set is kept in. Those that are no manifests
// have names that kubectl passes over.
const (
	fileState        = "nats-auth.state"
	fileAuthority    = "authority.crt"
	fileAuthorityKey = "authority.key"
)

// The files in the Secrets.
const (
	fileSeed    = "nkey.seed"
	fileConfig  = "auth.conf"
	fileCA      = "ca.crt"
	fileCert    = "tls.crt"
	fileCertKey = "tls.key"
)

// Files are files of one directory by their names.
type Files map[string][]byte

// Names lists the files in order.
func (f Files) Names() []string { return slices.Sorted(maps.Keys(f)) }

// Exists reports whether the directory has a set.
func Exists(directory string) bool {
	_, err := os.Stat(filepath.Join(directory, fileState))
	return err == nil
}

// Write writes the files, readable by their owner only, and replaces those that
// are there. A file is never half written, and the set itself comes last: what
// it says is there, is.
func (f Files) Write(directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	names := slices.DeleteFunc(f.Names(), func(name string) bool { return name == fileState })
	for _, name := range append(names, fileState) {
		if err := writeFile(filepath.Join(directory, name), f[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func writeFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".nats-auth-*") // readable by the owner only
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// Load reads a set back from its directory.
func Load(directory string) (*Set, error) {
	state, err := os.ReadFile(filepath.Join(directory, fileState))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no set of users yet: %w", directory, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the set of users: %w", err)
	}
	s := &Set{}
	if err := json.Unmarshal(state, s); err != nil {
		return nil, fmt.Errorf("read the set of users in %s: %w", fileState, err)
	}
	for _, name := range s.subscribers() {
		if err := CheckSubscriber(name); err != nil {
			return nil, fmt.Errorf("the set of users was made by an older version: %w; create it again", err)
		}
	}
	s.server = newSecret(s.Namespace, ServerName)
	manifest, err := os.ReadFile(filepath.Join(directory, s.server.file()))
	if err != nil {
		return nil, fmt.Errorf("read the server's Secret: %w", err)
	}
	if err := yaml.Unmarshal(manifest, &s.server); err != nil {
		return nil, fmt.Errorf("read the server's Secret in %s: %w", s.server.file(), err)
	}
	if !s.TLS {
		return s, nil
	}
	cert, err := os.ReadFile(filepath.Join(directory, fileAuthority))
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(directory, fileAuthorityKey))
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	s.authority, err = parseAuthority(cert, key)
	return s, err
}

// secret is a Secret's manifest, with readable data.
type secret struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type"`
	Data       map[string]string `json:"stringData"`
}

type metadata struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels"`
}

// newSecret is the empty Secret of a user, or of the server.
func newSecret(namespace, of string) secret {
	return secret{
		APIVersion: "v1", Kind: "Secret", Type: "Opaque", Data: map[string]string{},
		Metadata: metadata{Name: SecretName(of), Namespace: namespace, Labels: map[string]string{
			"app.kubernetes.io/name": of, "app.kubernetes.io/part-of": "opsrelay",
		}},
	}
}

// SecretName is the name of the Secret of a user, or of the server.
func SecretName(of string) string { return "nats-" + of }

func (s secret) file() string { return s.Metadata.Name + ".yaml" }

func (s secret) certificate(by *authority, cert, key []byte) {
	s.Data[fileCA], s.Data[fileCert], s.Data[fileCertKey] = string(by.certPEM), string(cert), string(key)
}

func (s secret) yaml() ([]byte, error) {
	data, err := yaml.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write Secret %s: %w", s.Metadata.Name, err)
	}
	return data, nil
}
