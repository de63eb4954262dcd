// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
)

// minMaxBytes is the smallest size of the stream of the chains that is taken: a
// fact of a request with many volumes needs half of it.
const minMaxBytes = 2 << 20

// addMaxBytesFlag adds the flag of how large the streams may become, in the words
// of Kubernetes: 256Mi.
func addMaxBytesFlag(size *resource.QuantityValue, flags *pflag.FlagSet) {
	size.Quantity = *resource.NewQuantity(events.DefaultMaxBytes, resource.BinarySI)
	flags.Var(size, "max-bytes", "how large the stream of facts may become, 256Mi for one; the other streams together need another 60 % of it")
}

// maxBytes is what the flag says, in bytes.
func maxBytes(size resource.QuantityValue) (int64, error) {
	if size.Value() < minMaxBytes {
		return 0, fmt.Errorf("--max-bytes is %s, want %s or more", size.String(), resource.NewQuantity(minMaxBytes, resource.BinarySI))
	}
	return size.Value(), nil
}
