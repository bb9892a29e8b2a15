{{/* A pool with what it leaves out; YAML. Takes root and name. */}}
{{- define "site.pool" -}}
{{- $pool := mergeOverwrite (deepCopy .root.Values.poolDefaults) (deepCopy (index .root.Values.pools .name)) -}}
{{- $vllm := $pool.serving.vllm | default dict -}}
{{- $devices := mul (int ($vllm.tensor_parallel_size | default 1)) (int ($vllm.pipeline_parallel_size | default 1)) -}}
{{- $gpus := int $pool.gpusPerNode -}}
{{- if and $gpus (gt $devices $gpus) -}}
{{- fail (printf "pools.%s: an engine of %d GPUs (tensor_parallel_size times pipeline_parallel_size) does not fit on a node of %d; its GPUs are placed together, on one node" .name $devices $gpus) -}}
{{- end -}}
{{- $engines := gt $gpus 0 | ternary (div $gpus $devices) (int $pool.enginesPerNode) -}}
{{- $room := mul $engines (int $pool.nodes.max) -}}
{{- if gt (int $pool.nodes.min) (int $pool.nodes.max) -}}
{{- fail (printf "pools.%s.nodes: min is %d and max is %d" .name (int $pool.nodes.min) (int $pool.nodes.max)) -}}
{{- end -}}
{{- if gt (int $pool.replicas) (int $room) -}}
{{- fail (printf "pools.%s.replicas: %d engines do not fit on %d nodes of %d" .name (int $pool.replicas) (int $pool.nodes.max) $engines) -}}
{{- end -}}
{{- $scale := $pool.scale -}}
{{- if $scale -}}
{{- if gt (int $scale.min) (int $scale.max) -}}
{{- fail (printf "pools.%s.scale: min is %d and max is %d" .name (int $scale.min) (int $scale.max)) -}}
{{- end -}}
{{- if gt (int $scale.max) (int $room) -}}
{{- fail (printf "pools.%s.scale.max: %d engines do not fit on %d nodes of %d" .name (int $scale.max) (int $pool.nodes.max) $engines) -}}
{{- end -}}
{{- if or (lt (int $pool.replicas) (int $scale.min)) (gt (int $pool.replicas) (int $scale.max)) -}}
{{- fail (printf "pools.%s.replicas: %d at first is not within scale, %d to %d" .name (int $pool.replicas) (int $scale.min) (int $scale.max)) -}}
{{- end -}}
{{- end -}}
{{- $most := empty $scale | ternary (int $pool.replicas) (int ($scale.max | default 0)) -}}
{{- range $pool.lend -}}
{{- if gt (int .replicas) $most -}}
{{- fail (printf "pools.%s.lend: %d replicas of %d cannot be lent" $.name (int .replicas) $most) -}}
{{- end -}}
{{- end -}}
{{- toYaml (set $pool "engines" $engines) -}}
{{- end -}}

{{/* "yes" if a pool scales by itself, or nothing. */}}
{{- define "site.scales" -}}
{{- range $name, $_ := .Values.pools -}}
{{- $pool := include "site.pool" (dict "root" $ "name" $name) | fromYaml -}}
{{- if $pool.scale -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* What Ray calls a place for an engine of a pool. */}}
{{- define "site.place" -}}pool-{{ . }}{{- end -}}

{{/* Where engines find their model. */}}
{{- define "site.model" -}}
{{- eq .Values.weights.source "built-in" | ternary "built-in" (printf "/models/%s" .Values.model.name) -}}
{{- end -}}

{{/* The Serve application of a pool: what `spillway site up` deploys. Takes root and name. */}}
{{- define "site.application" -}}
{{- $pool := include "site.pool" . | fromYaml -}}
{{- $args := dict
      "model" (include "site.model" .root)
      "served_names" (prepend .root.Values.model.aliases .root.Values.model.name)
      "replicas" (int $pool.replicas)
      "num_gpus" (gt (int $pool.gpusPerNode) 0 | ternary 1 0)
      "leases" .root.Values.leases
      "resources" (dict (include "site.place" .name) 1)
-}}
{{- if .root.Values.leaseKeySecret.name -}}
{{- $_ := set $args "lease_key_file" "/etc/spillway/leases/keys" -}}
{{- end -}}
{{- if $pool.scale -}}
{{- $ns := .root.Release.Namespace -}}
{{- $_ := set $args "autoscale" (dict
      "site" .name
      "routers" (list (printf "%s.%s.svc:%d" (include "site.gateways" .root) $ns (int .root.Values.gateway.port)))
      "each_address" true
      "identity" .root.Values.gateway.identity
      "authority" "/etc/spillway/autoscaler/ca.crt"
      "certificate" "/etc/spillway/autoscaler/tls.crt"
      "key" "/etc/spillway/autoscaler/tls.key"
      "min_replicas" (int $pool.scale.min)
      "max_replicas" (int $pool.scale.max))
-}}
{{- end -}}
name: {{ .name }}
route_prefix: /{{ .name }}
import_path: serving.app:build
external_scaler_enabled: {{ empty $pool.scale }}
args:
  {{- mergeOverwrite $args $pool.serving | toYaml | nindent 2 }}
{{- end -}}

{{/* The Serve config of the site, an application for each pool. */}}
{{- define "site.serveConfig" -}}
proxy_location: Disabled
grpc_options:
  port: 9000
  grpc_servicer_functions: [serving.replica.add_replica_to_server]
applications:
  {{- range $name, $_ := .Values.pools }}
  - {{- include "site.application" (dict "root" $ "name" $name) | nindent 4 }}
  {{- end }}
{{- end -}}
