// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/kubedb/plan"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
)

// schema is as much of a JSON Schema as the test looks at.
type schema struct {
	ID          string            `json:"$id"`
	Description string            `json:"description"`
	Items       *schema           `json:"items"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
}

// The schemas know every field of what the commands print, and no other.
func TestTheSchemasAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	printed := map[string]reflect.Type{
		"get": reflect.TypeFor[user.Request](), "timeline": reflect.TypeFor[user.Passed](), "events": reflect.TypeFor[user.Fact](),
		"dead-letters": reflect.TypeFor[user.DeadLetter](), "doctor": reflect.TypeFor[doctor.Finding](), "plan": reflect.TypeFor[plan.Plan](),
	}
	files, err := user.Schemas.ReadDir("schemas")
	require.NoError(t, err)
	require.Len(t, files, len(printed))
	for name, goType := range printed {
		text, err := user.Schemas.ReadFile("schemas/" + name + ".json")
		require.NoError(t, err)
		var s schema
		require.NoError(t, json.Unmarshal(text, &s))
		require.Equal(t, "https://opsrelay.dev/schemas/commands/"+name+".json", s.ID)
		if s.Items != nil {
			s = *s.Items
		}
		sameFields(t, s, goType)
	}
}

func sameFields(t *testing.T, s schema, goType reflect.Type) {
	t.Helper()
	var names, required []string
	for field := range goType.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		names = append(names, name)
		if options == "" {
			required = append(required, name)
		}
		require.Contains(t, s.Properties, name, goType)
		property := s.Properties[name]
		require.NotEmpty(t, property.Description, "%s of %s", name, goType)
		if property.Items != nil && property.Items.Properties != nil {
			sameFields(t, *property.Items, field.Type.Elem())
		}
	}
	require.Len(t, s.Properties, len(names), goType)
	require.ElementsMatch(t, required, s.Required, goType)
}
