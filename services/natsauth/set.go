// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Options say what a new set of users is made for.
type Options struct {
	// Namespace is that of the Secrets.
	Namespace string
	// Mount is the directory in which the server finds its Secret.
	Mount string
	// TLS has certificates made, for the server and for every user.
	TLS bool
	// Names are the DNS names and IP addresses under which clients reach the
	// server.
	Names []string
	// Subscribers are the names of third parties.
	Subscribers []string
}

// Set is who is let on to a server. It holds no secrets: those are in the files
// that its methods return.
type Set struct {
	Namespace string   `json:"namespace"`
	Mount     string   `json:"mount"`
	TLS       bool     `json:"tls"`
	Names     []string `json:"names,omitempty"`
	Users     []Keys   `json:"users"`

	authority *authority
	// server is the server's Secret as it is.
	server secret
}

// Keys are the public keys of a user.
type Keys struct {
	Name string `json:"name"`
	// Subscriber says that the user is a third party.
	Subscriber bool `json:"subscriber,omitempty"`
	// Keys are those that the server knows, the newest first: two while a key is
	// rotated.
	Keys []string `json:"keys"`
}

// ServerName is what [Set.Rotate] calls the server itself.
const ServerName = "server"

// New makes a set with the keys of all users.
func New(o Options) (*Set, Files, error) {
	s := &Set{Namespace: o.Namespace, Mount: o.Mount, TLS: o.TLS, Names: o.Names}
	files := Files{}
	if s.TLS {
		if len(s.Names) == 0 {
			return nil, nil, errors.New("a certificate needs the names under which clients reach the server")
		}
		var err error
		if s.authority, err = newAuthority(); err != nil {
			return nil, nil, err
		}
		files[fileAuthority], files[fileAuthorityKey] = s.authority.certPEM, s.authority.keyPEM
	}
	for _, user := range append(Users(), User{Name: systemUser}) {
		if err := s.add(files, Keys{Name: user.Name}); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range o.Subscribers {
		if err := s.addSubscriber(files, name); err != nil {
			return nil, nil, err
		}
	}
	if err := s.certify(); err != nil {
		return nil, nil, err
	}
	return s, files, s.finish(files)
}

// Add lets a third party on, and leaves everybody else as they are.
func (s *Set) Add(subscribers ...string) (Files, error) {
	files := Files{}
	for _, name := range subscribers {
		if err := s.addSubscriber(files, name); err != nil {
			return nil, err
		}
	}
	return files, s.finish(files)
}

// Rotate makes a new key, and a new certificate, for a user. The server goes on
// knowing the older key until it is retired. The server itself, [ServerName],
// has a certificate only. A user of the relay that an older version made the set
// without gets its first key.
func (s *Set) Rotate(name string) (Files, error) {
	files := Files{}
	if name == ServerName {
		if !s.TLS {
			return nil, errors.New("rotate server: it has no certificate, for it was set up without TLS")
		}
		if err := s.certify(); err != nil {
			return nil, err
		}
		return files, s.finish(files)
	}
	user, err := s.find(name)
	if err != nil && slices.ContainsFunc(Users(), func(user User) bool { return user.Name == name }) {
		if err := s.add(files, Keys{Name: name}); err != nil {
			return nil, err
		}
		return files, s.finish(files)
	}
	if err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	if len(user.Keys) > 1 {
		return nil, fmt.Errorf("rotate %s: its last rotation is not finished; once the user has its newer key, retire the older one (--retire %s)", name, name)
	}
	if err := s.renew(files, user); err != nil {
		return nil, err
	}
	return files, s.finish(files)
}

// Retire has the server forget the older key of a user that was rotated.
func (s *Set) Retire(name string) (Files, error) {
	user, err := s.find(name)
	if err != nil {
		return nil, fmt.Errorf("retire: %w", err)
	}
	if len(user.Keys) < 2 {
		return nil, fmt.Errorf("retire %s: it has one key only; rotate first", name)
	}
	user.Keys = user.Keys[:1]
	files := Files{}
	return files, s.finish(files)
}

func (s *Set) addSubscriber(files Files, name string) error {
	if err := CheckSubscriber(name); err != nil {
		return err
	}
	if _, err := s.find(name); err == nil {
		return fmt.Errorf("subscriber %q is there already", name)
	}
	return s.add(files, Keys{Name: name, Subscriber: true})
}

func (s *Set) add(files Files, user Keys) error {
	s.Users = append(s.Users, user)
	return s.renew(files, &s.Users[len(s.Users)-1])
}

// renew gives the user a new key, before the one it has, and a new certificate.
func (s *Set) renew(files Files, user *Keys) error {
	public, seed, err := newKey()
	if err != nil {
		return err
	}
	user.Keys = append([]string{public}, user.Keys...)
	manifest := newSecret(s.Namespace, user.Name)
	manifest.Data[fileSeed] = string(seed)
	if s.TLS {
		cert, key, err := s.authority.client(user.Name)
		if err != nil {
			return err
		}
		manifest.certificate(s.authority, cert, key)
	}
	files[manifest.file()], err = manifest.yaml()
	return err
}

// certify gives the server a new certificate.
func (s *Set) certify() error {
	if s.server.Data == nil {
		s.server = newSecret(s.Namespace, ServerName)
	}
	if !s.TLS {
		return nil
	}
	cert, key, err := s.authority.server(s.Names)
	if err != nil {
		return err
	}
	s.server.certificate(s.authority, cert, key)
	return nil
}

// finish writes what every change touches: the server's Secret and the set.
func (s *Set) finish(files Files) error {
	s.server.Data[fileConfig] = s.Config()
	var err error
	if files[s.server.file()], err = s.server.yaml(); err != nil {
		return err
	}
	state, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the set of users: %w", err)
	}
	files[fileState] = append(state, '\n')
	return nil
}

func (s *Set) find(name string) (*Keys, error) {
	i := slices.IndexFunc(s.Users, func(user Keys) bool { return user.Name == name })
	if i < 0 {
		names := make([]string, len(s.Users))
		for i, user := range s.Users {
			names[i] = user.Name
		}
		return nil, fmt.Errorf("there is no user %q; there are %s", name, strings.Join(names, ", "))
	}
	return &s.Users[i], nil
}

func (s *Set) keys(name string) []string {
	if user, err := s.find(name); err == nil {
		return user.Keys
	}
	return nil
}

func (s *Set) subscribers() []string {
	var names []string
	for _, user := range s.Users {
		if user.Subscriber {
			names = append(names, user.Name)
		}
	}
	return names
}
