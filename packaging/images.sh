#!/usr/bin/env bash
# Builds the images of the Dockerfile, and checks their labels, documents and sizes:
#   packaging/images.sh                 as they are published, apart from the digests of the base images, which the Dockerfile describes
#   packaging/images.sh EXECUTABLE      with an executable that was built on this machine, instead of building one in a container
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^appVersion: *"\{0,1\}\([^"]*\).*/\1/p' helm/datalake/Chart.yaml)
revision=$(git rev-parse HEAD)
created=$(git show --no-patch --format=%cI HEAD)
source=$(git remote get-url origin 2>/dev/null) || source=https://example.com/datalake
licenses=$(sed -n 's/^SPDX-License-Expression: //p' THIRD-PARTY-NOTICES)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

builder=() size_max=90000000
if [ $# -gt 0 ]; then
  install -D --strip "$1" "$work/builder/out/usr/local/bin/datalake"
  tar -C "$work/builder" -c . | docker import - datalake-executable >/dev/null
  builder=(--build-arg BUILDER=datalake-executable)
  size_max=$((40000000 + $(stat --format %s "$work/builder/out/usr/local/bin/datalake")))
fi

labeled() { # target label text
  local found; found=$(docker image inspect --format "{{index .Config.Labels \"org.opencontainers.image.$2\"}}" "datalake-$1")
  [ "$found" = "$3" ] || { echo "datalake-$1: the label $2 is '$found', not '$3'"; return 1; }
}

documented() { # target: the image contains the license and the notices
  local container
  container=$(docker create "datalake-$1")
  docker cp "$container:/usr/share/doc/datalake" "$work/doc-$1"
  docker rm "$container" >/dev/null
  cmp LICENSE "$work/doc-$1/LICENSE" && cmp THIRD-PARTY-NOTICES "$work/doc-$1/THIRD-PARTY-NOTICES"
}

for target in processor api; do
  docker build --network host --target "$target" --tag "datalake-$target" --tag "datalake-$target:$version" "${builder[@]}" \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=$source" --build-arg "CREATED=$created" .
  labeled "$target" title "datalake-$target"
  labeled "$target" version "$version"
  labeled "$target" revision "$revision"
  labeled "$target" source "$source"
  labeled "$target" created "$created"
  labeled "$target" licenses "$licenses"
  documented "$target"
  docker run --rm "datalake-$target" --version
  size=$(docker image inspect --format '{{.Size}}' "datalake-$target")
  echo "datalake-$target: $((size / 1000000)) MB"
  [ "$size" -le "$size_max" ] || { echo "more than $((size_max / 1000000)) MB"; exit 1; }
done
