// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
)

// block is a fenced block of a document.
type block struct {
	place string // file:line
	lang  string
	lines []string
}

// documents are the files whose commands are tested, from the repository's root.
func documents(t *testing.T) (root string, files []string) {
	t.Helper()
	root, err := cluster.Root()
	require.NoError(t, err)
	for _, pattern := range []string{"README.md", "deploy/*.md", "deploy/devcluster/*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		files = append(files, found...)
	}
	return root, files
}

// blocks are the fenced blocks of all documents, in their order.
func blocks(t *testing.T) []block {
	t.Helper()
	root, files := documents(t)
	var all []block
	for _, name := range files {
		file, err := os.Open(name)
		require.NoError(t, err)
		var open *block
		number := 0
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			line := scanner.Text()
			number++
			lang, fence := strings.CutPrefix(line, "```")
			switch {
			case fence && open == nil:
				relative, err := filepath.Rel(root, name)
				require.NoError(t, err)
				open = &block{place: fmt.Sprintf("%s:%d", relative, number), lang: lang}
			case fence:
				all = append(all, *open)
				open = nil
			case open != nil:
				open.lines = append(open.lines, line)
			}
		}
		require.Nil(t, open, "%s: a block is not closed", name)
		require.NoError(t, file.Close())
	}
	return all
}

// commands are those of the blocks that a reader is to run, without comments.
func commands(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, b := range blocks(t) {
		if b.lang != "sh" {
			continue
		}
		for _, line := range b.lines {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
	}
	return all
}

// Every block of a document says what it is: commands that a test runs, an object
// that can be read, or an example of an output.
func TestEveryBlockOfTheDocumentsSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t) {
		switch b.lang {
		case "sh", "text":
		case "yaml", "json":
			var object any
			require.NoError(t, yaml.Unmarshal([]byte(strings.Join(b.lines, "\n")), &object), b.place)
		default:
			t.Errorf("%s: a block is ```sh (commands, which TestCommandsOfTheDocuments runs), ```yaml, ```json, "+
				"or ```text (the example of an output), not ```%s", b.place, b.lang)
		}
	}
}

// mention is a command of ours in the middle of a sentence.
var mention = regexp.MustCompile("`((?:kubectl |bin/)?opsrelay [^`]+)`")

// Every command that a document mentions is one, and has the flags.
func TestEveryMentionedCommandIsOne(t *testing.T) {
	t.Parallel()
	_, files := documents(t)
	seen := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, found := range mention.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\n", " "), -1) {
			seen++
			line := strings.NewReplacer("[", "", "]", "").Replace(found[1])
			if !strings.Contains(line, "COMMAND") {
				_, _ = command(t, filepath.Base(name)+": "+found[1], line)
			}
		}
	}
	require.Greater(t, seen, 20)
}

// command finds the command of a line, and requires that it has the flags of the
// line. It returns what follows the binary's name.
func command(t *testing.T, place, line string) (*cobra.Command, []string) {
	t.Helper()
	_, line, _ = strings.Cut(line, "opsrelay ")
	args := strings.Fields(line)
	root := cli.New()
	root.InitDefaultCompletionCmd(args...)
	found, _, err := root.Find(args)
	require.NoError(t, err, place)
	require.NotEqual(t, root, found, "%s: there is no such command", place)
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case strings.HasPrefix(arg, "--") && name != "help":
			require.NotNil(t, found.Flags().Lookup(name), "%s: no flag --%s", place, name)
		case strings.HasPrefix(arg, "-") && len(name) == 1:
			require.NotNil(t, found.Flags().ShorthandLookup(name), "%s: no flag -%s", place, name)
		}
	}
	return found, args
}
