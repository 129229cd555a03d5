#!/usr/bin/env bash
# Checks the chart and the rendered manifests, without a cluster and without a network:
#   helm/tests/check.sh
# Needs helm, helm-docs, kubeconform, kube-score, kustomize and python3 in PATH; a missing tool is a failure. Prints
# `N passed, N failed` at the end; the exit status is 0 only if no check failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
chart=helm/datalake
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() { # what command…
  local what=$1 output; shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1)); echo "ok      $what"
  else
    failed=$((failed + 1)); echo "FAILED  $what"; tail -n 40 <<<"$output" | sed 's/^/        /'
  fi
}

# A helm that was built from its module does not know its own version, so the Kubernetes version is explicit.
render() { # values…
  helm template "${release:-datalake}" "$chart" --namespace lake --kube-version 1.34.0 "$@"
}
lint() { helm lint --strict --kube-version 1.34.0 "$chart" "$@"; }

valid() { # file
  kubeconform -strict -schema-location 'helm/tests/schemas/{{.ResourceKind}}{{.KindSuffix}}.json' "$1"
}
# Without the test's pod, which runs for seconds. README.md explains the ignored findings.
scored() { # values…
  render --skip-tests "$@" >"$work/scored.yaml" &&
    kube-score score --ignore-container-cpu-limit --ignore-test container-image-pull-policy --output-format ci "$work/scored.yaml"
}

has() { # text values…
  local text=$1; shift
  render "$@" >"$work/has.yaml" && grep -qF -- "$text" "$work/has.yaml" || { echo "not rendered: $text"; return 1; }
}
has_not() { # text values…
  local text=$1; shift
  render "$@" >"$work/has.yaml" || return 1
  ! grep -nF -- "$text" "$work/has.yaml"
}
# Rendering fails with a message that contains `text`.
rejects() { # text values…
  local text=$1 output; shift
  if output=$(render "$@" 2>&1 >/dev/null); then echo 'it was accepted'; return 1; fi
  grep -qF -- "$text" <<<"$output" || { echo "rejected for another reason: $output"; return 1; }
}
# The notes of `helm install`: NOTES.txt as a template of a copy of the chart, because only an installation renders it.
notes() { # values…
  rm -rf "$work/noted" && cp -r "$chart" "$work/noted" || return 1
  { printf '{{- define "notes" }}'; cat "$chart/templates/NOTES.txt"; printf '{{ end }}'; } >"$work/noted/templates/_notes.tpl"
  printf 'kind: Notes\ntext: |\n  {{- include "notes" . | nindent 2 }}\n' >"$work/noted/templates/notes.yaml"
  helm template datalake "$work/noted" --namespace lake --kube-version 1.34.0 --show-only templates/notes.yaml "$@"
}
notes_say() { # text values…
  local text=$1; shift
  notes "$@" >"$work/notes" && grep -qF -- "$text" "$work/notes" || { echo "not in the notes: $text"; return 1; }
}
notes_lack() { # text values…
  local text=$1; shift
  notes "$@" >"$work/notes" || return 1
  ! grep -nF -- "$text" "$work/notes"
}
invalid() { # file
  if valid "$1"; then echo 'it was accepted'; return 1; fi
}

for tool in helm helm-docs kubeconform kube-score kustomize python3; do
  check "$tool is installed" command -v "$tool"
done

for values in default "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml) set=()
  [ "$values" = default ] || set=(--values "$values")
  check "lint: $name" lint "${set[@]}"
  render "${set[@]}" >"$work/$name.yaml" 2>"$work/error"
  check "template: $name" test -s "$work/$name.yaml"
  check "kubeconform: $name" valid "$work/$name.yaml"
  # `bare` renders only what is not optional; kube-score would report the missing objects.
  [ "$name" = bare ] || check "kube-score: $name" scored "${set[@]}"
done
sed 's/backoffLimit:/backofLimit:/' "$work/default.yaml" >"$work/misspelled.yaml"
check 'kubeconform rejects a misspelled field' invalid "$work/misspelled.yaml"

check 'names: the CronJob' has '  name: datalake-processor' --show-only templates/processor/cronjob.yaml
check 'names: the token' has 'name: datalake-api-token'
release=blue check 'names: another release' has 'name: blue-datalake-api'
check 'names: a long one is cut for the Job' has "name: $(printf 'a%.0s' {1..42})-processor" --set "fullnameOverride=$(printf 'a%.0s' {1..60})"
check 'image: the tag is the appVersion' has 'image: "datalake-api:0.1.0"'
check 'image: a digest takes precedence over the tag' has "image: \"datalake-api@sha256:$(printf '0%.0s' {1..64})\"" \
  --set api.image.tag=v1 --set "api.image.digest=sha256:$(printf '0%.0s' {1..64})"
check 'token: one is generated' has 'kind: Secret'
check 'token: none is generated if one is named' has_not 'kind: Secret' --set api.token.existingSecret=mine
check 'token: none is mounted if it is off' has_not '/run/secrets/datalake' --set api.token.enabled=false
launcher=(--set 'api.extraEnv[0].name=DATALAKE_LAUNCHER' --set 'api.extraEnv[0].value=none')
check 'extraEnv: an entry replaces the entry of the same name' has_not 'value: kubernetes' "${launcher[@]}"
check 'extraEnv: the entry has its value' has 'value: none' "${launcher[@]}"
check 'cors: none by default' has_not DATALAKE_CORS_ORIGINS
check 'cors: origins are joined' has 'value: https://a.example,http://b.example:3000' \
  --set 'api.cors.origins={https://a.example,http://b.example:3000}'
check 'demo: the store is in the cluster' has 'value: http://datalake-demo-s3:7070' --set demo.enabled=true
check 'demo: off' has_not versitygw
check 'demo: rejects another endpoint' rejects 'store of its own' --set demo.enabled=true --set s3.endpoint=http://minio:9000
check 'demo: rejects a folder' rejects 'store of its own' --set demo.enabled=true --set lake.url=file:///lake
check 'network policy: connections to the port of the S3 endpoint' has 'port: 9000' --set s3.endpoint=http://minio:9000/ \
  --show-only templates/processor/networkpolicy.yaml
check 'network policy: an endpoint without a port' has 'port: 80' --set s3.endpoint=http://minio --show-only templates/processor/networkpolicy.yaml
# The ingress rules for a port of the API: the lines between its port and the next one.
ingress_of() { # port values…
  local port=$1; shift
  render --show-only templates/api/networkpolicy.yaml "$@" >"$work/api-networkpolicy.yaml" || return 1
  sed -n '/^  ingress:/,$p' "$work/api-networkpolicy.yaml" |
    awk -v port="$port" '/- port: / { inside = ($3 == port) } /^    (- ports:|#)/ { next } inside' | sed 's/^      //'
}
permits() { # port rules values…
  local port=$1 rules=$2; shift 2
  diff <(printf 'protocol: TCP\n%s' "$rules") <(ingress_of "$port" "$@" | sed -e '/^  - port: /d' -e 's/^    protocol/protocol/')
}
helm_test='  # `helm test`.
  - podSelector:
      matchLabels:
        app.kubernetes.io/name: datalake
        app.kubernetes.io/instance: datalake
        app.kubernetes.io/component: test
'
check 'network policy: pods of the namespace connect to the API' permits http "from:
  - podSelector: {}
$helm_test"
check 'network policy: an empty list permits every client' permits http '' --set-json 'networkPolicy.ingressFrom=[]'
check 'network policy: only Prometheus connects to probes and metrics' permits admin 'from:
  - namespaceSelector: {}
    podSelector:
      matchLabels:
        app.kubernetes.io/name: prometheus
'
check 'network policy: metricsFrom is for probes and metrics' permits admin 'from:
  - podSelector:
      matchLabels:
        app: agent
' --set-json 'networkPolicy.metricsFrom=[{"podSelector":{"matchLabels":{"app":"agent"}}}]'
check 'network policy: metricsFrom is not for the API' permits http "from:
  - podSelector: {}
$helm_test" --set-json 'networkPolicy.metricsFrom=[]'
exposed=(--set-json 'networkPolicy.ingressFrom=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"ingress-nginx"}}}]')
for exposure in api.ingress.enabled=true api.httpRoute.enabled=true api.service.type=LoadBalancer api.service.type=NodePort; do
  check "network policy: $exposure needs ingressFrom" rejects "needs networkPolicy.ingressFrom" --set "$exposure"
  check "network policy: $exposure with ingressFrom" has 'kind: NetworkPolicy' --set "$exposure" "${exposed[@]}"
  check "network policy: $exposure without NetworkPolicies" has_not 'kind: NetworkPolicy' --skip-tests --set "$exposure" --set networkPolicy.enabled=false
  check "notes: $exposure with open reads" notes_say "can read all rows without a token (${exposure%=true}" --set "$exposure" "${exposed[@]}"
  check "notes: $exposure with protected reads" notes_lack WARNING --set "$exposure" "${exposed[@]}" --set api.protectReads=true
done
check 'notes: no warning by default' notes_lack WARNING
check 'notes: every client reads and starts runs' notes_say 'start and stop runs (networkPolicy.ingressFrom=[], api.token.enabled=false)' \
  --set-json 'networkPolicy.ingressFrom=[]' --set api.token.enabled=false
check 'notes: reads are open to the cluster' notes_say 'without a token (networkPolicy.enabled=false' --set networkPolicy.enabled=false
check 'notes: what the missing policies permit' notes_say 'any image as any ServiceAccount of the namespace lake' --set api.admissionPolicy.enabled=false
check 'notes: an Ingress without trusted proxies' notes_say 'Set api.trustedProxies' --set api.ingress.enabled=true "${exposed[@]}"
check 'notes: an Ingress with trusted proxies' notes_lack 'Set api.trustedProxies' --set api.ingress.enabled=true "${exposed[@]}" \
  --set 'api.trustedProxies={10.244.0.0/16}'

check 'admin port: the API listens on it' has 'value: 0.0.0.0:8081' --show-only templates/api/deployment.yaml
probes_use() { # port
  render --show-only templates/api/deployment.yaml >"$work/probes.yaml" &&
    [ "$(grep -c 'httpGet:' "$work/probes.yaml")" -eq 3 ] && [ "$(grep -A2 'httpGet:' "$work/probes.yaml" | grep -c "port: $1\$")" -eq 3 ]
}
check 'admin port: all probes use it' probes_use admin
check 'admin port: the Service has it' has 'port: 9090' --set api.service.adminPort=9090 --show-only templates/api/service.yaml
for type in LoadBalancer NodePort; do
  check "admin port: a Service of type $type lacks it" has_not 'admin' --set "api.service.type=$type" "${exposed[@]}" --show-only templates/api/service.yaml
done
check 'admin port: a Service has each port once' rejects 'must differ' --set api.service.port=8081
check 'admin port: the PodMonitor scrapes it' has 'port: admin' --set metrics.podMonitor.enabled=true --show-only templates/api/podmonitor.yaml
check 'alerts: select the job of the PodMonitor' has 'job="lake/datalake-api"' --set metrics.prometheusRule.enabled=true \
  --show-only templates/prometheusrule.yaml
check 'trusted proxies: none by default' has_not DATALAKE_TRUSTED_PROXIES
check 'trusted proxies: networks are joined' has 'value: 10.244.0.0/16,fd00::/8' --set 'api.trustedProxies={10.244.0.0/16,fd00::/8}'
for network in 10.244.0.0 10.244.0.0/33 fd00::/129 ingress-nginx 10.0.0.0/8,10.1.0.0/16; do
  check "schema rejects the trusted proxy $network" rejects trustedProxies --set-json "api.trustedProxies=[\"$network\"]"
done
secrets=(--set s3.existingSecret=writer --set api.s3.existingSecret=reader)
check 's3: the API has a separate Secret' has 'name: reader' "${secrets[@]}" --show-only templates/api/deployment.yaml
check 's3: the API does not have the processor'"'"'s Secret' has_not 'name: writer' "${secrets[@]}" --show-only templates/api/deployment.yaml
check 's3: runs do not have the API'"'"'s Secret' has_not 'name: reader' "${secrets[@]}" --show-only templates/processor/cronjob.yaml
check 's3: the API'"'"'s Jobs have the processor'"'"'s Secret' has '\"name\": dyn(\"writer\")' "${secrets[@]}" \
  --show-only templates/api/validatingadmissionpolicy.yaml
check 's3: one Secret is used by both' has 'name: writer' --set s3.existingSecret=writer --show-only templates/api/deployment.yaml
check 'network policy: all connections can be permitted' has '- {}' --set-json 'networkPolicy.egress=[{}]'
check 'affinity: replaced by the values' has_not podAntiAffinity --set-json 'api.affinity={"nodeAffinity":{}}'
check 'network policy: helm test connects to the API' has 'app.kubernetes.io/component: test' \
  --set 'networkPolicy.ingressFrom[0].podSelector.matchLabels.app=web' --show-only templates/api/networkpolicy.yaml
check 'admission: two releases never share a policy' has 'name: lake.x-datalake-api-jobs' --namespace lake --set fullnameOverride=x-datalake
check 'autoscaling: no replicas are rendered' has_not 'replicas:' --set api.autoscaling.enabled=true

check 'dashboard: off' has_not grafana_dashboard
check 'dashboard: Grafana finds it' has 'grafana_dashboard: "1"' --set metrics.grafanaDashboard.enabled=true
# The ConfigMap contains the exact bytes of the file, none of which was interpreted as a template.
contains_the_file() {
  render --set metrics.grafanaDashboard.enabled=true >"$work/dashboard.yaml" &&
    sed -n '/^  datalake.json: |/,/^---/p' "$work/dashboard.yaml" | sed -n 's/^    //p' >"$work/dashboard.json" &&
    cmp "$chart/dashboards/datalake.json" "$work/dashboard.json" && python3 -m json.tool "$work/dashboard.json" /dev/null
}
check 'dashboard: the ConfigMap contains the file' contains_the_file

for typo in replicas=3 api.replicas=3 api.image.repo=x processor.schedul=x s3.secret=x demo.enable=true api.token.enable=false metrics.prometheusRule.enable=true metrics.grafanaDashboard.enable=true metrics.serviceMonitor.enabled=true \
  api.s3.secret=x networkPolicy.ingressFrom[0].namespace=x; do
  check "schema rejects --set $typo" rejects "additional properties" --set "$typo"
done
check 'schema rejects a wrong type' rejects 'want integer' --set api.replicaCount=many
check 'schema rejects a lake that is not a URL' rejects 'lake' --set lake.url=datalake
check 'schema rejects an origin with a path' rejects 'origins' --set 'api.cors.origins={https://a.example/}'
check 'schema rejects an origin without scheme' rejects 'origins' --set 'api.cors.origins={a.example}'
check 'schema rejects an endpoint without scheme' rejects 'endpoint' --set s3.endpoint=minio:9000
check 's3: addressing has no default in the chart' has_not DATALAKE_S3_ADDRESSING
check 's3: addressing reaches the processor' has 'name: DATALAKE_S3_ADDRESSING' --set s3.addressing=virtual --show-only templates/processor/cronjob.yaml
check 's3: addressing reaches the API' has 'name: DATALAKE_S3_ADDRESSING' --set s3.addressing=path --show-only templates/api/deployment.yaml
check 'schema rejects an unknown addressing' rejects 'addressing' --set s3.addressing=dns
check 'schema rejects an endpoint with credentials' rejects 'endpoint' --set s3.endpoint=http://me:secret@minio:9000
check 'schema rejects white space after an endpoint' rejects 'endpoint' --set 's3.endpoint=http://minio:9000 '
check 'schema rejects a region with white space' rejects 'region' --set 's3.region=us east'
check 'schema rejects a bucket name that S3 rejects' rejects 'url' --set lake.url=s3://ab
check 'schema rejects the sources as a lake' rejects 'url' --set lake.url=s3://datalake/src-data
check 'schema rejects an invalid digest' rejects 'digest' --set api.image.digest=latest
check 'schema rejects a schedule of three fields' rejects 'schedule' --set 'processor.schedule=0 * *'
check 'protectReads without a token is rejected' rejects 'api.protectReads needs api.token.enabled' \
  --set api.protectReads=true --set api.token.enabled=false

check 'schema rejects a misspelled key of a probe' rejects 'additional properties' --set api.readinessProbe.periodSecond=1
check 'schema rejects a misspelled key of a security context' rejects 'additional properties' --set processor.securityContext.runAsUsr=1
check 'schema rejects a misspelled key of a pod'"'"'s security context' rejects 'additional properties' --set api.podSecurityContext.fsgroup=1
check 'schema rejects a name with dots' rejects 'fullnameOverride' --set fullnameOverride=data.lake
check 'a termination grace period that interrupts requests is rejected' rejects 'api.terminationGracePeriodSeconds' --set api.preStopSleepSeconds=25
check 'a duplicate variable is rejected' rejects 'extraEnv names A twice' \
  --set 'processor.extraEnv[0].name=A' --set 'processor.extraEnv[1].name=A'
check 'token: a 401 names no Secret' has_not 'get secret' --set api.token.existingSecret=mine

documented() {
  helm-docs --chart-search-root "$chart" --dry-run --log-level error >"$work/README.md" || return 1
  diff -u "$chart/README.md" "$work/README.md" || { echo "run: helm-docs --chart-search-root $chart"; return 1; }
}
check 'README.md is up to date with helm-docs' documented
check 'k8s/ is up to date with the chart' k8s/render.sh --check
for folder in k8s/base k8s/overlays/demo; do
  kustomize build "$folder" >"$work/kustomized.yaml" 2>"$work/error"
  check "kustomize: $folder" test -s "$work/kustomized.yaml"
  check "kubeconform: $folder" valid "$work/kustomized.yaml"
done
contains_no_secret() { kustomize build k8s/base >"$work/base.yaml" && ! grep -n 'kind: Secret' "$work/base.yaml"; }
check 'k8s/base contains no Secret' contains_no_secret

# `kubectl apply -k` and helm create the same objects, except for the labels of Helm and for objects that the chart does not contain.
same_objects() { # folder namespace OBJECT… -- values…
  local folder=$1 namespace=$2 others=() file; shift 2
  while [ "$1" != -- ]; do others+=("$work/by-kustomize/$1"); shift; done; shift
  rm -rf "$work"/rendered "$work"/by-helm "$work"/by-kustomize && mkdir -p "$work/rendered" || return 1
  helm template datalake "$chart" --namespace "$namespace" --kube-version 1.34.0 --skip-tests "$@" |
    sed -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' >"$work/rendered/all.yaml" || return 1
  # Kustomize writes both in the same order and style.
  printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: %s\nresources: [all.yaml]\n' "$namespace" \
    >"$work/rendered/kustomization.yaml"
  kustomize build "$work/rendered" >"$work/by-helm.yaml" && kustomize build "$folder" >"$work/by-kustomize.yaml" || return 1
  for file in by-helm by-kustomize; do
    mkdir -p "$work/$file" || return 1
    objects "$work/$file" <"$work/$file.yaml"
  done
  [ "$(find "$work/by-helm" -type f | wc -l)" -gt 10 ] || { echo 'helm renders too few objects'; return 1; }
  rm "${others[@]}" && diff -ru "$work/by-helm" "$work/by-kustomize"
}
objects() { # folder: writes each object of a stream to a file
  awk -v folder="$1" '
    function flush() { if (text != "") { file = folder "/" kind "-" name; printf "%s", text > file; close(file) }; text = kind = name = "" }
    /^---$/ { flush(); next }
    /^kind: / { kind = $2 }
    /^metadata:/ { inside = 1 }
    /^[^ ]/ && !/^metadata:/ { inside = 0 }
    inside && /^  name: / { name = $2 }
    { text = text $0 "\n" }
    END { flush() }'
}
check 'k8s/overlays/demo equals the chart' same_objects k8s/overlays/demo datalake \
  Namespace-datalake Secret-datalake-api-token Secret-datalake-demo-s3 -- \
  --set demo.enabled=true --set api.token.existingSecret=datalake-api-token --set s3.existingSecret=datalake-demo-s3

# An own lake, as in k8s/README.md.
own=$work/my-lake
mkdir -p "$own"
sed -n '/^# my-lake\/values.yaml$/,/^```$/p' k8s/README.md | sed '/^```$/d' >"$own/values.yaml"
# With another namespace and another account, which the policies name, too.
printf 'api: {serviceAccount: {name: reader}}\nprocessor: {extraEnv: [{name: DATALAKE_LOG, value: debug}]}\n' >"$own/more.yaml"
check 'own lake: README.md names the command' grep -qF 'k8s/render.sh --values my-lake/values.yaml --out my-lake/manifests' k8s/README.md
check 'own lake: is rendered' k8s/render.sh --values "$own/values.yaml" --out "$own/manifests"
check 'own lake: equals the chart' same_objects "$own/manifests" datalake Namespace-datalake -- \
  --values "$own/values.yaml" --set api.token.existingSecret=datalake-api-token
check 'own lake: in another namespace' k8s/render.sh --values "$own/values.yaml" --values "$own/more.yaml" --namespace other --out "$own/other"
check 'own lake: in another namespace, equals the chart' same_objects "$own/other" other Namespace-other -- \
  --values "$own/values.yaml" --values "$own/more.yaml" --set api.token.existingSecret=datalake-api-token
# The policies exist with their bindings, and permit exactly the content of the CronJob's container.
policy_matches() { # folder namespace account
  local folder=$1 kind suffix text policy="$1/api-validatingadmissionpolicy.yaml" made="$work/own-objects" count=0
  kustomize build "$folder" >"$work/own.yaml" && valid "$work/own.yaml" && rm -rf "$made" && mkdir "$made" && objects "$made" <"$work/own.yaml" || return 1
  for kind in ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding; do
    for suffix in '' -update -deletion; do
      [ -e "$made/$kind-$2.datalake-api-jobs$suffix" ] || { echo "there is no $kind $2.datalake-api-jobs$suffix"; return 1; }
    done
  done
  grep -qF "'system:serviceaccount:$2:$3'" "$policy" || { echo "the policy is for another account than $2:$3"; return 1; }
  while IFS= read -r text; do
    count=$((count + 1))
    grep -qF "dyn(\\\"$text\\\")" "$policy" || { echo "the policy does not permit $text"; return 1; }
  done < <(sed -n -e 's/^ *\(- \)\{0,1\}\(image\|name\|value\|key\): "\{0,1\}\([^"]*\)"\{0,1\}$/\3/p' "$folder/processor-cronjob.yaml" | sed 1d)
  [ "$count" -gt 10 ] || { echo 'the CronJob has too few fields'; return 1; }
}
check 'own lake: the policies match the CronJob' policy_matches "$own/manifests" datalake datalake-api
check 'own lake: the policies match another CronJob' policy_matches "$own/other" other reader
mismatched() {
  sed -i 's/registry.example.com/mirror.example.com/' "$own/other/processor-cronjob.yaml"
  if policy_matches "$own/other" other reader >"$work/mismatch"; then return 1; fi
  grep -F 'does not permit mirror.example.com' "$work/mismatch"
}
check 'own lake: a CronJob that was patched does not match' mismatched
fails_as() { # text command…
  local text=$1 output; shift
  if output=$("$@" 2>&1); then echo 'it succeeded'; return 1; fi
  grep -qF -- "$text" <<<"$output" || { echo "it failed for another reason: $output"; return 1; }
}
printf 'demo: {enabled: true}\n' >"$own/secret.yaml"
check 'own lake: no Secret is rendered' fails_as 'render a Secret (demo-secret.yaml' k8s/render.sh --values "$own/secret.yaml" --out "$own/secret"
check 'own lake: nothing is written in this case' test ! -e "$own/secret"
check 'own lake: a folder of another origin is not changed' fails_as 'choose another folder' k8s/render.sh --values "$own/values.yaml" --out k8s/base
printf 'api: {podDisruptionBudget: {enabled: false}}\n' >"$own/fewer.yaml"
check 'own lake: is rendered again' k8s/render.sh --values "$own/values.yaml" --values "$own/fewer.yaml" --out "$own/manifests"
check 'own lake: files that are no longer rendered are removed' test ! -e "$own/manifests/api-poddisruptionbudget.yaml"

# skaffold is not required: its keys are validated, and the objects that they name have to exist.
check 'skaffold.yaml: its keys' valid skaffold.yaml
sed 's/chartPath:/chartpath:/' skaffold.yaml >"$work/skaffold.yaml"
check 'skaffold.yaml: a misspelled key is rejected' invalid "$work/skaffold.yaml"
values_of() { # key: all its values in skaffold.yaml
  sed -n "s/^ *\(- \)\{0,1\}$1: *//p" skaffold.yaml
}
skaffold_names_exist() {
  local target image path set=()
  for path in $(values_of chartPath) $(values_of dockerfile); do
    [ -e "$path" ] || { echo "there is no $path"; return 1; }
  done
  for target in $(values_of target); do
    grep -qE "^FROM .* AS $target\$" Dockerfile || { echo "the Dockerfile has no stage $target"; return 1; }
  done
  # The chart's schema rejects values that it does not know.
  for image in $(sed -n '/setValues:/,/^portForward:/s/^ *\([a-zA-Z.]*\.[a-zA-Z.]*\): .*/\1/p' skaffold.yaml); do
    case $image in *.enabled) set+=(--set "$image=true") ;; *) set+=(--set-string "$image=x") ;; esac
  done
  [ ${#set[@]} -eq 10 ] || { echo "the values of skaffold.yaml are not found: ${set[*]}"; return 1; }
  render "${set[@]}" >"$work/skaffold-rendered.yaml" || return 1
  for image in $(values_of image | grep -v '^\['); do
    grep -q "IMAGE_REPO_${image//-/_}}}" skaffold.yaml && grep -q "IMAGE_TAG_${image//-/_}}}" skaffold.yaml ||
      { echo "$image is built but not deployed"; return 1; }
  done
  grep -qE "^  name: $(values_of resourceName)\$" "$work/skaffold-rendered.yaml"
}
check 'skaffold.yaml: the objects that it names exist' skaffold_names_exist
not_labeled() { # kind: the chart renders it, and skaffold does not change it
  grep -q "^kind: ${1%.*}$" "$work/demo.yaml" && sed -n '/^  deny:/,/^[^ ]/p' skaffold.yaml | grep -A2 -F "groupKind: $1" | grep -c '\[".\*"\]' | grep -qx 2
}
check 'skaffold.yaml: CronJobs are not changed' not_labeled CronJob.batch
check 'skaffold.yaml: Jobs are not changed' not_labeled Job.batch

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
