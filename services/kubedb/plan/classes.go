// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// checkClasses looks at the StorageClass of every volume that grows: it must
// exist, and allow that. Each class is read once, and told of once.
func checkClasses(ctx context.Context, s *survey) ([]Finding, error) {
	var findings []Finding
	read := map[string]*storagev1.StorageClass{}
	told := map[string]bool{}
	for _, component := range s.components {
		for i := range component.Volumes {
			volume := &component.Volumes[i]
			name := volume.StorageClass
			class, known := read[name]
			if !known && name != "" {
				var err error
				if class, err = s.readClass(ctx, name); apierrors.IsNotFound(err) {
					class = nil
				} else if err != nil {
					found, err := unchecked(fmt.Sprintf("StorageClass %s, which must allow volume expansion,", name), err)
					if err != nil {
						return nil, err
					}
					findings, told[name], class = append(findings, found...), true, nil
				}
				read[name] = class
			}
			if class != nil {
				volume.Provisioner = class.Provisioner
			}
			if finding := s.judgeClass(component.Name, *volume, class); finding != nil && volume.Grows && !told[name] {
				told[name] = true
				findings = append(findings, *finding)
			}
		}
	}
	return findings, nil
}

// readClass waits for the class if it was begun to be read, and reads it otherwise.
func (s *survey) readClass(ctx context.Context, name string) (*storagev1.StorageClass, error) {
	if wait, begun := s.classes[name]; begun {
		return wait()
	}
	return s.class(ctx, name)
}

// judgeClass says why a volume of the class cannot grow; nil if it can.
func (s *survey) judgeClass(component string, volume Volume, class *storagev1.StorageClass) *Finding {
	field, claim := "spec.volumeExpansion."+component, s.namespace+"/"+volume.Claim
	var finding Finding
	switch {
	case volume.StorageClass == "":
		finding = blocking(field, ReasonNoStorageClass, "claim %s has no StorageClass: a volume that was not provisioned dynamically cannot be expanded", claim)
	case class == nil:
		finding = blocking(field, ReasonNoStorageClass, "StorageClass %s of claim %s does not exist: create it again, with allowVolumeExpansion: true", volume.StorageClass, claim)
	case class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion:
		finding = blocking(field, ReasonExpansionNotAllowed, "StorageClass %s of claim %s does not allow volume expansion: set allowVolumeExpansion: true on it if its driver can expand volumes, and create a new request", volume.StorageClass, claim)
	default:
		return nil
	}
	return &finding
}
