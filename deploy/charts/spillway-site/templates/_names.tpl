{{/* The name of everything: the release's. Ray and Kubernetes add to it, and have 63 characters. */}}
{{- define "site.name" -}}
{{- if gt (len .Release.Name) 40 -}}
{{- fail (printf "the release's name %s has %d characters; at most 40" .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{/* What selects the pods of a part: the site, and which part. */}}
{{- define "site.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The labels of Ray's pods. The application's name is KubeRay's own: its Services select by it. */}}
{{- define "site.rayLabels" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
spillway/ray: {{ include "site.name" .root }}
{{- end -}}

{{/* All labels of a part's objects. */}}
{{- define "site.labels" -}}
{{ include "site.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: spillway
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
spillway/site-kind: {{ .root.Values.site.kind }}
{{- end -}}

{{/* Name and version of an image: by its digest where it has one. */}}
{{- define "site.image" -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest }}
{{- else -}}
{{ printf "%s:%s" .repository .tag }}
{{- end -}}
{{- end -}}

{{- define "site.gateway" -}}{{ include "site.name" . }}-gateway{{- end -}}

{{/* A name for every pod of the gateway, which the autoscaler asks one by one. */}}
{{- define "site.gateways" -}}{{ include "site.gateway" . }}-pods{{- end -}}

{{/* Who Ray Serve's autoscaler is to the gateway, and where its certificate is put. */}}
{{- define "site.autoscaler" -}}
{{ printf "autoscaler.%s.%s.svc" (include "site.name" .) .Release.Namespace }}
{{- end -}}
{{- define "site.autoscalerSecret" -}}{{ include "site.name" . }}-autoscaler-tls{{- end -}}

{{/* Where cert-manager, or somebody else, puts the gateway's certificate. */}}
{{- define "site.certificate" -}}
{{- .Values.gateway.certificate.secret | default (printf "%s-tls" (include "site.gateway" .)) -}}
{{- end -}}

{{/* KubeRay's Service of the head of the cluster that serves. */}}
{{- define "site.dashboard" -}}
{{ printf "http://%s-head-svc.%s.svc:8265" (include "site.name" .) .Release.Namespace }}
{{- end -}}
