{{- define "fairlead.name" -}}
{{ printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "fairlead.labels" -}}
app.kubernetes.io/name: fairlead-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fairlead.pullSecrets" -}}
{{- $names := list }}
{{- range .Values.imagePullSecrets }}{{ $names = append $names .name }}{{ end }}
{{- join "," $names }}
{{- end }}
