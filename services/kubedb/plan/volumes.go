// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// AnnotationStaticVolumes on a request, with the value "allow", lets volumes grow
// that were not provisioned dynamically: whoever sets it knows that their driver
// and their StorageClass fit.
const AnnotationStaticVolumes = "opsrelay.dev/static-volumes"

// annotationProvisionedBy is on every volume that was provisioned dynamically, one
// of annotationsProvisioner on every claim that was handed to a provisioner.
const annotationProvisionedBy = "pv.kubernetes.io/provisioned-by"

var annotationsProvisioner = []string{"volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"}

// side is how many objects are read at once.
const side = 16

// Volume is one claim that grows.
type Volume struct {
	// Claim is its name, Pod the pod that it was made for.
	Claim string `json:"claim"`
	Pod   string `json:"pod"`
	// Capacity is what it has now, a Kubernetes quantity; empty while it is not
	// bound.
	Capacity string `json:"from"`
	// To is what it will have: the requested size, or what it has if that is more.
	To string `json:"to"`
	// Grows says that it has less than was requested.
	Grows bool `json:"grows"`
	// StorageClass is the name of its class, Provisioner the class' provisioner as
	// far as it could be read.
	StorageClass string `json:"storageClass"`
	Provisioner  string `json:"provisioner"`

	ordinal int
	claim   *corev1.PersistentVolumeClaim
	volume  *corev1.PersistentVolume // nil if it is not bound, or there was no need to read it
}

// readVolumes lists every component's claims: workload, claim templates,
// ordinals.
func readVolumes(ctx context.Context, s *survey) ([]Finding, error) {
	components := make([]check, len(s.components))
	for i := range s.components {
		components[i] = func(ctx context.Context, s *survey) ([]Finding, error) {
			return s.readComponent(ctx, &s.components[i])
		}
	}
	return s.run(ctx, components)
}

func (s *survey) readComponent(ctx context.Context, component *Component) ([]Finding, error) {
	component.Volumes = []Volume{}
	if err := kubedb.CheckName(component.Workload); err != nil {
		return nil, refuse("spec.databaseRef", ReasonNoStorage, "the workload of %s cannot exist: %s", component.Name, err)
	}
	set, err := s.Client.Workload(ctx, s.namespace, component.Workload)
	if apierrors.IsNotFound(err) {
		return []Finding{waiting(StepAdmit, ReasonWorkloadMissing, "workload %s/%s does not exist: it is made when the database is provisioned", s.namespace, component.Workload)}, nil
	}
	if err != nil {
		return unchecked(fmt.Sprintf("workload %s/%s and its volumes", s.namespace, component.Workload), err)
	}
	if err := set.Invalid(); err != nil {
		return nil, refuse("spec.databaseRef", ReasonNoStorage, "the spec of %s cannot be read: %s", set, err)
	}
	if finding := s.judgeWorkload(*component, set); finding != nil {
		return []Finding{*finding}, nil
	}
	component.labels = set.PodLabels
	names := set.ClaimNames()
	claims, err := s.readClaims(ctx, names)
	if err != nil {
		return unchecked(fmt.Sprintf("the %d claims of %s", len(names), set), err)
	}
	return component.take(set, names, claims), nil
}

// judgeWorkload says why the workload has no volume that this request could grow,
// whatever becomes of it; nil if it may have some.
func (s *survey) judgeWorkload(component Component, set *kubedb.Workload) *Finding {
	if err := set.CheckOwner(s.database.Name, s.database.UID); err != nil {
		finding := blocking("spec.databaseRef", ReasonWorkloadNotOwned, "%s: it is left alone. Two that need workloads of one name cannot live in one namespace: recreate one of them under another name", err)
		return &finding
	}
	if err := set.CheckVolumes(); err != nil {
		finding := blocking("spec.volumeExpansion."+component.Name, ReasonNoVolumes, "%s", err)
		return &finding
	}
	return nil
}

// take takes the claims that exist as the component's volumes. claims are those of
// the names, nil for one that does not exist.
func (c *Component) take(set *kubedb.Workload, names []string, claims []*corev1.PersistentVolumeClaim) []Finding {
	var findings []Finding
	missing := 0
	for i, claim := range claims {
		if claim == nil {
			missing++
			findings = append(findings, warning(ReasonClaimMissing, "claim %s/%s does not exist: one that is made later will have the new size", set.Namespace, names[i]))
			continue
		}
		if err := set.CheckClaim(claim); err != nil {
			findings = append(findings, blocking("spec.volumeExpansion."+c.Name, ReasonClaimNotOwned,
				"%s; it is left alone. If it was made for the workload all the same, put these labels on it and create a new request", err))
			continue
		}
		c.Volumes = append(c.Volumes, volumeOf(claim, *c))
	}
	if missing == len(names) {
		return []Finding{waiting(StepAdmit, ReasonClaimMissing, "none of the %d claims of %s exists yet: they are made with its pods", len(names), set)}
	}
	return findings
}

// readClaims reads the claims, and the volumes of each that is bound; nil for one
// that does not exist.
func (s *survey) readClaims(ctx context.Context, names []string) ([]*corev1.PersistentVolumeClaim, error) {
	claims := make([]*corev1.PersistentVolumeClaim, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(side)
	for i, name := range names {
		group.Go(func() error {
			claim, err := s.Core.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				claims[i] = claim
			}
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}
	return claims, group.Wait()
}

func volumeOf(claim *corev1.PersistentVolumeClaim, component Component) Volume {
	at := strings.LastIndexByte(claim.Name, '-')
	ordinal, _ := strconv.Atoi(claim.Name[at+1:]) // the name was made of one
	volume := Volume{
		Claim: claim.Name, Pod: kubedb.PodName(component.Workload, ordinal), To: component.To, Grows: true,
		ordinal: ordinal, claim: claim,
	}
	if capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		volume.Capacity = capacity.String()
		if capacity.Cmp(component.size) >= 0 {
			volume.To, volume.Grows = volume.Capacity, false
		}
	}
	if claim.Spec.StorageClassName != nil {
		volume.StorageClass = *claim.Spec.StorageClassName
	}
	return volume
}

// missing is what the claim's request lacks of the size: what the API server
// would count against quotas, which is in whole bytes.
func (v Volume) missing(size resource.Quantity) resource.Quantity {
	size = size.DeepCopy()
	size.RoundUp(0)
	held := v.claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if allocated, ok := v.claim.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(held) > 0 {
		held = allocated
	}
	held = held.DeepCopy()
	held.RoundUp(0)
	if size.Cmp(held) <= 0 {
		return resource.Quantity{}
	}
	size.Sub(held)
	return size
}

// checkVolumes looks at the state of every claim, and at the volume that it is
// bound to if the claim does not say where that is from.
func checkVolumes(ctx context.Context, s *survey) ([]Finding, error) {
	if err := s.readPersistentVolumes(ctx, func(v Volume) bool { return !v.dynamic() }); err != nil {
		findings, err := unchecked("whether the volumes were provisioned dynamically", err)
		return append(s.claimStates(), findings...), err
	}
	return s.claimStates(), nil
}

// dynamic reports whether the claim was handed to a provisioner.
func (v Volume) dynamic() bool {
	return slices.ContainsFunc(annotationsProvisioner, func(name string) bool { return v.claim.Annotations[name] != "" })
}

func (s *survey) claimStates() []Finding {
	var findings []Finding
	for _, component := range s.components {
		field := "spec.volumeExpansion." + component.Name
		for _, volume := range component.Volumes {
			name := s.namespace + "/" + volume.Claim
			switch {
			case volume.claim.DeletionTimestamp != nil:
				findings = append(findings, blocking(field, ReasonClaimTerminating, "claim %s is being deleted: wait until it is recreated, or until nobody deletes it any more, and create a new request", name))
			case volume.claim.Status.Phase == corev1.ClaimLost:
				findings = append(findings, blocking(field, ReasonClaimLost, "claim %s has lost its volume %s: restore the volume or delete the claim, and create a new request", name, volume.claim.Spec.VolumeName))
			case volume.claim.Status.Phase != corev1.ClaimBound:
				findings = append(findings, waiting(StepExpand, ReasonClaimNotBound, "claim %s is %s: it is waited for until it is bound", name, orPending(volume.claim.Status.Phase)))
			case volume.Grows && !volume.dynamic() && volume.volume != nil && volume.volume.Annotations[annotationProvisionedBy] == "":
				findings = append(findings, s.static(field, volume))
			}
		}
	}
	return findings
}

// static is about a volume that somebody made by hand. Kubernetes grows only what
// was provisioned dynamically.
func (s *survey) static(field string, volume Volume) Finding {
	const format = "volume %s of claim %s/%s was not provisioned dynamically"
	args := []any{volume.volume.Name, s.namespace, volume.Claim}
	if s.request.Annotations[AnnotationStaticVolumes] == "allow" {
		return warning(ReasonStaticVolume, format+"; it is tried because the request says "+AnnotationStaticVolumes+": allow", args...)
	}
	return blocking(field, ReasonStaticVolume, format+" and may not be expanded: if its driver can all the same, annotate a new request with "+AnnotationStaticVolumes+": allow", args...)
}

func orPending(phase corev1.PersistentVolumeClaimPhase) corev1.PersistentVolumeClaimPhase {
	if phase == "" {
		return corev1.ClaimPending
	}
	return phase
}

// readPersistentVolumes reads what claims that grow are bound to, those for which
// it is asked.
func (s *survey) readPersistentVolumes(ctx context.Context, asked func(Volume) bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(side)
	for _, component := range s.components {
		for i := range component.Volumes {
			volume := &component.Volumes[i]
			// A claim that is not bound may name anything.
			if kubedb.CheckName(volume.claim.Spec.VolumeName) != nil || !volume.Grows || volume.volume != nil || !asked(*volume) {
				continue
			}
			group.Go(func() error {
				read, err := s.Core.CoreV1().PersistentVolumes().Get(ctx, volume.claim.Spec.VolumeName, metav1.GetOptions{})
				if err == nil {
					volume.volume = read
				}
				if apierrors.IsNotFound(err) {
					return nil // the claim will be Lost
				}
				return err
			})
		}
	}
	return group.Wait()
}
