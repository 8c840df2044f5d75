//! belfry.yml and the files it names, composed; every mistake of every file in one list.
//!
//! Place in the flow: files → **`load`** → [`Config`] → wiring. Each room reads its own part; this
//! one only finds the files and puts the parts together. Reading touches nothing but the files.
//!
//! Relative paths are resolved against the file that contains them.

/// Secrets out of the text that the status page shows.
mod redact;

use std::path::{Path, PathBuf};

use model::fields::{Fields, Problem, Problems};
use model::yaml::{self, Node};
use rules::config::GroupConfig;

/// Longest configuration file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most rule files that patterns may name.
const RULE_FILES_MAX: usize = 10_000;

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
    /// The text of all files, secrets replaced.
    pub text: String,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
}

/// The configuration without a file: this host, the packs, alarms on the page only.
pub fn embedded() -> Result<Config, Vec<Problem>> {
    read_root(&Node::null(), "(no configuration file)", Path::new("."), String::new())
}

/// Reads belfry.yml and every file it names.
pub fn load(file: &Path) -> Result<Config, Vec<Problem>> {
    let name = file.display().to_string();
    let text = read_text(file).map_err(|message| vec![whole_file(&name, message)])?;
    let root = parse(&name, &text)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    read_root(&root, &name, folder, redact::redacted(&root))
}

/// Checks one file of any kind: belfry.yml, prometheus.yml, alertmanager.yml, a rule file. The
/// answer says what it holds.
pub fn check_file(file: &Path) -> Result<String, Vec<Problem>> {
    let name = file.display().to_string();
    let text = read_text(file).map_err(|message| vec![whole_file(&name, message)])?;
    let root = parse(&name, &text)?;
    if root.get("groups").is_some() {
        let groups = rules::config::parse(&text, &name)?;
        return Ok(format!("rule file with {} groups, no mistakes", groups.len()));
    }
    if root.get("route").is_some() || root.get("receivers").is_some() {
        alertmanager::config::parse(&text, &name)?;
        return Ok("alertmanager.yml, no mistakes".to_owned());
    }
    if ["scrape_configs", "global", "rule_files"].iter().any(|key| root.get(key).is_some()) {
        let mut gathered = Gathered::default();
        gathered.prometheus(file);
        return gathered.finish(|gathered| {
            format!("prometheus.yml with {} rule groups, no mistakes", gathered.groups.len())
        });
    }
    let config = load(file)?;
    let mut summary = format!("belfry.yml with {} rule groups, no mistakes", config.groups.len());
    for warning in &config.warnings {
        summary.push_str(&format!("\n  warning: {warning}"));
    }
    Ok(summary)
}

fn read_root(root: &Node, name: &str, folder: &Path, text: String) -> Result<Config, Vec<Problem>> {
    let problems = Problems::new(name);
    let mut fields = Fields::new(root, "", &problems);
    let listen = fields.text("listen").unwrap_or_else(|| "127.0.0.1:9090".to_owned());
    let data = fields.text("data").map_or(PathBuf::from("belfry-data"), |path| folder.join(path));
    let external_url = fields.text("external_url").unwrap_or_default();
    let mut gathered = Gathered { text, ..Gathered::default() };
    if let Some(path) = fields.text("prometheus") {
        gathered.prometheus(&folder.join(path));
    } else {
        gathered.collector = Some(read_collector(&Node::null(), &problems));
    }
    for pattern in fields.texts("rules").unwrap_or_default() {
        gathered.rule_files(folder, &pattern, |message| fields.problem("rules", message));
    }
    let alertmanager_file = fields.text("alertmanager").map(|path| folder.join(path));
    let notifies = alertmanager_file.is_some();
    gathered.alertmanager(alertmanager_file.as_deref());
    let packs = read_packs(&mut fields, &mut gathered);
    let nothing = Node::null();
    let section = fields.fields("exporters");
    let section = section.unwrap_or_else(|| Fields::new(&nothing, "exporters", &problems));
    let exporters = exporters::config::read(section);
    let store = read_store(&mut fields);
    let query = read_query(&mut fields);
    fields.finish();
    gathered.problems.extend(problems.into_list());
    let mut config = gathered.finish(|gathered| gathered)?;
    let missing = "gathered without problems, so every part was read";
    Ok(Config {
        listen,
        data,
        external_url,
        collector: config.collector.take().expect(missing),
        exporters,
        groups: config.groups,
        packs,
        alertmanager: config.alertmanager.take().expect(missing),
        notifies,
        store,
        query,
        text: config.text,
        warnings: config.warnings,
    })
}

fn read_collector(root: &Node, problems: &Problems) -> collector::Config {
    collector::config::read(root, problems)
}

fn read_packs(fields: &mut Fields<'_>, gathered: &mut Gathered) -> Vec<String> {
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

fn read_store(fields: &mut Fields<'_>) -> storage::Settings {
    let mut settings = storage::Settings::default();
    let Some(mut store) = fields.fields("store") else { return settings };
    if let Some(bytes) = store.bytes("memtable_size") {
        settings.memtable_bytes_max = bytes;
    }
    if let Some(series) = store.unsigned("series_max") {
        settings.series_max = series;
    }
    store.finish();
    settings
}

fn read_query(fields: &mut Fields<'_>) -> query::Settings {
    let mut settings = query::Settings::default();
    let Some(mut query) = fields.fields("query") else { return settings };
    if let Some(samples) = query.unsigned("samples_max") {
        settings.samples_max = usize::try_from(samples).unwrap_or(usize::MAX);
    }
    if let Some(ms) = query.duration_ms("timeout") {
        settings.timeout_ms = ms;
    }
    if let Some(bytes) = query.bytes("memory_max") {
        settings.memory_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if let Some(ms) = query.duration_ms("lookback") {
        settings.lookback_ms = i64::try_from(ms).unwrap_or(i64::MAX);
    }
    query.finish();
    settings
}

/// What the named files brought so far.
#[derive(Default)]
struct Gathered {
    collector: Option<collector::Config>,
    groups: Vec<GroupConfig>,
    alertmanager: Option<alertmanager::config::Config>,
    text: String,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

/// Keys of a prometheus.yml that are read and have no effect here, with what to do instead.
const WITHOUT_EFFECT: [(&str, &str); 7] = [
    ("alerting", "alerts go to the alert manager inside Belfry; name an alertmanager.yml"),
    ("remote_write", "samples are not forwarded"),
    ("remote_read", "no other store is asked"),
    ("storage", "see `store` in belfry.yml"),
    ("tracing", "Belfry sends no traces"),
    ("otlp", "Belfry takes no OTLP yet"),
    ("runtime", "Belfry has no such runtime"),
];

impl Gathered {
    fn prometheus(&mut self, file: &Path) {
        let name = file.display().to_string();
        let Some(root) = self.tree(file, &name) else { return };
        let folder = file.parent().unwrap_or(Path::new("."));
        let problems = Problems::new(&name);
        let mut fields = Fields::new(&root, "", &problems);
        self.collector = Some(read_collector(&root, &problems));
        fields.accept(&["global", "scrape_configs"]);
        for (key, advice) in WITHOUT_EFFECT {
            if fields.get(key).is_some() {
                self.warnings.push(format!("{name}: {key} has no effect: {advice}"));
            }
        }
        for pattern in fields.texts("rule_files").unwrap_or_default() {
            self.rule_files(folder, &pattern, |message| fields.problem("rule_files", message));
        }
        fields.finish();
        self.problems.extend(problems.into_list());
        self.show(&name, &root);
    }

    fn rule_files(&mut self, folder: &Path, pattern: &str, complain: impl Fn(String)) {
        match matching_files(folder, pattern) {
            Ok(files) => {
                for file in files {
                    let name = file.display().to_string();
                    match read_text(&file) {
                        Ok(text) => self.add_groups(rules::config::parse(&text, &name)),
                        Err(message) => self.problems.push(whole_file(&name, message)),
                    }
                }
            }
            Err(message) => complain(message),
        }
    }

    fn add_groups(&mut self, parsed: Result<Vec<GroupConfig>, Vec<Problem>>) {
        match parsed {
            Ok(groups) => self.groups.extend(groups),
            Err(problems) => self.problems.extend(problems),
        }
    }

    fn alertmanager(&mut self, file: Option<&Path>) {
        const PAGE_ONLY: &str = "route: {receiver: page}\nreceivers: [{name: page}]\n";
        let (name, text) = match file {
            None => ("(embedded)".to_owned(), Ok(PAGE_ONLY.to_owned())),
            Some(file) => (file.display().to_string(), read_text(file)),
        };
        let parsed = match text {
            Ok(text) => alertmanager::config::parse(&text, &name),
            Err(message) => Err(vec![whole_file(&name, message)]),
        };
        match parsed {
            Ok(config) => self.alertmanager = Some(config),
            Err(problems) => self.problems.extend(problems),
        }
        if let Some(root) = file.and_then(|file| self.tree(file, &name)) {
            self.show(&name, &root);
        }
    }

    /// The tree of a file; its mistakes are noted once.
    fn tree(&mut self, file: &Path, name: &str) -> Option<Node> {
        let parsed = match read_text(file) {
            Ok(text) => parse(name, &text),
            Err(message) => Err(vec![whole_file(name, message)]),
        };
        match parsed {
            Ok(root) => Some(root),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    fn show(&mut self, name: &str, root: &Node) {
        self.text.push_str(&format!("# {name}\n{}", redact::redacted(root)));
    }

    fn finish<T>(mut self, make: impl FnOnce(Gathered) -> T) -> Result<T, Vec<Problem>> {
        self.problems.dedup();
        if self.problems.is_empty() { Ok(make(self)) } else { Err(self.problems) }
    }
}

fn parse(name: &str, text: &str) -> Result<Node, Vec<Problem>> {
    yaml::parse(text).map_err(|error| {
        let field = format!("column {}", error.column);
        vec![Problem { file: name.to_owned(), line: error.line, field, message: error.message }]
    })
}

fn whole_file(name: &str, message: String) -> Problem {
    Problem { file: name.to_owned(), line: 1, field: String::new(), message }
}

fn read_text(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| format!("can't be read: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("has {size} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(file).map_err(|error| format!("can't be read: {error}"))
}

/// The files that a pattern names: `*` in the last path element, or one path that must exist.
fn matching_files(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(pattern);
    let last = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
    let parent = path.parent().unwrap_or(folder);
    if parent.to_string_lossy().contains('*') {
        return Err(format!("{pattern}: `*` is allowed in the last path element only"));
    }
    if !last.contains('*') {
        return if path.is_file() { Ok(vec![path]) } else { Err(format!("no file {pattern}")) };
    }
    let listing =
        std::fs::read_dir(parent).map_err(|error| format!("list {}: {error}", parent.display()))?;
    let mut files = Vec::new();
    for entry in listing.take(RULE_FILES_MAX) {
        let entry = entry.map_err(|error| format!("list {}: {error}", parent.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if wildcard(&last, &name) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn wildcard(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
        }
    }
}
