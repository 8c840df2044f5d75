//! Grafana's provisioning: data sources that lead to us, and dashboards for what our exporters give.
//!
//! Place in the flow: what an operator configured → **`files`** → texts with their paths, which
//! `belfry grafana export` writes.
//!
//! Invariants: the same input gives the same bytes; no secret stands in any of them.
//!
//! Not here: writing files (belfry), our own viewer.

/// A dashboard as a compact description, and as Grafana's classic JSON.
pub mod dashboard;
/// The data sources and the file provider.
mod provisioning;
/// Dashboard: hosts.
mod host;
/// Dashboard: PostgreSQL.
mod postgres;
/// Dashboard: Redis.
mod redis;
/// Dashboard: HAProxy.
mod haproxy;
/// Dashboard: Belfry itself.
mod belfry;

use dashboard::Dashboard;

/// What the files depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Where Grafana reaches us.
    pub url: String,
    /// How often targets are scraped: what `$__rate_interval` is made of.
    pub interval_ms: u64,
    /// Our doors for SQL, when they are open.
    pub postgres: Option<Postgres>,
}

/// Where Grafana reaches our SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// `host:port`.
    pub address: String,
    /// Who asks; the password is a variable of Grafana's environment.
    pub user: String,
}

/// A file: its path below the folder, and its text.
pub type File = (String, String);

/// Every dashboard, in the order they are listed.
pub fn dashboards() -> Vec<Dashboard> {
    vec![
        host::dashboard(),
        postgres::dashboard(),
        redis::dashboard(),
        haproxy::dashboard(),
        belfry::dashboard(),
    ]
}

/// Files for Grafana's provisioning folder.
pub fn files(export: &Export) -> Vec<File> {
    let mut files = vec![
        ("provisioning/datasources/belfry.yaml".to_owned(), provisioning::data_sources(export)),
        ("provisioning/dashboards/belfry.yaml".to_owned(), provisioning::provider()),
    ];
    for dashboard in dashboards() {
        files.push((format!("dashboards/belfry/{}.json", dashboard.uid), dashboard.json()));
    }
    files
}

/// The same as ConfigMaps with the labels that the sidecar of Grafana's Helm chart looks for.
pub fn config_maps(export: &Export, namespace: &str) -> Vec<File> {
    let sources = provisioning::data_sources(export);
    let mut files = vec![(
        "belfry-datasources.yaml".to_owned(),
        config_map("belfry-datasources", namespace, "datasource", ("belfry.yaml", &sources)),
    )];
    for dashboard in dashboards() {
        let (name, key) =
            (format!("{}-dashboard", dashboard.uid), format!("{}.json", dashboard.uid));
        let text = config_map(&name, namespace, "dashboard", (&key, &dashboard.json()));
        files.push((format!("{name}.yaml"), text));
    }
    files
}

fn config_map(name: &str, namespace: &str, kind: &str, (key, text): (&str, &str)) -> String {
    let folder = match kind {
        "dashboard" => "  annotations:\n    grafana_folder: Belfry\n",
        _ => "",
    };
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace:?}\n\
         \x20 labels:\n    grafana_{kind}: \"1\"\n{folder}data:\n  {key}: |\n{indented}"
    )
}

#[cfg(test)]
mod tests;
