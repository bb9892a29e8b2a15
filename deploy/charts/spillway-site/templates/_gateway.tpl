{{/* The gateway's fleet file: each pool is a site of its own to it, and it has no other. */}}
{{- define "site.fleet" -}}
{{- $accept := .Values.gateway.accept -}}
{{- if .Values.monitoring.enabled -}}{{- $accept = append $accept .Values.monitoring.identity -}}{{- end -}}
{{- if include "site.scales" . -}}{{- $accept = append $accept (include "site.autoscaler" .) -}}{{- end -}}
{{- $router := dict
      "listen" (printf "0.0.0.0:%d" (int .Values.gateway.port))
      "metrics_listen" "0.0.0.0:7071"
      "health_listen" "0.0.0.0:7072"
      "drain_timeout" (printf "%ds" (int .Values.gateway.drainTimeoutSeconds))
      "tls" (dict
        "certificate" "/etc/spillway/tls/tls.crt"
        "key" "/etc/spillway/tls/tls.key"
        "authority" (empty .Values.gateway.authority.configMap | ternary "/etc/spillway/tls/ca.crt" "/etc/spillway/authority/ca.crt")
        "accept" $accept
        "operators" .Values.gateway.accept)
-}}
{{- if .Values.leaseKeySecret.name -}}
{{- $_ := set $router "lease_key_file" "/etc/spillway/leases/keys" -}}
{{- end -}}
{{- $model := .Values.model.name -}}
sites:
  {{- range $name, $_ := .Values.pools }}
  {{- $pool := include "site.pool" (dict "root" $ "name" $name) | fromYaml }}
  {{ $name }}:
    kind: home
    ray:
      dashboard: {{ include "site.dashboard" $ }}
      application: {{ $name }}
    plaintext: i-accept-that-anyone-can-read-this # within the site, behind its NetworkPolicies
    capacity: {replicas: {{ int $pool.replicas }}}
    {{- with $pool.scale }}
    scale: {{ toJson . }}
    {{- end }}
    {{- with $pool.lend }}
    lend: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $pool.reclaim }}
    reclaim: {{ toJson . }}
    {{- end }}
    model: {{ $model }}
  {{- end }}
models:
  {{ $model }}:
    source: {{ include "site.model" . }}
    {{- with .Values.model.aliases }}
    aliases: {{ toJson . }}
    {{- end }}
{{ toYaml .Values.gateway.fleet }}
router:
  {{- toYaml $router | nindent 2 }}
{{- end -}}
