// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// NudgeAnnotation is put on the pod of a volume that waits for its node: the
// kubelet grows a file system only when it next syncs the pod, up to a minute
// later, and any change of the pod makes it do that at once. The value says for
// which volume, size and request it was; nobody reads it.
const NudgeAnnotation = "opsrelay.dev/resize-nudge"

// nudges reports whether the claim waits for its node, and its pod was not nudged for
// that size yet: an earlier growth to less is one, too, and so is another try of a node
// that refused before.
func (g *growth) nudges(claim *corev1.PersistentVolumeClaim, stage stage) bool {
	pending := stage.name == stageNodePending || growthOf(claim) == corev1.PersistentVolumeClaimNodeResizePending
	return pending && g.of(claim).nudged != g.nudgedFor(claim)
}

// nudgedFor is the size that the node is to grow the claim to.
func (g *growth) nudgedFor(claim *corev1.PersistentVolumeClaim) string {
	if allocated := claim.Status.AllocatedResources.Storage(); !allocated.IsZero() {
		return allocated.String()
	}
	return g.component.To
}

// nudge makes the kubelet look at the pod of the claim now. Growing goes on
// without it, only later: so what goes wrong here is worth a line in the log. A pod
// that is not there yet grows its volumes when it starts.
func (g *growth) nudge(ctx context.Context, claim *corev1.PersistentVolumeClaim, did *done) error {
	pod, ok := podOf(claim.Name, g.component.Workload)
	if !ok {
		return nil
	}
	size := g.nudgedFor(claim)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{NudgeAnnotation: claim.Name + "=" + size + " for " + g.event.Operation.Request.UID},
	}})
	if err != nil {
		return fmt.Errorf("nudge pod %s: %w", pod, err)
	}
	_, err = g.core.CoreV1().Pods(g.namespace).Patch(ctx, pod, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case err == nil, apierrors.IsNotFound(err):
		did.nudged = size
	case ctx.Err() == nil:
		zerolog.Ctx(ctx).Warn().Str("pod", pod).Err(err).Msg("cannot nudge the pod: its volume grows when the kubelet next looks")
	}
	return nil
}

// podOf is the pod that a claim was made for: claims are named
// <template>-<workload>-<ordinal>, pods <workload>-<ordinal>.
func podOf(claim, workload string) (string, bool) {
	at := strings.LastIndex(claim, "-"+workload+"-")
	if at < 0 {
		return "", false
	}
	return claim[at+1:], true
}
