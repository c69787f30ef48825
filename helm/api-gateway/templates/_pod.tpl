{{/* What the pods of all parts have in common. */}}

{{/* A Deployment: (dict "root" $ "component" "ext-authz" "values" .Values.extAuthz "containers" "…" "volumes" "…" "secret" true). */}}
{{- define "api-gateway.deployment" -}}
{{- $values := .values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "api-gateway.metadata" . | nindent 2 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false $values) }}
  replicas: {{ default 1 $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "api-gateway.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "api-gateway.labels" . | nindent 8 }}
      annotations:
        checksum/tls: {{ .root.Values.tls | toJson | sha256sum }}
        {{- if .secret }}
        checksum/secret: {{ list .root.Values.redis .root.Values.store .root.Values.admin.token .root.Values.existingSecret | toJson | sha256sum }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "api-gateway.serviceAccount" .root }}
      automountServiceAccountToken: false
      # Kubernetes would set GATEWAY_PORT and the like for a Service named gateway, which the processes read as settings.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with .root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      {{- with .root.Values.topologyKeys }}
      topologySpreadConstraints:
        {{- range . }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "api-gateway.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      {{- range $key := list "nodeSelector" "tolerations" "affinity" }}
      {{- with get $values $key }}
      {{ $key }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      containers:
        {{- .containers | nindent 8 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- with .volumes }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* How a container of any role starts and what it may do: (dict "root" $ "values" … "role" "ext-authz"). */}}
{{- define "api-gateway.container" -}}
image: {{ include "api-gateway.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with .role }}
args: [{{ . }}]
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- with .values.preStopSeconds }}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ . | quote }}]
{{- end }}
{{- end -}}

{{- define "api-gateway.probes" -}}
startupProbe:
  httpGet: {path: /health/startup, port: health}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health/live, port: health}
  periodSeconds: 10
  timeoutSeconds: 3
readinessProbe:
  httpGet: {path: /health/ready, port: health}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}

{{/* Settings of every process. */}}
{{- define "api-gateway.env" -}}
- {name: GATEWAY_LOG_LEVEL, value: {{ .Values.logLevel }}}
{{- end -}}

{{/* What the values add for one part; the last entry of a name wins. */}}
{{- define "api-gateway.extraEnv" -}}
{{- with .env }}
{{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Likewise: files. */}}
{{- define "api-gateway.extraMounts" -}}
{{- with .volumeMounts }}
{{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Settings of every process that takes its policy from the control plane. */}}
{{- define "api-gateway.xdsEnv" -}}
- {name: GATEWAY_TLS_DIR, value: /etc/gateway/tls}
- {name: GATEWAY_XDS_ADDRESS, value: "{{ include "api-gateway.part" (dict "root" .root "component" "controlplane") }}:18000"}
- {name: GATEWAY_NODE_GROUP, value: {{ .root.Values.nodeGroup | quote }}}
- name: GATEWAY_NODE_ID
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: GATEWAY_STATE_DIR, value: /var/lib/gateway/state}
{{- end -}}

{{- define "api-gateway.tlsVolume" -}}
- name: tls
  secret: {secretName: {{ include "api-gateway.tlsSecret" . }}, defaultMode: 0440}
{{- end -}}
