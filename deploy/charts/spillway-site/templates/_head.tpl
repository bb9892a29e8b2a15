{{/* The head of the Ray cluster: it keeps the books, and runs no engine. */}}
{{- define "site.head" -}}
serviceType: ClusterIP
rayStartParams:
  num-cpus: "0"
  dashboard-host: 0.0.0.0
  object-store-memory: {{ include "site.objectStoreBytes" . | quote }}
template:
  metadata:
    labels: {{- include "site.rayLabels" (dict "root" . "part" "ray-head") | nindent 6 }}
  spec:
    {{- if .Values.ray.autoscaling }}
    serviceAccountName: {{ include "site.name" . }}-ray-head
    automountServiceAccountToken: true # the autoscaler asks the Kubernetes API for pods
    {{- else }}
    serviceAccountName: {{ include "site.name" . }}-ray
    automountServiceAccountToken: false
    {{- end }}
    enableServiceLinks: false
    securityContext: {{- include "site.podSecurity" . | nindent 6 }}
    terminationGracePeriodSeconds: {{ int .Values.ray.terminationGracePeriodSeconds }}
    {{- include "site.pull" . | nindent 4 }}
    {{- with .Values.ray.head.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.ray.head.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
      - name: ray-head
        image: {{ include "site.image" .Values.image }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        env: {{- include "site.rayEnvironment" . | nindent 10 }}
        ports:
          - {name: gcs-server, containerPort: 6379}
          - {name: dashboard, containerPort: 8265}
          - {name: metrics, containerPort: 8080}
        # Of Ray's own.
        startupProbe:
          httpGet: {path: /api/gcs_healthz, port: dashboard}
          periodSeconds: 5
          failureThreshold: 60
        readinessProbe:
          httpGet: {path: /api/gcs_healthz, port: dashboard}
          periodSeconds: 5
          timeoutSeconds: 5
        livenessProbe:
          httpGet: {path: /api/local_raylet_healthz, port: 52365}
          periodSeconds: 10
          timeoutSeconds: 10
          failureThreshold: 12
        resources: {{- include "site.resources" .Values.ray.head.resources | nindent 10 }}
        securityContext: {{- include "site.containerSecurity" dict | nindent 10 }}
        volumeMounts:
          {{- include "site.rayMounts" . | nindent 10 }}
          {{- if include "site.scales" . }}
          - {name: autoscaler, mountPath: /etc/spillway/autoscaler, readOnly: true}
          {{- end }}
    volumes:
      {{- include "site.rayVolumes" .Values.ray.head.sharedMemory | nindent 6 }}
      {{- if include "site.scales" . }}
      - name: autoscaler # Serve's controller runs here, and asks the gateways what they want
        secret: {secretName: {{ include "site.autoscalerSecret" . }}}
      {{- end }}
{{- end -}}
