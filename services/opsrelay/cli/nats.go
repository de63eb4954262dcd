// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/pflag"

	"github.com/opsrelay/opsrelay/services/bus"
)

// addNATSFlags adds the flags of the connection to NATS.
func addNATSFlags(config *bus.Config, flags *pflag.FlagSet) {
	flags.StringVar(&config.URL, "nats-url", "nats://127.0.0.1:4222", "NATS servers, separated by commas")
	flags.StringVar(&config.CredentialsFile, "nats-credentials", "", "file with the JWT credentials of the NATS user")
	flags.StringVar(&config.NKeyFile, "nats-nkey", "", "file with the NKey seed of the NATS user")
	flags.StringVar(&config.CAFile, "nats-ca", "", "file with the certificates of NATS' certification authorities")
	flags.StringVar(&config.CertFile, "nats-cert", "", "file with the client certificate for NATS")
	flags.StringVar(&config.KeyFile, "nats-key", "", "file with the key of the client certificate")
}
