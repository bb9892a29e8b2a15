{{/* What the schema cannot say: keys that need each other. */}}
{{- define "router.checks" -}}
{{- $v := .Values -}}
{{- if not (or $v.image.tag $v.image.digest) -}}
{{- fail "image: give a digest or a tag" -}}
{{- end -}}
{{- with $v.certificate -}}
{{- if and .secret .issuer.name -}}
{{- fail "certificate: secret and issuer.name exclude each other" -}}
{{- end -}}
{{- if not (or .secret .issuer.name) -}}
{{- fail "certificate: name the issuer of cert-manager, or a secret that has tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- end -}}
{{- with $v.authentication -}}
{{- $proves := or .keysSecret.name .tokens -}}
{{- if and $proves .anonymous -}}
{{- fail "authentication: anonymous lets in whoever comes, and keysSecret or tokens say who may; leave one of them out" -}}
{{- end -}}
{{- if not (or $proves .anonymous) -}}
{{- fail "authentication: nothing says who may come in; name a keysSecret or the tokens of an identity provider, or say anonymous: true" -}}
{{- end -}}
{{- if and $v.monitoring.enabled .keysSecret.name (not $v.monitoring.keySecret.name) -}}
{{- fail "monitoring.keySecret.name: routers ask Prometheus for an API key; give the Secret that has an operator's" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.store.kind "external") (not $v.store.url) -}}
{{- fail "store.url: nothing says where the external store is" -}}
{{- end -}}
{{- if and (ne $v.store.kind "external") $v.store.url -}}
{{- fail "store.url belongs to store.kind external" -}}
{{- end -}}
{{- if and (eq $v.store.kind "valkey") (not $v.store.passwordSecret.name) -}}
{{- fail "store.passwordSecret.name: the store that is started here asks for a password; name the Secret that has one" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.min) (int $v.autoscaling.max)) -}}
{{- fail (printf "autoscaling: min is %d and max is %d" (int $v.autoscaling.min) (int $v.autoscaling.max)) -}}
{{- end -}}
{{- if $v.gatewayApi.enabled -}}
{{- if not (and $v.gatewayApi.gateway.name $v.gatewayApi.caConfigMap) -}}
{{- fail "gatewayApi: gateway.name says where the route hangs, and caConfigMap whose certificates it believes" -}}
{{- end -}}
{{- if eq $v.service.type "LoadBalancer" -}}
{{- fail "gatewayApi: there is a way in already; set service.type to ClusterIP" -}}
{{- end -}}
{{- end -}}
{{- end -}}
