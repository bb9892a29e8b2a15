{{/* The Ray workers of a pool. Takes root and name. */}}
{{- define "site.workers" -}}
{{- $root := .root -}}
{{- $pool := include "site.pool" . | fromYaml -}}
{{- $gpus := int $pool.gpusPerNode -}}
{{- $limits := deepCopy $pool.resources -}}
{{- if $gpus -}}{{- $_ := set $limits "nvidia.com/gpu" $gpus -}}{{- end -}}
{{- if $pool.rdma.resource -}}{{- $_ := set $limits $pool.rdma.resource (int $pool.rdma.count) -}}{{- end -}}
{{- $selector := deepCopy $pool.nodeSelector -}}
{{- if $pool.gpuProduct -}}{{- $_ := set $selector "nvidia.com/gpu.product" $pool.gpuProduct -}}{{- end -}}
groupName: {{ .name }}
replicas: {{ int $pool.nodes.min }}
minReplicas: {{ int $pool.nodes.min }}
maxReplicas: {{ int $pool.nodes.max }}
rayStartParams:
  object-store-memory: {{ include "site.objectStoreBytes" . | quote }}
  {{- if $gpus }}
  num-gpus: {{ $gpus | quote }}
  {{- end }}
  # A shell takes the outer quotes away.
  resources: {{ printf "\"%s\"" (dict (include "site.place" .name) (int $pool.engines) | toJson | replace "\"" "\\\"") | squote }}
template:
  metadata:
    labels: {{- include "site.rayLabels" (dict "root" $root "part" "ray-worker") | nindent 6 }}
      spillway/pool: {{ .name }}
  spec:
    serviceAccountName: {{ include "site.name" $root }}-ray
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext: {{- include "site.podSecurity" $root | nindent 6 }}
    terminationGracePeriodSeconds: {{ int $root.Values.ray.terminationGracePeriodSeconds }}
    {{- include "site.pull" $root | nindent 4 }}
    {{- with $selector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $pool.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with include "site.weightContainer" $root }}
    initContainers: {{- . | nindent 6 }}
    {{- end }}
    containers:
      - name: ray-worker
        image: {{ include "site.image" $root.Values.image }}
        imagePullPolicy: {{ $root.Values.image.pullPolicy }}
        env: {{- include "site.rayEnvironment" $root | nindent 10 }}
          {{- if not $gpus }}
          - {name: NVIDIA_VISIBLE_DEVICES, value: void} # all, where nobody says
          {{- else }}
          {{- if not $pool.rdma.resource }}
          - {name: NCCL_IB_DISABLE, value: "1"}
          {{- end }}
          {{- range $key, $value := $pool.nccl }}
          - {name: {{ $key }}, value: {{ $value | quote }}}
          {{- end }}
          {{- end }}
          {{- range $key, $value := $pool.environment }}
          - {name: {{ $key }}, value: {{ $value | quote }}}
          {{- end }}
        ports:
          - {name: metrics, containerPort: 8080}
        # KubeRay's own readiness probe would ask a proxy of Serve that does not run here.
        startupProbe:
          httpGet: {path: /api/local_raylet_healthz, port: 52365}
          periodSeconds: 5
          failureThreshold: 60
        readinessProbe:
          httpGet: {path: /api/local_raylet_healthz, port: 52365}
          periodSeconds: 5
          timeoutSeconds: 5
        livenessProbe:
          httpGet: {path: /api/local_raylet_healthz, port: 52365}
          periodSeconds: 10
          timeoutSeconds: 10
          failureThreshold: 12
        resources: {{- include "site.resources" $limits | nindent 10 }}
        {{- /* Memory that a network card writes into has to stay where it is. */}}
        securityContext: {{- include "site.containerSecurity" (ne $pool.rdma.resource "" | ternary (dict "add" (list "IPC_LOCK")) dict) | nindent 10 }}
        volumeMounts:
          {{- include "site.rayMounts" $root | nindent 10 }}
          {{- include "site.weightMounts" $root | nindent 10 }}
          {{- if $root.Values.leaseKeySecret.name }}
          - {name: leases, mountPath: /etc/spillway/leases, readOnly: true}
          {{- end }}
    volumes:
      {{- include "site.rayVolumes" $pool.sharedMemory | nindent 6 }}
      {{- include "site.weightVolumes" $root | nindent 6 }}
      {{- include "site.leaseVolume" $root | nindent 6 }}
{{- end -}}
