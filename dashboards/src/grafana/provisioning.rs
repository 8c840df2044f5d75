//! The data sources and the file provider, as Grafana's provisioning reads them.
//!
//! Place in the flow: [`super::Export`] → YAML.

use super::{Export, Postgres};

/// The name by which dashboards know our data source, whatever Grafana it is in.
pub const SOURCE_UID: &str = "belfry";
const ALERTMANAGER_UID: &str = "belfry-alertmanager";
const POSTGRES_UID: &str = "belfry-sql";
/// The highest version in Grafana's list for Prometheus: what we speak.
const PROMETHEUS_VERSION: &str = "2.50.1";

/// `provisioning/datasources/belfry.yaml`
pub fn data_sources(export: &Export) -> String {
    let url = quoted(export.url.trim_end_matches('/'));
    let interval = model::duration::format_duration_ms(export.interval_ms);
    let mut text = format!(
        "apiVersion: 1
prune: true
datasources:
  - name: Belfry
    uid: {SOURCE_UID}
    type: prometheus
    access: proxy
    url: {url}
    isDefault: true
    editable: false
    jsonData:
      httpMethod: POST
      timeInterval: {interval}
      prometheusType: Prometheus
      prometheusVersion: {PROMETHEUS_VERSION}
      cacheLevel: Low
      incrementalQuerying: false
      manageAlerts: true
      alertmanagerUid: {ALERTMANAGER_UID}
      exemplarTraceIdDestinations: []
  - name: Belfry Alertmanager
    uid: {ALERTMANAGER_UID}
    type: alertmanager
    access: proxy
    url: {url}
    editable: false
    jsonData:
      implementation: prometheus
      handleGrafanaManagedAlerts: false
"
    );
    if let Some(Postgres { address, user }) = &export.postgres {
        text.push_str(&format!(
            "  - name: Belfry SQL
    uid: {POSTGRES_UID}
    type: postgres
    access: proxy
    url: {}
    user: {}
    editable: false
    secureJsonData:
      password: $BELFRY_SQL_PASSWORD
    jsonData:
      database: belfry
      sslmode: disable
      postgresVersion: 1500
      timescaledb: false
",
            quoted(address),
            quoted(user)
        ));
    }
    text
}

/// `provisioning/dashboards/belfry.yaml`
pub fn provider() -> String {
    "apiVersion: 1
providers:
  - name: belfry
    type: file
    disableDeletion: false
    allowUiUpdates: false
    updateIntervalSeconds: 10
    options:
      path: /var/lib/grafana/dashboards
      foldersFromFilesStructure: true
"
    .to_owned()
}

/// A text in YAML's double quotes. Grafana replaces `$name`; `$$` is a dollar sign.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{text}\"")
}
