#!/usr/bin/env bash
# Copyright 2026 The Opsrelay Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds devcluster and csi-resizer into OUTDIR, unless those that are there
# were built from the same sources by the same Go. Two runs at once are safe.
#
#   deploy/devcluster/build.sh OUTDIR
set -euo pipefail

out=${1:?usage: build.sh OUTDIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

# -trimpath everywhere, in tests too: without it Kubernetes is compiled twice.
export CGO_ENABLED=0 GOWORK=off
resizer=github.com/kubernetes-csi/external-resizer/v2
stamp=$out/.devcluster.stamp

say() { echo "devcluster: $*" >&2; }

# The content of everything that goes into the binaries.
fingerprint() {
  {
    go version
    find . -type f \( -name '*.go' -o -name '*.yaml' -o -name 'go.*' -o -name build.sh \) ! -name '*_test.go' -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -d' ' -f1
}

version_of() { go list -m -f '{{.Version}}' "$1"; }

# "kubectl version" fails on a server that does not know its own version.
ldflags() {
  local version major minor
  version=$(version_of k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  echo "-s -w" \
    "-X k8s.io/component-base/version.gitVersion=$version" \
    "-X k8s.io/component-base/version.gitMajor=$major" \
    "-X k8s.io/component-base/version.gitMinor=$minor" \
    "-X k8s.io/component-base/version.gitTreeState=clean" \
    "-X k8s.io/client-go/pkg/version.gitVersion=$version"
}

# Builds to a temporary name first, so that nobody starts half a binary.
build() {
  local name=$1 flags=$2 package=$3
  say "building $name"
  go build -trimpath -buildvcs=false -ldflags "$flags" -o "$out/.$name.new" "$package"
  mv -f "$out/.$name.new" "$out/$name"
}

# A sleep that outlived the build would keep its caller's pipe open.
heartbeat() {
  local began=$SECONDS nap
  trap 'kill "$nap"; exit' TERM
  while sleep 15 & nap=$!; wait "$nap"; do say "still building, $((SECONDS - began)) s"; done
}

# The lock goes with this process; children must not inherit it.
exec 9>"$out/.devcluster.lock"
flock 9

want=$(fingerprint)
if [[ -x $out/devcluster && -x $out/csi-resizer && $(cat "$stamp" 2>/dev/null) == "$want" ]]; then
  exit 0
fi

say "the first build compiles Kubernetes, which takes about 5 minutes on 2 cores; later ones take seconds"
heartbeat 9>&- &
beat=$!
trap 'kill "$beat" 2>/dev/null || true; rm -f "$out"/.devcluster.new "$out"/.csi-resizer.new' EXIT

build devcluster "$(ldflags)" . 9>&-
build csi-resizer "-s -w -X main.version=$(version_of $resizer)" $resizer/cmd/csi-resizer 9>&-
echo "$want" >"$stamp"
say "built in $SECONDS s"
