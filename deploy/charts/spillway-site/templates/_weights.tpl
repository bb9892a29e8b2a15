{{/* The volumes by which weights come to an engine's pod, YAML of a list. */}}
{{- define "site.weightVolumes" -}}
{{- $weights := .Values.weights -}}
{{- if eq $weights.source "volume" }}
- name: weights
  persistentVolumeClaim: {claimName: {{ $weights.volume.claimName }}, readOnly: true}
{{- end }}
{{- if ne $weights.source "built-in" }}
{{- if eq $weights.cache.kind "pod" }}
- name: weight-cache
  emptyDir: {sizeLimit: {{ $weights.cache.size }}}
{{- else if eq $weights.cache.kind "node" }}
- name: weight-cache
  hostPath: {path: {{ $weights.cache.path }}, type: Directory}
{{- end }}
{{- end }}
{{- end -}}

{{/* What an engine sees of them, read only. */}}
{{- define "site.weightMounts" -}}
{{- if ne .Values.weights.source "built-in" }}
- name: {{ eq .Values.weights.cache.kind "none" | ternary "weights" "weight-cache" }}
  mountPath: /models
  readOnly: true
{{- end }}
{{- end -}}

{{/* The container that fills the cache before the engine starts. It copies what is not there yet. */}}
{{- define "site.weightContainer" -}}
{{- $weights := .Values.weights -}}
{{- if and (ne $weights.source "built-in") (ne $weights.cache.kind "none") }}
- name: weights
  image: {{ include "site.image" $weights.image }}
  imagePullPolicy: {{ $weights.image.pullPolicy }}
  args:
    - copy
    - --config=
    - --transfers=16
    - --checkers=16
    - --retries=5
    - --stats=30s
    - --stats-one-line
    - -v
    - {{ eq $weights.source "volume" | ternary (printf "/source/%s" .Values.model.name) (printf "store:%s/%s" $weights.store.path .Values.model.name) }}
    - /models/{{ .Values.model.name }}
  {{- if eq $weights.source "store" }}
  env:
    {{- range $key, $value := $weights.store.remote }}
    - {name: RCLONE_CONFIG_STORE_{{ upper $key }}, value: {{ $value | quote }}}
    {{- end }}
  {{- with $weights.store.secret }}
  envFrom:
    - secretRef: {name: {{ . }}}
  {{- end }}
  {{- end }}
  securityContext: {{- include "site.containerSecurity" dict | nindent 4 }}
  resources: {{- include "site.resources" (dict "cpu" "4" "memory" "4Gi") | nindent 4 }}
  volumeMounts:
    - {name: weight-cache, mountPath: /models}
    - {name: scratch, mountPath: /tmp}
    {{- if eq $weights.source "volume" }}
    - {name: weights, mountPath: /source, readOnly: true}
    {{- end }}
{{- end }}
{{- end -}}
