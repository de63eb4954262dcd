// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import "runtime/debug"

// version is set when a release is linked.
var version = ""

// Version is the version of this build: that of the release, or of the module
// that go built, or "devel".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// Revision is the commit of this build, if go knew it.
func Revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return ""
}
