{{/* Who a pod runs as: user 1000, which both images have. */}}
{{- define "site.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What a container may: nothing but run. `add` are capabilities. */}}
{{- define "site.containerSecurity" -}}
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
{{- define "site.resources" -}}
requests: {{ toJson . }}
limits: {{ toJson . }}
{{- end -}}

{{/* Every node of a Ray cluster has these (serving/serve_environment.py). */}}
{{- define "site.rayEnvironment" -}}
- {name: RAY_SERVE_ENABLE_DIRECT_INGRESS, value: "1"}
- {name: RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS, value: "1"}
- {name: RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S, value: "1"}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
- {name: VLLM_NO_USAGE_STATS, value: "1"}
- {name: DO_NOT_TRACK, value: "1"}
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: HOME, value: /home/spillway}
{{- end -}}

{{/* Of Ray, in bytes: tokens do not travel through it, and by itself it takes a third of the memory. */}}
{{- define "site.objectStoreBytes" -}}536870912{{- end -}}

{{/* Folders that a Ray node writes: its sessions, caches of compilers, shared memory. */}}
{{- define "site.rayMounts" -}}
- {name: scratch, mountPath: /tmp}
- {name: home, mountPath: /home/spillway}
- {name: shared-memory, mountPath: /dev/shm}
{{- end -}}

{{- define "site.rayVolumes" -}}
- {name: scratch, emptyDir: {}}
- {name: home, emptyDir: {}}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end -}}

{{- define "site.pull" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The keys of leases and of pieces of routers' trust: the same at routers and engines. */}}
{{- define "site.leaseVolume" -}}
{{- with .Values.leaseKeySecret }}
{{- if .name }}
- name: leases
  secret:
    secretName: {{ .name }}
    items: [{key: {{ .key }}, path: keys}]
{{- end }}
{{- end }}
{{- end -}}
