// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import "embed"

// Schemas holds the JSON Schema of what each command prints with -o json, by the
// command's name: schemas/get.json. They grow by addition, as the events' do.
//
//go:embed schemas/*.json
var Schemas embed.FS
