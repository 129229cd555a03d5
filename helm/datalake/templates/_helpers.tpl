{{/* The chart's name. */}}
{{- define "datalake.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 42 | trimSuffix "-" -}}
{{- end -}}

{{/*
The prefix of all names: the release's name, and the chart's name if the former does not contain it. With 42 characters,
`-processor` fits into the 52 that a CronJob's name may have.
*/}}
{{- define "datalake.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 42 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The labels that select the pods of a component: (list . "api"). They must never change. */}}
{{- define "datalake.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "datalake.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of an object of a component: (list . "api"). */}}
{{- define "datalake.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "datalake.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The reference of an image: (list . .Values.api.image). A digest takes precedence over a tag; the default tag is the chart's appVersion. */}}
{{- define "datalake.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The ServiceAccount of a component: (list . "api"). */}}
{{- define "datalake.serviceAccountName" -}}
{{- $account := (index (index . 0).Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "datalake.fullname" (index . 0)) (index . 1)) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the bearer token. */}}
{{- define "datalake.tokenSecretName" -}}
{{- default (printf "%s-api-token" (include "datalake.fullname" .)) .Values.api.token.existingSecret -}}
{{- end -}}

{{/* The name of the demo's S3 server, and of its Service. */}}
{{- define "datalake.demo.name" -}}
{{- printf "%s-demo-s3" (include "datalake.fullname" .) -}}
{{- end -}}

{{/* The Secret with the credentials for the store, also of the demo; empty if the AWS SDK finds credentials. */}}
{{- define "datalake.s3.secretName" -}}
{{- if .Values.s3.existingSecret -}}
{{- .Values.s3.existingSecret -}}
{{- else if .Values.demo.enabled -}}
{{- include "datalake.demo.name" . -}}
{{- end -}}
{{- end -}}

{{/*
The environment for access to the lake, which every command needs: (list . SECRET), with the Secret of the credentials or an empty string.
*/}}
{{- define "datalake.lakeEnv" -}}
{{- $secret := index . 1 -}}
{{- with index . 0 -}}
- name: DATALAKE_LAKE
  value: {{ .Values.lake.url | quote }}
{{- $endpoint := .Values.s3.endpoint }}
{{- if and .Values.demo.enabled (or $endpoint (not (hasPrefix "s3://" .Values.lake.url))) }}
{{- fail "demo.enabled creates a store of its own with sample users: remove s3.endpoint, and set lake.url to s3://BUCKET" }}
{{- end }}
{{- with include "datalake.s3Endpoint" . }}
- name: DATALAKE_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.s3.region }}
- name: DATALAKE_S3_REGION
  value: {{ . | quote }}
{{- end }}
{{- if ne .Values.s3.addressing "auto" }}
- name: DATALAKE_S3_ADDRESSING
  value: {{ .Values.s3.addressing | quote }}
{{- end }}
{{- if $secret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ .Values.s3.existingSecretKeys.accessKeyId }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ .Values.s3.existingSecretKeys.secretAccessKey }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The environment of the processor: the lake, and the Job's name as the run ID. */}}
{{- define "datalake.processorEnv" -}}
{{ include "datalake.lakeEnv" (list . (include "datalake.s3.secretName" .)) }}
- name: DATALAKE_RUN_ID
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.labels['batch.kubernetes.io/job-name']
{{- if .Values.dataset }}
{{- if .Values.demo.enabled }}
{{- fail "demo.enabled creates a lake of sample users: remove dataset" }}
{{- end }}
- name: DATALAKE_DATASET
  value: /etc/datalake/dataset.toml
{{- end }}
{{- end -}}

{{/* A list of environment entries as text, merged with an operator's list: (list TEXT EXTRA). The operator's entries replace those of the same name. */}}
{{- define "datalake.mergedEnv" -}}
{{- $extra := index . 1 -}}
{{- $replaced := list -}}
{{- range $extra -}}
{{- if has .name $replaced -}}
{{- fail (printf "extraEnv names %s twice: remove one" .name) -}}
{{- end -}}
{{- $replaced = append $replaced .name -}}
{{- end -}}
{{- $merged := list -}}
{{- range fromYamlArray (index . 0) -}}
{{- if not (has .name $replaced) -}}
{{- $merged = append $merged . -}}
{{- end -}}
{{- end -}}
{{- toYaml (concat $merged $extra) -}}
{{- end -}}

{{/* The scheduling of the pods of a component: (list . .Values.api). */}}
{{- define "datalake.scheduling" -}}
{{- $component := index . 1 -}}
{{- with (index . 0).Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $component.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The constraints of the API's pods; one without a selector gets that of the API. */}}
{{- define "datalake.topologySpread" -}}
{{- $own := dict "matchLabels" (include "datalake.selectorLabels" (list . "api") | fromYaml) -}}
{{- $constraints := list -}}
{{- range .Values.api.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (dict) . (dict "labelSelector" $own)) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/*
A value of a Secret that the chart generates: (list . SECRET KEY). An existing value is kept, so that clients that have it keep their access.
*/}}
{{- define "datalake.keptSecret" -}}
{{- $root := index . 0 -}}
{{- $present := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- $value := index (($present).data | default dict) (index . 2) -}}
{{- default (randAlphaNum 40 | b64enc) $value -}}
{{- end -}}

{{/* The name of the admission policies, which are cluster-scoped. No namespace contains a dot, so that names of releases never collide. */}}
{{- define "datalake.policyName" -}}
{{- printf "%s.%s-api-jobs" .Release.Namespace (include "datalake.fullname" .) -}}
{{- end -}}

{{/* Whether a request is the API's, in CEL. */}}
{{- define "datalake.byTheApi" -}}
{{- printf "request.userInfo.username == 'system:serviceaccount:%s:%s'" .Release.Namespace (include "datalake.serviceAccountName" (list . "api")) -}}
{{- end -}}

{{/* The environment of the API. */}}
{{- define "datalake.apiEnv" -}}
{{ include "datalake.lakeEnv" (list . (.Values.api.s3.existingSecret | default (include "datalake.s3.secretName" .))) }}
- name: DATALAKE_LISTEN
  value: 0.0.0.0:8080
- name: DATALAKE_ADMIN_LISTEN
  value: 0.0.0.0:8081
- name: DATALAKE_LAUNCHER
  value: kubernetes
- name: DATALAKE_CRONJOB
  value: {{ include "datalake.fullname" . }}-processor
{{- if .Values.api.token.enabled }}
- name: DATALAKE_TOKEN_FILE
  value: /run/secrets/datalake/token
- name: DATALAKE_TOKEN_HINT
  # Every client without the token gets this text, so it names neither namespace nor Secret.
  value: "it is in the Secret that the README of the chart names"
- name: DATALAKE_PROTECT_READS
  value: {{ .Values.api.protectReads | quote }}
{{- else if .Values.api.protectReads }}
{{- fail "api.protectReads needs api.token.enabled: without a token, no client could read" }}
{{- end }}
{{- with .Values.api.cors.origins }}
- name: DATALAKE_CORS_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.api.trustedProxies }}
- name: DATALAKE_TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{/* The values that expose the API outside of the release's namespace, separated by commas; empty if there is none. */}}
{{- define "datalake.exposedBy" -}}
{{- $by := list -}}
{{- if .Values.api.ingress.enabled -}}{{- $by = append $by "api.ingress.enabled" -}}{{- end -}}
{{- if .Values.api.httpRoute.enabled -}}{{- $by = append $by "api.httpRoute.enabled" -}}{{- end -}}
{{- if ne .Values.api.service.type "ClusterIP" -}}{{- $by = append $by (printf "api.service.type=%s" .Values.api.service.type) -}}{{- end -}}
{{- join ", " $by -}}
{{- end -}}

{{/* The egress rules of a NetworkPolicy: name servers, the S3 server, and the values' rules. */}}
{{- define "datalake.egress" -}}
policyTypes:
  - Ingress
  - Egress
egress:
  - ports:
      - port: 53
        protocol: UDP
      - port: 53
        protocol: TCP
  {{- with include "datalake.s3Port" . }}
  # The S3 server.
  - ports:
      - port: {{ . }}
        protocol: TCP
  {{- end }}
  {{- with .Values.networkPolicy.egress }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The S3 endpoint; empty for AWS. */}}
{{- define "datalake.s3Endpoint" -}}
{{- if .Values.s3.endpoint -}}
{{- .Values.s3.endpoint -}}
{{- else if .Values.demo.enabled -}}
http://{{ include "datalake.demo.name" . }}:7070
{{- end -}}
{{- end -}}

{{/* The port of the S3 endpoint; empty for AWS. */}}
{{- define "datalake.s3Port" -}}
{{- $endpoint := include "datalake.s3Endpoint" . -}}
{{- if $endpoint -}}
{{- $url := urlParse $endpoint -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}
{{- end -}}

{{/* The common fields of pods with the processor's image. */}}
{{- define "datalake.processorPod" -}}
serviceAccountName: {{ include "datalake.serviceAccountName" (list . "processor") }}
# A run connects only to the store.
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.processor.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ .Values.processor.terminationGracePeriodSeconds }}
{{- if or .Values.dataset .Values.processor.extraVolumes }}
volumes:
  {{- if .Values.dataset }}
  - name: dataset
    configMap:
      name: {{ include "datalake.fullname" . }}-dataset
  {{- end }}
  {{- with .Values.processor.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with include "datalake.scheduling" (list . .Values.processor) | trim }}
{{ . }}
{{- end }}
{{- end -}}

{{/* The Job of a run, without its pod: for the CronJob, and for the ValidatingAdmissionPolicy, which compares the API's Jobs with it. */}}
{{- define "datalake.runJob" -}}
backoffLimit: {{ .Values.processor.backoffLimit }}
activeDeadlineSeconds: {{ .Values.processor.activeDeadlineSeconds }}
ttlSecondsAfterFinished: {{ .Values.processor.ttlSecondsAfterFinished }}
podFailurePolicy:
  rules:
    # 2 is an invalid configuration, and 4 a run that a guard blocked: retrying will not help.
    - action: FailJob
      onExitCodes:
        containerName: processor
        operator: In
        values: [2, 4]
    # The drain of a node does not count as a failure.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
{{- end -}}

{{/* The pod of a run: for the CronJob, and for the ValidatingAdmissionPolicy, which compares the API's Jobs with it. */}}
{{- define "datalake.runPod" -}}
restartPolicy: Never
{{ include "datalake.processorPod" . }}
containers:
  - name: processor
    {{- include "datalake.processorContainer" . | nindent 4 }}
    args:
      - process
      - --output
      - json
    # The failure message of a run is in the status of its pod.
    terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* The common fields of containers with the processor's image. */}}
{{- define "datalake.processorContainer" -}}
image: {{ include "datalake.image" (list . .Values.processor.image) | quote }}
imagePullPolicy: {{ .Values.processor.image.pullPolicy }}
env:
  {{- include "datalake.mergedEnv" (list (include "datalake.processorEnv" .) .Values.processor.extraEnv) | nindent 2 }}
resources:
  {{- toYaml .Values.processor.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.processor.securityContext | nindent 2 }}
{{- if or .Values.dataset .Values.processor.extraVolumeMounts }}
volumeMounts:
  {{- if .Values.dataset }}
  - name: dataset
    mountPath: /etc/datalake
    readOnly: true
  {{- end }}
  {{- with .Values.processor.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The Job that fills the demo's lake. */}}
{{- define "datalake.demo.jobSpec" -}}
# Attempts for over an hour: pulling the S3 server's image may take long.
backoffLimit: 20
template:
  metadata:
    labels:
      {{- include "datalake.selectorLabels" (list . "demo-init") | nindent 6 }}
  spec:
    restartPolicy: OnFailure
    {{- include "datalake.processorPod" . | nindent 4 }}
    initContainers:
      - name: init
        {{- include "datalake.processorContainer" . | nindent 8 }}
        args:
          - init
          - --samples
        terminationMessagePolicy: FallbackToLogsOnError
    containers:
      # The first run of the API may see a part of the samples; without this run, the rest would wait for the next scheduled run.
      - name: processor
        {{- include "datalake.processorContainer" . | nindent 8 }}
        args:
          - process
          - --output
          - json
        terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* A value as a literal of CEL. Each part is `dyn`, because CEL otherwise rejects maps and lists with values of several types. */}}
{{- define "datalake.cel" -}}
{{- if kindIs "map" . -}}
dyn({ {{- $comma := "" }}{{ range $key, $value := . }}{{ $comma }}{{ toJson $key }}: {{ include "datalake.cel" $value }}{{ $comma = ", " }}{{ end -}} })
{{- else if kindIs "slice" . -}}
dyn([ {{- $comma := "" }}{{ range . }}{{ $comma }}{{ include "datalake.cel" . }}{{ $comma = ", " }}{{ end -}} ])
{{- else -}}
dyn({{ toJson . }})
{{- end -}}
{{- end -}}
