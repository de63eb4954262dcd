// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubedb is the slice of KubeDB's API that the relay touches: the Singlestore database, the
// SinglestoreOpsRequest that asks for a change of it, and the PetSet that runs it.
//
// Its guarantees:
//
//   - Wire compatible. Names, fields, defaults, condition types, reasons and messages are KubeDB's own, so that its
//     users, scripts and other controllers see what they know.
//   - Lossless. Only the fields that are used here have Go fields, yet an object that is read and written again keeps
//     every other field, at every level, in the spelling in which it came. What is written is what was read plus what
//     was changed in between. Prefer a patch to an update all the same: a patch does not overwrite anybody.
//   - One bad object hurts nobody else. An object whose spec cannot be read (the CRDs let some pass, e.g. a timeout that
//     is no duration) is listed and watched like any other, with an empty spec; its Invalid method says why. Compare
//     such objects by their fields: equality.Semantic.DeepEqual refuses types with unexported fields.
//   - Pure where it can be. Conditions, phases, names, components and the owner of a pause are functions of an object;
//     only Client and NewInformer speak to an API server.
//
// +k8s:deepcopy-gen=package
package kubedb

//go:generate go run k8s.io/code-generator/cmd/deepcopy-gen@v0.37.2 --go-header-file header.txt --output-file zz_generated.deepcopy.go .
