#!/usr/bin/env bash
# Renders the chart into manifests for `kubectl apply -k`:
#   k8s/render.sh            writes k8s/base and k8s/overlays/demo
#   k8s/render.sh --check    changes nothing, and fails if the files are out of date
#   k8s/render.sh --values FILE… --out DIR [--namespace NAME]
#                            writes the manifests of a lake of your own to DIR, with a kustomization.yaml, in the namespace NAME (datalake)
# In k8s/base and k8s/overlays/demo, kustomization.yaml, namespace.yaml and README.md are not rendered. Needs helm.
set -euo pipefail

usage() { sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
is_check=false values=() out='' namespace=datalake
while [ $# -gt 0 ]; do
  case $1 in
    --check) is_check=true; shift; continue ;;
    --values | --out | --namespace) [ $# -ge 2 ] && [ -n "$2" ] || usage ;;
    *) usage ;;
  esac
  case $1 in
    --values) values+=(--values "$(realpath "$2")") ;;
    --out) out=$(realpath -m "$2") ;;
    --namespace) namespace=$2 ;;
  esac
  shift 2
done
# Without --out, no other option is valid; with it, --values is required.
if [ -n "$out" ]; then [ ${#values[@]} -gt 0 ] && ! $is_check || usage; else [ ${#values[@]} -eq 0 ] && [ "$namespace" = datalake ] || usage; fi

cd "$(dirname "${BASH_SOURCE[0]}")"
chart=../helm/datalake
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

# Removes the labels of Helm, which does not manage these objects.
render() { # folder values…
  local folder=$1; shift
  helm template datalake "$chart" --namespace "$namespace" --kube-version 1.34.0 --skip-tests --output-dir "$new/charts" "$@" >/dev/null
  mkdir -p "$new/$folder"
  local file name
  while IFS= read -r file; do
    name=${file#"$new/charts/datalake/templates/"}
    sed -e '/^---$/d' -e '/^# Source: /d' -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' "$file" \
      >"$new/$folder/${name//\//-}"
  done < <(find "$new/charts/datalake/templates" -name '*.yaml')
  rm -r "$new/charts"
}

# The policy for Jobs compares Jobs with the rendered CronJob: lake, images and Secrets have to be values, not patches.
render_own() {
  local marker='# Written by k8s/render.sh: change the values and run it again.' name secret
  # The defaults come first, so that the operator's values take precedence.
  printf 'api: {token: {existingSecret: datalake-api-token}}\n' >"$new/defaults.yaml"
  render own --values "$new/defaults.yaml" "${values[@]}"
  if secret=$(grep -lx 'kind: Secret' "$new"/own/*.yaml); then
    echo "the values render a Secret ($(basename -a $secret | tr '\n' ' ')): create it in the cluster and name it in the values, as s3.existingSecret or api.token.existingSecret" >&2
    exit 1
  fi
  sed "s/^  name: datalake\$/  name: $namespace/" base/namespace.yaml >"$new/own/namespace.yaml"
  {
    printf '%s\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: %s\nresources:\n' "$marker" "$namespace"
    (cd "$new/own" && printf '  - %s\n' *.yaml)
  } >"$new/kustomization.yaml"
  mv "$new/kustomization.yaml" "$new/own/"
  # Removes the files of an earlier rendering, but never files of another origin.
  if [ -e "$out/kustomization.yaml" ]; then
    if [ "$(head -n 1 "$out/kustomization.yaml")" != "$marker" ]; then
      echo "$out/kustomization.yaml was not written by k8s/render.sh: choose another folder with --out" >&2
      exit 1
    fi
    while IFS= read -r name; do rm -f -- "$out/$name"; done < <(sed -n 's/^  - \([a-z-]*\.yaml\)$/\1/p' "$out/kustomization.yaml")
  fi
  mkdir -p "$out"
  for name in "$new"/own/*.yaml; do
    if [ "$(basename "$name")" != kustomization.yaml ] && [ -e "$out/$(basename "$name")" ]; then
      echo "$out/$(basename "$name") was not written by k8s/render.sh: choose another folder with --out" >&2
      exit 1
    fi
  done
  cp "$new"/own/*.yaml "$out/"
}
if [ -n "$out" ]; then render_own; exit; fi

# No manifest contains a secret: base names the Secret of the token, and the overlay generates its own.
token=(--set api.token.existingSecret=datalake-api-token)
render base "${token[@]}"
render overlays/demo "${token[@]}" --set demo.enabled=true --set s3.existingSecret=datalake-demo-s3
# The overlay adds the objects of the demo to base; an object of base that differs becomes a patch with the whole object.
for file in "$new"/overlays/demo/*.yaml; do
  name=$(basename "$file")
  if [ ! -e "$new/base/$name" ]; then continue; fi
  if cmp -s "$file" "$new/base/$name"; then rm "$file"; else mv "$file" "${file%.yaml}.patch.yaml"; fi
done

is_not_rendered() { case $1 in kustomization.yaml | namespace.yaml) return 0 ;; *) return 1 ;; esac; }
status=0
for folder in base overlays/demo; do
  for file in "$folder"/*.yaml; do
    name=$(basename "$file")
    if [ ! -e "$file" ] || is_not_rendered "$name" || [ -e "$new/$folder/$name" ]; then continue; fi
    if $is_check; then echo "k8s/$file is no longer rendered from the chart"; status=1; else rm "$file"; fi
  done
  for file in "$new/$folder"/*.yaml; do
    name=$(basename "$file")
    if ! grep -qE "(- |path: )$name\$" "$folder/kustomization.yaml"; then
      echo "k8s/$folder/kustomization.yaml does not name $name"; status=1
    fi
    if cmp -s "$file" "$folder/$name"; then continue; fi
    if $is_check; then
      echo "k8s/$folder/$name differs from the rendered chart:"; diff -u "$folder/$name" "$file" 2>&1 | head -20; status=1
    else
      cp "$file" "$folder/$name"
    fi
  done
done
if [ $status -ne 0 ] && $is_check; then echo 'run k8s/render.sh to update the rendered files'; fi
exit $status
