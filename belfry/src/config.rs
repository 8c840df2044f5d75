//! belfry.yml and the files it names, composed; every mistake of every file in one list.
//!
//! Place in the flow: files → **`load`** → [`Config`] → wiring. Each room reads its own part; this
//! one only finds the files and puts the parts together. Reading touches nothing but the files.
//!
//! Relative paths are resolved against the file that contains them.

/// Files found and read.
mod files;
/// Variables in texts.
mod expand;
/// Secrets out of the text that the status page shows.
mod redact;
/// What the named files brought.
mod gathered;
/// The sections `web`, `backup` and `sql`.
mod operating;

use std::path::{Path, PathBuf};

use model::fields::{Fields, Problem, Problems};
use model::yaml::Node;
use rules::config::GroupConfig;

pub use expand::Environment;
pub use files::read_text;
use gathered::{Gathered, Tree, Tsdb};

use crate::query_log;
pub use operating::{Backup, Sql, Web};

/// Everything an operator wrote, and the defaults for the rest.
#[derive(Debug)]
pub struct Config {
    /// Where the page and the API are served.
    pub listen: String,
    /// Where everything is kept.
    pub data: PathBuf,
    /// The address that links in notifications point to; empty means the listening one.
    pub external_url: String,
    /// What is scraped.
    pub collector: collector::Config,
    /// What is read in process.
    pub exporters: exporters::config::Config,
    /// Rule groups: the files' and the packs'.
    pub groups: Vec<GroupConfig>,
    /// Names of the packs in force.
    pub packs: Vec<String>,
    /// Where alerts go.
    pub alertmanager: alertmanager::config::Config,
    /// Whether an operator named an alertmanager.yml.
    pub notifies: bool,
    /// The store.
    pub store: storage::Settings,
    /// PromQL.
    pub query: query::Settings,
    /// The log of queries.
    pub query_log: query_log::Settings,
    /// SQL.
    pub sql: Sql,
    /// The Postgres wire on the network, as a mistake that it is when nobody has to log in.
    outer_wire: Option<Problem>,
    /// What the web server may do.
    pub web: Web,
    /// How buckets for backups are reached.
    pub backup: Backup,
    /// The text of all files, secrets replaced.
    pub text: String,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
}

impl Config {
    /// What stands open to the whole network, as far as users, tokens and files are known by now: the
    /// command line may name a file of users after belfry.yml was read.
    pub fn open_door(&self) -> Option<&Problem> {
        self.outer_wire.as_ref().filter(|_| self.web.access.is_open())
    }
}

/// The configuration without a file: this host, the packs, alarms on the page only.
pub fn embedded() -> Result<Config, Vec<Problem>> {
    let name = "(no configuration file)";
    read_root(&Node::null(), (name, Path::new(".")), Gathered::new(&|_| None))
}

/// Reads belfry.yml and every file it names.
pub fn load(file: &Path, environment: Environment<'_>) -> Result<Config, Vec<Problem>> {
    let mut gathered = Gathered::new(environment);
    let Some(Tree { written, root }) = gathered.tree(file) else {
        return Err(gathered.finish().err().unwrap_or_default());
    };
    let name = file.display().to_string();
    gathered.show(&name, &redact::redacted(&written));
    read_root(&root, (&name, files::folder_of(file)), gathered)
}

/// What a checked file holds.
#[derive(Debug)]
pub struct Checked {
    /// What it is.
    pub kind: &'static str,
    /// Its rule groups and those of the files it names.
    pub groups: Vec<GroupConfig>,
    /// What it has scraped.
    pub collector: collector::Config,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
}

impl Checked {
    /// What it holds, in words.
    pub fn summary(&self) -> String {
        let mut text = match self.kind {
            "alertmanager.yml" => self.kind.to_owned(),
            kind => format!("{kind} with {} rule groups", self.groups.len()),
        };
        text.push_str(", no mistakes");
        for warning in &self.warnings {
            text.push_str(&format!("\n  warning: {warning}"));
        }
        text
    }
}

/// Whether the files that a file names are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// They are.
    Whole,
    /// They need not even be there.
    Alone,
}

/// Checks one file of any kind: belfry.yml, prometheus.yml, alertmanager.yml, a rule file.
pub fn check_file(
    file: &Path,
    environment: Environment<'_>,
    depth: Depth,
) -> Result<Checked, Vec<Problem>> {
    let gather = || match depth {
        Depth::Whole => Gathered::new(environment),
        Depth::Alone => Gathered::alone(environment),
    };
    let mut gathered = gather();
    let Some(Tree { written, root }) = gathered.tree(file) else {
        return Err(gathered.finish().err().unwrap_or_default());
    };
    let has = |keys: &[&str]| keys.iter().any(|key| written.get(key).is_some());
    let mut gathered = gather();
    let kind = if has(&["groups"]) {
        gathered.rule_file(file);
        "rule file"
    } else if has(&["route", "receivers"]) {
        gathered.alertmanager(Some(file));
        "alertmanager.yml"
    } else if has(&["scrape_configs", "global", "rule_files", "scrape_config_files"]) {
        gathered.prometheus(file);
        "prometheus.yml"
    } else {
        let name = file.display().to_string();
        let config = read_root(&root, (&name, files::folder_of(file)), gathered)?;
        let open_door = config.open_door().map(ToString::to_string);
        let Config { groups, collector, mut warnings, .. } = config;
        warnings.extend(open_door);
        return Ok(Checked { kind: "belfry.yml", groups, collector, warnings });
    };
    let gathered = gathered.finish()?;
    let Gathered { groups, collector, warnings, .. } = gathered;
    Ok(Checked { kind, groups, collector, warnings })
}

/// Mistakes as an operator reads them, a line each.
pub fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<String>>().join("\n")
}

/// An address to listen on: `host:port`, or `:port` for all addresses, as the field writes it.
pub fn listen_address(text: &str) -> Result<String, String> {
    let wrong = || format!("needs host:port such as 127.0.0.1:9090, but is {text:?}");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    match host {
        "" => Ok(format!("0.0.0.0:{port}")),
        _ if bare_v6 || host.contains('/') => Err(wrong()),
        _ => Ok(text.to_owned()),
    }
}

fn read_root(
    root: &Node,
    (name, folder): (&str, &Path),
    mut gathered: Gathered<'_>,
) -> Result<Config, Vec<Problem>> {
    let problems = Problems::new(name);
    let mut fields = Fields::new(root, "", &problems);
    let listen = read_listen(&mut fields);
    let data = fields.text("data").map_or(PathBuf::from("belfry-data"), |path| folder.join(path));
    let external_url = read_external_url(&mut fields);
    if let Some(path) = fields.text("prometheus").filter(|_| gathered.follows()) {
        gathered.prometheus(&folder.join(path));
    }
    for pattern in fields.texts("rules").unwrap_or_default() {
        gathered.rule_files(folder, &pattern, |message| fields.problem("rules", message));
    }
    let alertmanager_file = fields.text("alertmanager").map(|path| folder.join(path));
    let notifies = alertmanager_file.is_some();
    gathered.alertmanager(alertmanager_file.as_deref().filter(|_| gathered.follows()));
    let packs = read_packs(&mut fields, &mut gathered);
    let nothing = Node::null();
    let section = fields.fields("exporters");
    let section = section.unwrap_or_else(|| Fields::new(&nothing, "exporters", &problems));
    let exporters = exporters::config::read(section);
    let store = read_store(&mut fields, gathered.tsdb);
    let (query, query_log) = read_query(&mut fields, folder);
    let sql = operating::read_sql(&mut fields);
    let mut of_web = Vec::new();
    let web = operating::read_web(&mut fields, folder, &mut of_web);
    gathered.add_problems(of_web);
    let outer_wire = sql.postgres_listen.as_ref().filter(|own| !operating::is_loopback(own));
    let outer_wire = outer_wire.map(|_| Problem {
        file: name.to_owned(),
        line: root.get("sql").map_or(1, |own| own.line),
        field: "sql.postgres.listen".to_owned(),
        message: OPEN_WIRE.to_owned(),
    });
    let backup = operating::read_backup(&mut fields, folder);
    fields.finish();
    gathered.take(problems);
    let gathered = gathered.finish()?;
    Ok(Config {
        listen,
        data,
        external_url,
        collector: gathered.collector,
        exporters,
        groups: gathered.groups,
        packs,
        alertmanager: gathered.alertmanager.expect("read without problems, so it is there"),
        notifies,
        store,
        query,
        query_log,
        sql,
        outer_wire,
        web,
        backup,
        text: gathered.text,
        warnings: gathered.warnings,
    })
}

fn read_listen(fields: &mut Fields<'_>) -> String {
    let text = fields.text("listen").unwrap_or_else(|| "127.0.0.1:9090".to_owned());
    listen_address(&text).unwrap_or_else(|message| {
        fields.problem("listen", message);
        text
    })
}

fn read_external_url(fields: &mut Fields<'_>) -> String {
    let text = fields.text("external_url").unwrap_or_default();
    let is_address = |text: &str| {
        let url = url::Url::parse(text).ok();
        url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    if !text.is_empty() && !is_address(&text) {
        let message = format!("needs an address such as https://belfry.example, but is {text:?}");
        fields.problem("external_url", message);
    }
    text
}

fn read_packs(fields: &mut Fields<'_>, gathered: &mut Gathered<'_>) -> Vec<String> {
    let mut disabled = Vec::new();
    let mut enabled = true;
    if let Some(mut packs) = fields.fields("packs") {
        enabled = packs.boolean("enabled").unwrap_or(true);
        disabled = packs.texts("disable").unwrap_or_default();
        for name in &disabled {
            if !rules::packs::all().iter().any(|(own, _)| own == name) {
                packs.problem("disable", format!("there is no pack {name:?}"));
            }
        }
        packs.finish();
    }
    let mut names = Vec::new();
    for (name, text) in rules::packs::all() {
        if enabled && !disabled.iter().any(|own| own == name) {
            gathered.add_groups(rules::config::parse(text, &format!("pack:{name}")));
            names.push((*name).to_owned());
        }
    }
    names
}

fn read_store(fields: &mut Fields<'_>, tsdb: Tsdb) -> storage::Settings {
    let mut settings = storage::Settings::default();
    let time_ms = |milliseconds: u64| i64::try_from(milliseconds).unwrap_or(i64::MAX);
    settings.retention_ms = tsdb.retention_ms.map_or(settings.retention_ms, time_ms);
    settings.retention_bytes_max = tsdb.retention_bytes_max.unwrap_or(0);
    let window_ms = tsdb.out_of_order_window_ms.map(time_ms);
    settings.out_of_order_window_ms = window_ms.unwrap_or(settings.out_of_order_window_ms);
    settings.exemplars_max = tsdb.exemplars_max.unwrap_or(settings.exemplars_max);
    let Some(mut store) = fields.fields("store") else { return settings };
    if let Some(bytes) = store.bytes("memtable_size") {
        settings.memtable_bytes_max = bytes;
    }
    if let Some(mut retention) = store.fields("retention") {
        if let Some(milliseconds) = retention.duration_ms("time") {
            settings.retention_ms = time_ms(milliseconds);
        }
        if let Some(bytes) = retention.bytes("size") {
            settings.retention_bytes_max = bytes;
        }
        retention.finish();
    }
    if let Some(milliseconds) = store.duration_ms("deletion_undo") {
        settings.deletion_undo_ms = time_ms(milliseconds);
    }
    if let Some(mut limits) = store.fields("limits") {
        if let Some(series) = limits.unsigned("series_max") {
            settings.series_max = series;
        }
        settings.series_per_job_max = limits.unsigned("series_per_job_max").unwrap_or(0);
        settings.series_per_target_max = limits.unsigned("series_per_target_max").unwrap_or(0);
        limits.finish();
    }
    if let Some(exemplars) = store.unsigned("exemplars_max") {
        settings.exemplars_max = exemplars;
    }
    if let Some(bytes) = store.bytes("reserve_size") {
        settings.reserve_bytes = bytes;
    }
    if let Some(milliseconds) = store.duration_ms("out_of_order_window") {
        settings.out_of_order_window_ms = time_ms(milliseconds);
    }
    store.finish();
    settings
}

/// Why the Postgres wire can't listen where it was told to.
const OPEN_WIRE: &str = "without users everybody on the network could read everything; listen on a \
    loopback address such as 127.0.0.1:5433, or name users under web.users or in --web.config.file";

fn read_query(fields: &mut Fields<'_>, folder: &Path) -> (query::Settings, query_log::Settings) {
    let mut settings = query::Settings::default();
    let mut log = query_log::Settings::default();
    let Some(mut query) = fields.fields("query") else { return (settings, log) };
    if let Some(samples) = query.unsigned("samples_max") {
        settings.samples_max = usize::try_from(samples).unwrap_or(usize::MAX);
    }
    if let Some(ms) = query.duration_ms("timeout") {
        settings.timeout_ms = ms;
    }
    if let Some(bytes) = query.bytes("memory_max") {
        settings.memory_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if let Some(bytes) = query.bytes("memory_max_all") {
        settings.memory_bytes_max_all = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if let Some(series) = query.unsigned("series_max") {
        settings.series_max = usize::try_from(series).unwrap_or(usize::MAX);
    }
    if let Some(queries) = query.unsigned("concurrent_max") {
        settings.concurrent_max = usize::try_from(queries).unwrap_or(usize::MAX).min(1024);
    }
    if let Some(queries) = query.unsigned("queue_max") {
        settings.queue_max = usize::try_from(queries).unwrap_or(usize::MAX);
    }
    if let Some(ms) = query.duration_ms("lookback") {
        settings.lookback_ms = i64::try_from(ms).unwrap_or(i64::MAX);
    }
    log.file = query.text("log_file").map(|file| folder.join(file));
    log.slow_ms = query.duration_ms("slow_threshold").unwrap_or(0);
    query.finish();
    (settings, log)
}

#[cfg(test)]
mod tests;
