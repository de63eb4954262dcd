// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"
)

// output is how a command prints what it found.
type output struct {
	format    string
	noHeaders bool
}

// The formats.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

func newOutput(flags *pflag.FlagSet) *output {
	o := &output{}
	o.addFormat(flags)
	flags.BoolVar(&o.noHeaders, "no-headers", false, "print tables without their first line")
	return o
}

func (o *output) addFormat(flags *pflag.FlagSet) {
	flags.StringVarP(&o.format, "output", "o", formatTable, "table, wide, json or yaml")
}

func (o *output) validate() error {
	switch o.format {
	case formatTable, formatWide, formatJSON, formatYAML:
		return nil
	default:
		return fmt.Errorf("--output %q is none of %s, %s, %s, %s", o.format, formatTable, formatWide, formatJSON, formatYAML)
	}
}

// column is one column of a table.
type column[T any] struct {
	name  string
	value func(T) string
	// wide columns are in wide tables only.
	wide bool
}

// printAll prints rows as a table, or as a list in JSON or YAML. None is said to
// people, and is an empty list for programs.
func printAll[T any](out io.Writer, o *output, rows []T, columns []column[T]) error {
	if rows == nil {
		rows = []T{}
	}
	switch o.format {
	case formatJSON:
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(rows)
	case formatYAML:
		text, err := yaml.Marshal(rows)
		if err != nil {
			return fmt.Errorf("print as YAML: %w", err)
		}
		_, err = out.Write(text)
		return err
	}
	writer := printers.GetNewTabWriter(out)
	line := func(cell func(column[T]) string) {
		var cells []string
		for _, c := range columns {
			if !c.wide || o.format == formatWide {
				cells = append(cells, cell(c))
			}
		}
		_, _ = fmt.Fprintln(writer, strings.Join(cells, "\t")) // Flush tells
	}
	if !o.noHeaders {
		line(func(c column[T]) string { return c.name })
	}
	for _, row := range rows {
		line(func(c column[T]) string { return orDash(c.value(row)) })
	}
	return writer.Flush()
}

// age is how long ago something was, as kubectl says it.
func age(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return duration.HumanDuration(time.Since(at))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return strings.ReplaceAll(text, "\n", " ")
}
