// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package nkeyfile authenticates a connection to NATS with a seed that may be
// replaced while the connection lives.
//
// The client's own nats.NkeyOptionFromSeed reads the seed again for each
// signature, but says for ever the public key that it has read first. After a
// replacement the two do not belong together, and the server refuses every
// reconnect.
package nkeyfile

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// ErrReplaced says that the file has another key than the connection was about
// to use. The next attempt to connect uses it.
var ErrReplaced = errors.New("the key was replaced, the next attempt to connect uses the new one")

// Key is a user's key in a file.
type Key struct {
	path   string
	public string
	conn   atomic.Pointer[nats.Conn]
}

// Open reads the file, so that one which is missing or no key is told of at
// once.
func Open(path string) (*Key, error) {
	k := &Key{path: path}
	pair, err := k.read()
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	if k.public, err = publicKey(pair); err != nil {
		return nil, fmt.Errorf("read NKey %s: %w", path, err)
	}
	return k, nil
}

// Option is what the connection authenticates with.
func (k *Key) Option() nats.Option { return nats.Nkey(k.public, k.sign) }

// Follow has the connection take the key that the file has at each reconnect.
// Without it, the connection stays with the first one.
func (k *Key) Follow(conn *nats.Conn) { k.conn.Store(conn) }

// sign is called by the client while it holds the lock under which it also reads
// the public key: so this is the place where that may be changed.
func (k *Key) sign(nonce []byte) ([]byte, error) {
	pair, err := k.read()
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	public, err := publicKey(pair)
	if err != nil {
		return nil, fmt.Errorf("read NKey %s: %w", k.path, err)
	}
	said, conn := k.public, k.conn.Load()
	if conn != nil {
		said = conn.Opts.Nkey
	}
	if said == public {
		return pair.Sign(nonce)
	}
	if conn != nil {
		conn.Opts.Nkey = public
	}
	// The public key of this attempt is said already.
	return nil, ErrReplaced
}

func (k *Key) read() (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(k.path)
	if err != nil {
		return nil, fmt.Errorf("read NKey: %w", err)
	}
	defer clear(seed)
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return nil, fmt.Errorf("read NKey %s: %w", k.path, err)
	}
	return pair, nil
}

func publicKey(pair nkeys.KeyPair) (string, error) {
	public, err := pair.PublicKey()
	if err == nil && !nkeys.IsValidPublicUserKey(public) {
		err = errors.New("it is not a user's")
	}
	return public, err
}
