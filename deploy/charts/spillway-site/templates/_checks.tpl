{{/* What the schema cannot say: keys that need each other. */}}
{{- define "site.checks" -}}
{{- $v := .Values -}}
{{- if and (eq $v.weights.source "volume") (not $v.weights.volume.claimName) -}}
{{- fail "weights.volume.claimName: name the PersistentVolumeClaim that has the weights, or set weights.source to store or built-in" -}}
{{- end -}}
{{- if eq $v.weights.source "store" -}}
{{- if not (and $v.weights.store.path $v.weights.store.remote.type) -}}
{{- fail "weights.store: path (BUCKET/PREFIX) and remote.type (such as s3) say where the weights are" -}}
{{- end -}}
{{- range $key, $_ := $v.weights.store.remote -}}
{{- if regexMatch "key|secret|password|token" $key -}}
{{- fail (printf "weights.store.remote.%s: a secret belongs into the Secret that weights.store.secret names, as RCLONE_CONFIG_STORE_%s" $key (upper $key)) -}}
{{- end -}}
{{- end -}}
{{- if eq $v.weights.cache.kind "none" -}}
{{- fail "weights.cache.kind: an engine reads no object store; choose pod or node" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.leases "required") (not $v.leaseKeySecret.name) -}}
{{- fail "leases: required needs leaseKeySecret.name, the Secret with the keys of the fleet" -}}
{{- end -}}
{{- with $v.gateway.certificate -}}
{{- if and .secret .issuer.name -}}
{{- fail "gateway.certificate: secret and issuer.name exclude each other" -}}
{{- end -}}
{{- if not (or .secret .issuer.name) -}}
{{- fail "gateway.certificate: name the issuer of cert-manager, or a secret that has tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- end -}}
{{- if include "site.scales" . -}}
{{- if not $v.gateway.certificate.issuer.name -}}
{{- fail "pools: with scale, the certificate of Ray Serve's autoscaler comes from gateway.certificate.issuer" -}}
{{- end -}}
{{- end -}}
{{- if and $v.monitoring.enabled (not $v.monitoring.identity) -}}
{{- fail "monitoring.identity: the gateway asks Prometheus for a certificate; give the name in it" -}}
{{- end -}}
{{- if and $v.monitoring.enabled (not $v.gateway.certificate.issuer.name) -}}
{{- fail "monitoring.enabled: the certificate of Prometheus comes from gateway.certificate.issuer" -}}
{{- end -}}
{{- range $name, $image := dict "image" $v.image "gateway.image" $v.gateway.image "weights.image" $v.weights.image -}}
{{- if not (or $image.tag $image.digest) -}}
{{- fail (printf "%s: give a digest or a tag" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
