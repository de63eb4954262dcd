// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// WriteTable writes the plan for a person: the volumes, the restarts in their
// order, what stands in the way, the verdict.
func (p *Plan) WriteTable(out io.Writer) error {
	table := &printer{out: out}
	table.print("%s %s/%s: expand the volumes of %s %s/%s", kubedb.KindSinglestoreOpsRequest, p.Namespace, p.Name, kubedb.KindSinglestore, p.Namespace, p.DatabaseName)
	if p.Mode != "" {
		table.print(", mode %s", p.Mode)
	}
	table.print("\n")
	if slices.ContainsFunc(p.Components, func(c Component) bool { return len(c.Volumes) > 0 }) {
		p.writeVolumes(table)
		p.writeRestarts(table)
	}
	p.writeFindings(table)
	table.print("\nVerdict: %s\n", p.Verdict)
	return table.err
}

func (p *Plan) writeVolumes(table *printer) {
	rows := [][]string{{"COMPONENT", "VOLUME", "FROM", "TO", "STORAGECLASS", "PROVISIONER", "RESTART"}}
	for _, component := range p.Components {
		for _, volume := range component.Volumes {
			restart := ""
			if at := slices.Index(p.Restarts, volume.Pod); at >= 0 {
				restart = strconv.Itoa(at + 1)
			}
			rows = append(rows, []string{component.Name, volume.Claim, volume.Capacity, volume.To, volume.StorageClass, volume.Provisioner, restart})
		}
	}
	table.print("\n")
	table.rows(rows)
}

func (p *Plan) writeRestarts(table *printer) {
	if len(p.Restarts) == 0 {
		table.print("\nNo pod is restarted.\n")
		return
	}
	table.print("\nPods that are restarted, one after the other: %s\n", strings.Join(p.Restarts, ", "))
}

func (p *Plan) writeFindings(table *printer) {
	if len(p.Findings) > 0 {
		table.print("\n")
	}
	for _, finding := range p.Findings {
		table.print("%s: %s", finding.Severity, finding.Reason)
		if finding.Step != "" {
			table.print(" (at %s)", finding.Step)
		}
		if finding.Field != "" {
			table.print(": %s", finding.Field)
		}
		table.print(": %s\n", finding.Message)
	}
}

// printer writes until the first error, which it keeps.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

// rows writes columns; an empty cell is a dash.
func (p *printer) rows(rows [][]string) {
	if p.err != nil {
		return
	}
	writer := tabwriter.NewWriter(p.out, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
		}
		_, _ = fmt.Fprintln(writer, strings.Join(row, "\t")) // Flush tells
	}
	p.err = writer.Flush()
}
