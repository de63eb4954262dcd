// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import "github.com/spf13/pflag"

// AddFlags adds the flags of the connection.
func (c *Config) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.URL, "nats-url", "nats://127.0.0.1:4222", "NATS servers, separated by commas")
	flags.StringVar(&c.CredentialsFile, "nats-credentials", "", "file with the JWT credentials of the NATS user")
	flags.StringVar(&c.NKeyFile, "nats-nkey", "", "file with the NKey seed of the NATS user")
	flags.StringVar(&c.CAFile, "nats-ca", "", "file with the certificates of NATS' certification authorities")
	flags.StringVar(&c.CertFile, "nats-cert", "", "file with the client certificate for NATS")
	flags.StringVar(&c.KeyFile, "nats-key", "", "file with the key of the client certificate")
}
