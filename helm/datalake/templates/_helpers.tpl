{{/* The chart's name. */}}
{{- define "datalake.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 42 | trimSuffix "-" -}}
{{- end -}}

{{/*
The stem of all names: the release's, with the chart's where it does not say it already. 42 characters leave room for
`-processor` within the 52 that a CronJob's name may have.
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

{{/* The labels by which the pods of a component are told: (list . "api"). They must never change. */}}
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

{{/* The reference of an image: (list . .Values.api.image). A digest beats a tag; no tag is the chart's appVersion. */}}
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

{{/* The Secret with the credentials for the store, the demo's as well; nothing where the AWS SDK finds them by itself. */}}
{{- define "datalake.s3.secretName" -}}
{{- if .Values.s3.existingSecret -}}
{{- .Values.s3.existingSecret -}}
{{- else if .Values.demo.enabled -}}
{{- include "datalake.demo.name" . -}}
{{- end -}}
{{- end -}}

{{/*
The lake's URL and how to reach it, the environment that every command takes: (list . SECRET), with the Secret of the credentials or nothing.
*/}}
{{- define "datalake.lakeEnv" -}}
{{- $secret := index . 1 -}}
{{- with index . 0 -}}
- name: DATALAKE_LAKE
  value: {{ .Values.lake.url | quote }}
{{- $endpoint := .Values.s3.endpoint }}
{{- if and .Values.demo.enabled (or $endpoint (not (hasPrefix "s3://" .Values.lake.url))) }}
{{- fail "demo.enabled brings a store of its own and fills it with invented users: leave out s3.endpoint, and let lake.url be s3://BUCKET" }}
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

{{/* The environment of the processor: the lake, and the Job's name as the run's id. */}}
{{- define "datalake.processorEnv" -}}
{{ include "datalake.lakeEnv" (list . (include "datalake.s3.secretName" .)) }}
- name: DATALAKE_RUN_ID
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.labels['batch.kubernetes.io/job-name']
{{- end -}}

{{/* A list of environment entries as text, and a user's list: (list TEXT EXTRA). An entry of the user's replaces one of its name. */}}
{{- define "datalake.mergedEnv" -}}
{{- $extra := index . 1 -}}
{{- $replaced := list -}}
{{- range $extra -}}
{{- if has .name $replaced -}}
{{- fail (printf "extraEnv names %s twice: which one holds?" .name) -}}
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

{{/* Where the pods of a component may run: (list . .Values.api). */}}
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

{{/* The constraints of the API's pods; one that names no pods means the API's own. */}}
{{- define "datalake.topologySpread" -}}
{{- $own := dict "matchLabels" (include "datalake.selectorLabels" (list . "api") | fromYaml) -}}
{{- $constraints := list -}}
{{- range .Values.api.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (dict) . (dict "labelSelector" $own)) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/*
A value of a Secret that the chart makes: (list . SECRET KEY). What is there is kept, since whoever holds it would be locked out.
*/}}
{{- define "datalake.keptSecret" -}}
{{- $root := index . 0 -}}
{{- $present := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- $value := index (($present).data | default dict) (index . 2) -}}
{{- default (randAlphaNum 40 | b64enc) $value -}}
{{- end -}}

{{/* What the admission policies are called. The name is the whole cluster's; no namespace has a dot, so that no two releases meet. */}}
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
  # Every client without the token gets this text: it names neither namespace nor Secret.
  value: "it is in the Secret that the README of the chart names"
- name: DATALAKE_PROTECT_READS
  value: {{ .Values.api.protectReads | quote }}
{{- else if .Values.api.protectReads }}
{{- fail "api.protectReads needs api.token.enabled: without a token nobody could read" }}
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

{{/* The values by which clients from outside the release's namespace are meant to reach the API, separated by commas; nothing if there is none. */}}
{{- define "datalake.exposedBy" -}}
{{- $by := list -}}
{{- if .Values.api.ingress.enabled -}}{{- $by = append $by "api.ingress.enabled" -}}{{- end -}}
{{- if .Values.api.httpRoute.enabled -}}{{- $by = append $by "api.httpRoute.enabled" -}}{{- end -}}
{{- if ne .Values.api.service.type "ClusterIP" -}}{{- $by = append $by (printf "api.service.type=%s" .Values.api.service.type) -}}{{- end -}}
{{- join ", " $by -}}
{{- end -}}

{{/* What a NetworkPolicy governs, and where pods may connect to: name servers, the S3 server, and what the values permit. */}}
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

{{/* What the pods that run the processor's image have in common. */}}
{{- define "datalake.processorPod" -}}
serviceAccountName: {{ include "datalake.serviceAccountName" (list . "processor") }}
# A run talks to the store alone.
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.processor.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ .Values.processor.terminationGracePeriodSeconds }}
{{- with .Values.processor.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "datalake.scheduling" (list . .Values.processor) | trim }}
{{ . }}
{{- end }}
{{- end -}}

{{/* The Job of a run but for its pod: the CronJob's, and what the ValidatingAdmissionPolicy compares the API's Jobs with. */}}
{{- define "datalake.runJob" -}}
backoffLimit: {{ .Values.processor.backoffLimit }}
activeDeadlineSeconds: {{ .Values.processor.activeDeadlineSeconds }}
ttlSecondsAfterFinished: {{ .Values.processor.ttlSecondsAfterFinished }}
podFailurePolicy:
  rules:
    # 2 is a mistake of the configuration and 4 a guard's refusal: no retry helps.
    - action: FailJob
      onExitCodes:
        containerName: processor
        operator: In
        values: [2, 4]
    # A drained node is nobody's failure.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
{{- end -}}

{{/* The pod of a run: the CronJob's, and what the ValidatingAdmissionPolicy compares the API's Jobs with. */}}
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
    # The last words of a run that failed are in the pod's status.
    terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* What the containers of the processor's image have in common. */}}
{{- define "datalake.processorContainer" -}}
image: {{ include "datalake.image" (list . .Values.processor.image) | quote }}
imagePullPolicy: {{ .Values.processor.image.pullPolicy }}
env:
  {{- include "datalake.mergedEnv" (list (include "datalake.processorEnv" .) .Values.processor.extraEnv) | nindent 2 }}
resources:
  {{- toYaml .Values.processor.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.processor.securityContext | nindent 2 }}
{{- with .Values.processor.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Job that fills the demo's lake. */}}
{{- define "datalake.demo.jobSpec" -}}
# Over an hour of attempts: the S3 server's image may be slow to come.
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
      # The API's own first run may come upon a lake that is half filled; without this one the rest would wait for the next hour.
      - name: processor
        {{- include "datalake.processorContainer" . | nindent 8 }}
        args:
          - process
          - --output
          - json
        terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* A value as a literal of CEL. Each part is `dyn`, since the parts of one map or list differ in type, which CEL refuses otherwise. */}}
{{- define "datalake.cel" -}}
{{- if kindIs "map" . -}}
dyn({ {{- $comma := "" }}{{ range $key, $value := . }}{{ $comma }}{{ toJson $key }}: {{ include "datalake.cel" $value }}{{ $comma = ", " }}{{ end -}} })
{{- else if kindIs "slice" . -}}
dyn([ {{- $comma := "" }}{{ range . }}{{ $comma }}{{ include "datalake.cel" . }}{{ $comma = ", " }}{{ end -}} ])
{{- else -}}
dyn({{ toJson . }})
{{- end -}}
{{- end -}}
