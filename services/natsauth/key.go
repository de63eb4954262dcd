// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"fmt"

	"github.com/nats-io/nkeys"
)

// newKey returns a new user key: the public half, for the server, and the seed,
// for the user's process alone.
func newKey() (public string, seed []byte, _ error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", nil, fmt.Errorf("make an NKey: %w", err)
	}
	defer pair.Wipe()
	if public, err = pair.PublicKey(); err != nil {
		return "", nil, fmt.Errorf("make an NKey: %w", err)
	}
	if seed, err = pair.Seed(); err != nil {
		return "", nil, fmt.Errorf("make an NKey: %w", err)
	}
	return public, append(seed, '\n'), nil
}
