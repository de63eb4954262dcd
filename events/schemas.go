// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import "embed"

// Schemas holds the JSON Schemas of the payloads: schemas/operation.json, of
// every fact, and schemas/progress.json.
//
//go:embed schemas/*.json
var Schemas embed.FS

//go:generate bash -c "go run ./page > ../docs/asyncapi.html"

// AsyncAPI describes the contract for programs in other languages: AsyncAPI 3.0,
// which refers to [Schemas].
//
//go:embed asyncapi.yaml
var AsyncAPI []byte
