{{/* The name of everything: the release's. Kubernetes and the parts add to it, and there are 63 characters. */}}
{{- define "router.name" -}}
{{- if gt (len .Release.Name) 40 -}}
{{- fail (printf "the release's name %s has %d characters; at most 40" .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{/* What selects the pods of a part: the release, and which part. */}}
{{- define "router.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* All labels of a part's objects. */}}
{{- define "router.labels" -}}
{{ include "router.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: spillway
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Name and version of an image: by its digest where it has one. */}}
{{- define "router.image" -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest }}
{{- else -}}
{{ printf "%s:%s" .repository .tag }}
{{- end -}}
{{- end -}}

{{/* Where cert-manager, or somebody else, puts the certificate. */}}
{{- define "router.tlsSecret" -}}
{{- .Values.certificate.secret | default (printf "%s-tls" (include "router.name" .)) -}}
{{- end -}}

{{- define "router.valkey" -}}{{ include "router.name" . }}-valkey{{- end -}}

{{/* Where the store is that routers share; empty where there is none. */}}
{{- define "router.storeUrl" -}}
{{- if eq .Values.store.kind "valkey" -}}
{{ printf "redis://%s.%s.svc:6379/0" (include "router.valkey" .) .Release.Namespace }}
{{- else if eq .Values.store.kind "external" -}}
{{ .Values.store.url }}
{{- end -}}
{{- end -}}
