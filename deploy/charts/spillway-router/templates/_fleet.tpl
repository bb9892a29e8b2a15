{{/* The fleet file: what the values say of the fleet, and how these routers run. */}}
{{- define "router.fleet" -}}
{{- $v := .Values -}}
{{- $tls := dict
      "certificate" "/etc/spillway/tls/tls.crt"
      "key" "/etc/spillway/tls/tls.key"
      "authority" "/etc/spillway/tls/ca.crt"
-}}
{{- $authentication := dict -}}
{{- if $v.authentication.keysSecret.name -}}
{{- $_ := set $authentication "keys_file" "/etc/spillway/keys/keys.txt" -}}
{{- end -}}
{{- with $v.authentication.tokens -}}{{- $_ := set $authentication "tokens" . -}}{{- end -}}
{{- if $v.authentication.anonymous -}}{{- $_ := set $authentication "anonymous" true -}}{{- end -}}
{{- $router := dict
      "listen" (printf "0.0.0.0:%d" (int $v.port))
      "metrics_listen" "0.0.0.0:7071"
      "health_listen" "0.0.0.0:7072"
      "drain_timeout" (printf "%ds" (int $v.drainTimeoutSeconds))
      "tls" $tls
      "authentication" $authentication
-}}
{{- if $v.openai.enabled -}}
{{- $_ := set $router "openai_listen" (printf "0.0.0.0:%d" (int $v.openai.port)) -}}
{{- end -}}
{{- if $v.leaseKeySecret.name -}}
{{- $_ := set $router "lease_key_file" "/etc/spillway/leases/keys" -}}
{{- end -}}
{{- if ne $v.store.kind "none" -}}
{{- $store := dict "url" (include "router.storeUrl" .) "name" (include "router.name" .) -}}
{{- if $v.store.passwordSecret.name -}}
{{- $_ := set $store "password_file" "/etc/spillway/store/password" -}}
{{- end -}}
{{- $_ := set $router "store" $store -}}
{{- end -}}
{{- toYaml (merge (dict "router" $router) $v.fleet) -}}
{{- end -}}
