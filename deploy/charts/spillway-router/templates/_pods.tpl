{{/* Who a pod runs as: user 1000, which both images have. */}}
{{- define "router.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What a container may: nothing but run. `add` are capabilities. */}}
{{- define "router.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
  {{- with .add }}
  add: {{ toJson . }}
  {{- end }}
{{- end -}}

{{/* Equal requests and limits, so that nothing is taken from a stream that runs. */}}
{{- define "router.resources" -}}
requests: {{ toJson . }}
limits: {{ toJson . }}
{{- end -}}

{{- define "router.pull" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
