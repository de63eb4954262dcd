// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"

	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// maxLabel is the longest value of a label, in bytes.
const maxLabel = 63

// Revision names the set's pod template: <name>-<hash>, as the value of the controller-revision-hash label. Only the pod
// template counts, so a set that was deleted and made again has the revision it had.
func Revision(set *kubedb.PetSet) string {
	template, err := json.Marshal(set.Spec.Template)
	if err != nil {
		panic(fmt.Sprintf("a pod template that was read from JSON cannot be written as JSON: %v", err))
	}
	hash := fnv.New32a()
	_, _ = hash.Write(template) // never fails
	suffix := "-" + rand.SafeEncodeString(fmt.Sprint(hash.Sum32()))
	name := set.Name
	if over := len(name) + len(suffix) - maxLabel; over > 0 {
		name = strings.TrimRight(name[:len(name)-over], "-.")
	}
	return name + suffix
}
