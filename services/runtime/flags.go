// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of every environment variable that is read.
const EnvPrefix = "OPSRELAY_"

// EnvName is the environment variable that stands for a flag: --nats-url is
// OPSRELAY_NATS_URL.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// SetFromEnvironment gives every flag that was not set on the command line the
// value of its environment variable, if there is one.
func SetFromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(flag *pflag.Flag) {
		value, ok := os.LookupEnv(EnvName(flag.Name))
		if !ok || flag.Changed || failed != nil {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			failed = fmt.Errorf("environment variable %s: %w", EnvName(flag.Name), err)
		}
	})
	return failed
}
