//! The default texts of messages, and the operator's template files: a catalogue.
//!
//! Place in the flow: open or reload → **`load`** → every message.
//!
//! The names are those that the field's template files call and override; words and layout are ours.
//! Files are read after the defaults, so that a file may define any name anew.
//!
//! Not here: the language (crate template), the data (message).

use std::path::{Path, PathBuf};

use journal::disk::Disk;
use model::wildcard;
use template::{Dialect, Templates};

use crate::error::Error;

/// Longest template file that is read.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most files that one configuration may name.
const FILES_MAX: usize = 1000;

const NAMES: &str = r#"
{{- define "__alertmanager" }}Belfry{{ end -}}
{{- define "__alertmanagerURL" }}{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}{{ end -}}
{{- define "__subject" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }}{{ if gt (len .CommonLabels) (len .GroupLabels) }} ({{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join " " }}{{ end }}){{ end }}{{ end -}}
{{- define "__description" }}{{ end -}}
{{- define "__text_alert_list" }}{{ range . }}
{{ range .Annotations.SortedPairs }}{{ .Name }}: {{ .Value }}
{{ end }}Since: {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}
{{ if eq .Status "resolved" }}Until: {{ .EndsAt.Format "2006-01-02 15:04:05 MST" }}
{{ end }}{{ range .Labels.SortedPairs }}  {{ .Name }} = {{ .Value }}
{{ end }}{{ if .GeneratorURL }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}{{ end -}}
{{- define "__text_alert_list_markdown" }}{{ range . }}
{{ range .Annotations.SortedPairs }}- **{{ .Name }}**: {{ .Value }}
{{ end }}{{ range .Labels.SortedPairs }}- {{ .Name }} = {{ .Value }}
{{ end }}{{ if .GeneratorURL }}- [Source]({{ .GeneratorURL }})
{{ end }}{{ end }}{{ end -}}
"#;

const EMAIL_TEXT: &str = r#"
{{- define "email.default.subject" }}{{ template "__subject" . }}{{ end -}}
{{- define "email.default.text" }}{{ if .Alerts.Firing }}FIRING: {{ .Alerts.Firing | len }}
{{ template "__text_alert_list" .Alerts.Firing }}
{{ end }}{{ if .Alerts.Resolved }}RESOLVED: {{ .Alerts.Resolved | len }}
{{ template "__text_alert_list" .Alerts.Resolved }}
{{ end }}-- 
{{ template "__alertmanager" . }}: {{ .NotificationReason }}
{{ if .ExternalURL }}{{ template "__alertmanagerURL" . }}
{{ end }}{{ end -}}
"#;

const EMAIL_HTML: &str = r#"
{{- define "__email_alert" }}<tr><td style="padding:12px 16px;border-top:1px solid #dddddd;">
{{ range .Annotations.SortedPairs }}<div style="margin:0 0 4px 0;"><strong>{{ .Name }}</strong> {{ .Value }}</div>
{{ end }}<table style="border-collapse:collapse;font-family:monospace;font-size:13px;">
{{ range .Labels.SortedPairs }}<tr><td style="padding:1px 12px 1px 0;color:#666666;">{{ .Name }}</td><td style="padding:1px 0;">{{ .Value }}</td></tr>
{{ end }}</table>
<div style="margin:6px 0 0 0;color:#666666;font-size:12px;">since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}{{ if eq .Status "resolved" }}, until {{ .EndsAt.Format "2006-01-02 15:04:05 MST" }}{{ end }}{{ if .GeneratorURL }} &middot; <a href="{{ .GeneratorURL }}">source</a>{{ end }}</div>
</td></tr>
{{ end -}}
{{- define "email.default.html" }}<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ template "__subject" . }}</title></head>
<body style="margin:0;padding:16px;background:#f4f4f4;font-family:sans-serif;font-size:14px;color:#222222;">
<table style="width:100%;max-width:720px;margin:0 auto;border-collapse:collapse;background:#ffffff;">
{{ if .Alerts.Firing }}<tr><td style="padding:12px 16px;background:#b3261e;color:#ffffff;font-weight:bold;">{{ .Alerts.Firing | len }} firing</td></tr>
{{ range .Alerts.Firing }}{{ template "__email_alert" . }}{{ end }}{{ end }}
{{ if .Alerts.Resolved }}<tr><td style="padding:12px 16px;background:#2e7d32;color:#ffffff;font-weight:bold;">{{ .Alerts.Resolved | len }} resolved</td></tr>
{{ range .Alerts.Resolved }}{{ template "__email_alert" . }}{{ end }}{{ end }}
<tr><td style="padding:12px 16px;border-top:1px solid #dddddd;color:#666666;font-size:12px;">{{ .NotificationReason }}{{ if .ExternalURL }} &middot; <a href="{{ template "__alertmanagerURL" . }}">{{ template "__alertmanager" . }}</a>{{ end }}</td></tr>
</table>
</body>
</html>
{{ end -}}
"#;

/// Whether the template files of a configuration can be read and parsed.
pub fn check(disk: &Disk, config: &crate::config::Config) -> Result<(), Error> {
    load(disk, &config.templates).map(|_| ())
}

/// Parses the defaults and every file that the patterns name.
pub(crate) fn load(disk: &Disk, patterns: &[PathBuf]) -> Result<Templates, Error> {
    let mut templates = Templates::for_dialect(Dialect::Alertmanager);
    for (name, text) in
        [("defaults", NAMES), ("email.text", EMAIL_TEXT), ("email.html", EMAIL_HTML)]
    {
        templates.parse(name, text).map_err(|error| Error::File {
            file: format!("built-in template {name}"),
            message: error.to_string(),
        })?;
    }
    let mut files = Vec::new();
    for pattern in patterns {
        files.extend(matching(disk, pattern)?);
    }
    if files.len() > FILES_MAX {
        let file = patterns.first().map_or(String::new(), |own| own.display().to_string());
        return Err(Error::File { file, message: format!("more than {FILES_MAX} template files") });
    }
    for path in files {
        let file = path.display().to_string();
        let failed = |message: String| Error::File { file: file.clone(), message };
        let bytes = disk.read(&path, FILE_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
        let text =
            String::from_utf8(bytes).map_err(|_| failed("the file is not UTF-8".to_owned()))?;
        let name = path.file_name().map_or(file.clone(), |own| own.to_string_lossy().into_owned());
        templates.parse(&name, &text).map_err(|error| failed(error.to_string()))?;
    }
    Ok(templates)
}

/// The files of a pattern, by name. A folder that is not there holds none, as upstream has it.
fn matching(disk: &Disk, pattern: &Path) -> Result<Vec<PathBuf>, Error> {
    let name =
        pattern.file_name().map(|own| own.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let folder = match pattern.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !disk.exists(folder).unwrap_or(false) {
        return Ok(Vec::new());
    }
    let entries = disk.list(folder).map_err(|error| Error::File {
        file: folder.display().to_string(),
        message: error.to_string(),
    })?;
    let files =
        entries.into_iter().filter(|entry| !entry.is_dir && wildcard::fits(&name, &entry.name));
    Ok(files.map(|entry| folder.join(entry.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_parse() {
        let templates = load(&Disk::real(), &[]).expect("defaults are valid");
        for name in ["__subject", "__alertmanagerURL", "email.default.html", "email.default.text"] {
            assert!(templates.contains(name), "{name}");
        }
    }
}
