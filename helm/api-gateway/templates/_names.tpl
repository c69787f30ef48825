{{/* Names, labels and addresses, made in one place. */}}

{{- define "api-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of a part: (dict "root" $ "component" "ext-authz"). The gateway itself has the bare name. */}}
{{- define "api-gateway.part" -}}
{{- $full := include "api-gateway.fullname" .root -}}
{{- ternary $full (printf "%s-%s" $full .component) (eq .component "gateway") -}}
{{- end -}}

{{- define "api-gateway.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- if .component }}
app.kubernetes.io/component: {{ .component }}
{{- end }}
{{- end -}}

{{- define "api-gateway.labels" -}}
{{ include "api-gateway.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "api-gateway.metadata" -}}
name: {{ include "api-gateway.part" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "api-gateway.labels" . | nindent 2 }}
{{- end -}}

{{- define "api-gateway.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}
{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where a server in a pod listens: (list $ 8001). */}}
{{- define "api-gateway.bind" -}}
{{- $address := (index . 0).Values.bindAddress -}}
{{- ternary (printf "[%s]" $address) $address (contains ":" $address) }}:{{ index . 1 -}}
{{- end -}}

{{- define "api-gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "api-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "api-gateway.secret" -}}
{{- default (include "api-gateway.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{- define "api-gateway.tlsSecret" -}}
{{- if eq .Values.tls.mode "existing" -}}
{{- required "tls.mode is existing: tls.existingSecret must name the Secret" .Values.tls.existingSecret -}}
{{- else -}}
{{- include "api-gateway.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* Every name under which a part is reached, for the certificate: one per line. */}}
{{- define "api-gateway.hosts" -}}
{{- range $component := list "controlplane" "ext-authz" "ratelimit" -}}
{{- $name := include "api-gateway.part" (dict "root" $ "component" $component) }}
{{ $name }}
{{ $name }}.{{ $.Release.Namespace }}
{{ $name }}.{{ $.Release.Namespace }}.svc
{{ $name }}.{{ $.Release.Namespace }}.svc.{{ $.Values.clusterDomain }}
{{- end -}}
{{- end -}}

{{/* Not empty where the control plane may be told of a database: what is in a Secret of yours is not known here. */}}
{{- define "api-gateway.mayHaveStore" -}}
{{- if or .Values.store.url .Values.existingSecret }}yes{{ end -}}
{{- end -}}
