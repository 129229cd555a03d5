#!/usr/bin/env bash
# Renders the chart into the manifests of k8s/base and k8s/overlays/demo:
#   k8s/render.sh            writes them
#   k8s/render.sh --check    changes nothing, and fails when they differ from what it would write
# The kustomization.yaml, namespace.yaml and README.md beside them are written by hand. Needs helm.
set -euo pipefail
cd "$(dirname "$0")"
chart=../helm/datalake
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

# What Helm would manage is managed by whoever applies these files.
render() { # folder values…
  local folder=$1; shift
  helm template datalake "$chart" --namespace datalake --kube-version 1.34.0 --skip-tests --output-dir "$new/charts" "$@" >/dev/null
  mkdir -p "$new/$folder"
  local file name
  while IFS= read -r file; do
    name=${file#"$new/charts/datalake/templates/"}
    sed -e '/^---$/d' -e '/^# Source: /d' -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' "$file" \
      >"$new/$folder/${name//\//-}"
  done < <(find "$new/charts/datalake/templates" -name '*.yaml')
  rm -r "$new/charts"
}

# No manifest holds a secret: base names the token's Secret, and the overlay makes its own.
token=(--set api.token.existingSecret=datalake-api-token)
render base "${token[@]}"
render overlays/demo "${token[@]}" --set demo.enabled=true --set s3.existingSecret=datalake-demo-s3
# The overlay adds to base what is the demo's alone; what differs in an object of base is a patch, by the whole object.
for file in "$new"/overlays/demo/*.yaml; do
  name=$(basename "$file")
  if [ ! -e "$new/base/$name" ]; then continue; fi
  if cmp -s "$file" "$new/base/$name"; then rm "$file"; else mv "$file" "${file%.yaml}.patch.yaml"; fi
done

by_hand() { case $1 in kustomization.yaml | namespace.yaml) return 0 ;; *) return 1 ;; esac; }
status=0
for folder in base overlays/demo; do
  for file in "$folder"/*.yaml; do
    name=$(basename "$file")
    if [ ! -e "$file" ] || by_hand "$name" || [ -e "$new/$folder/$name" ]; then continue; fi
    if [ "${1:-}" = --check ]; then echo "k8s/$file is not rendered from the chart any more"; status=1; else rm "$file"; fi
  done
  for file in "$new/$folder"/*.yaml; do
    name=$(basename "$file")
    if ! grep -qE "(- |path: )$name\$" "$folder/kustomization.yaml"; then
      echo "k8s/$folder/kustomization.yaml does not name $name"; status=1
    fi
    if cmp -s "$file" "$folder/$name"; then continue; fi
    if [ "${1:-}" = --check ]; then
      echo "k8s/$folder/$name is not what the chart renders:"; diff -u "$folder/$name" "$file" 2>&1 | head -20; status=1
    else
      cp "$file" "$folder/$name"
    fi
  done
done
if [ $status -ne 0 ] && [ "${1:-}" = --check ]; then echo 'k8s/render.sh brings the rendered files up to date'; fi
exit $status
