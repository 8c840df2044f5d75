//! What the files that belfry.yml names brought, and every mistake in them.
//!
//! Place in the flow: `config` finds a file's name → **`Gathered`** reads it → the parts of
//! [`super::Config`].
//!
//! Invariant: each file's mistakes are listed once, whoever reads it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use journal::disk::Disk;
use model::fields::{Fields, Problem, Problems};
use model::yaml::{self, Node};
use rules::config::GroupConfig;

use super::expand::{self, Environment};
use super::{files, redact};

/// Keys of a prometheus.yml that are read and have no effect here, with what to do instead.
const WITHOUT_EFFECT: [(&str, &str); 6] = [
    ("alerting", "alerts go to the alert manager inside Belfry; name an alertmanager.yml"),
    ("remote_write", "samples are not forwarded"),
    ("remote_read", "no other store is asked"),
    ("tracing", "Belfry sends no traces"),
    ("otlp", "Belfry takes no OTLP yet"),
    ("runtime", "Belfry has no such runtime"),
];

/// A file as a tree: as written, for the status page, and with its variables replaced.
pub struct Tree {
    /// As written.
    pub written: Node,
    /// With variables replaced.
    pub root: Node,
}

/// What a prometheus.yml says of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tsdb {
    /// How long samples are kept; 0: for ever.
    pub retention_ms: Option<u64>,
    /// The space they may take; 0: no limit.
    pub retention_bytes_max: Option<u64>,
    /// How late a sample may come.
    pub out_of_order_window_ms: Option<u64>,
    /// How many exemplars are kept; 0: none.
    pub exemplars_max: Option<u64>,
}

/// What the named files brought so far.
pub struct Gathered<'e> {
    environment: Environment<'e>,
    /// Jobs and defaults of scraping.
    pub collector: collector::Config,
    /// What there is to say of the store.
    pub tsdb: Tsdb,
    /// Rule groups in file order.
    pub groups: Vec<GroupConfig>,
    /// Where alerts go.
    pub alertmanager: Option<alertmanager::config::Config>,
    /// The text of all files, secrets replaced.
    pub text: String,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
    problems: Vec<Problem>,
    rule_files: HashSet<PathBuf>,
    /// Whether files that files name are read.
    follows: bool,
}

impl<'e> Gathered<'e> {
    /// Nothing yet.
    pub fn new(environment: Environment<'e>) -> Gathered<'e> {
        Gathered {
            environment,
            collector: collector::Config::default(),
            tsdb: Tsdb::default(),
            groups: Vec::new(),
            alertmanager: None,
            text: String::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
            rule_files: HashSet::new(),
            follows: true,
        }
    }

    /// The same for one file, whatever it names.
    pub fn alone(environment: Environment<'e>) -> Gathered<'e> {
        Gathered { follows: false, ..Gathered::new(environment) }
    }

    /// Whether files that files name are read.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// The tree of a file; `None` when it has none, which is a mistake then.
    pub fn tree(&mut self, file: &Path) -> Option<Tree> {
        let name = file.display().to_string();
        let text = files::read_text(file).map_err(|message| whole_file(&name, message));
        let written = text.and_then(|text| parse(&name, &text));
        match written {
            Ok(written) => {
                let problems = Problems::new(&name);
                let folder = files::folder_of(file);
                let root = expand::expanded(&written, folder, self.environment, &problems);
                self.problems.extend(problems.into_list());
                Some(Tree { written, root })
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Reads a prometheus.yml and the files that it names.
    pub fn prometheus(&mut self, file: &Path) {
        let Some(Tree { written, root }) = self.tree(file) else { return };
        let name = file.display().to_string();
        let folder = files::folder_of(file);
        self.show(&name, &redact::redacted(&written));
        let problems = Problems::new(&name);
        self.collector = collector::config::read(&root, &problems);
        let mut fields = Fields::new(&root, "", &problems);
        fields.accept(&["global", "scrape_configs"]);
        self.storage(&mut fields, &name);
        for (key, advice) in WITHOUT_EFFECT {
            if fields.get(key).is_some() {
                self.warnings.push(format!("{name}: {key} has no effect: {advice}"));
            }
        }
        let mut patterns = fields.texts("scrape_config_files").unwrap_or_default();
        patterns.retain(|_| self.follows);
        for pattern in patterns {
            match files::matching_files(folder, &pattern) {
                Ok(found) => found.iter().for_each(|file| self.scrape_configs(file)),
                Err(message) => fields.problem("scrape_config_files", message),
            }
        }
        for pattern in fields.texts("rule_files").unwrap_or_default() {
            self.rule_files(folder, &pattern, |message| fields.problem("rule_files", message));
        }
        fields.finish();
        self.take(problems);
    }

    /// Reads the section `storage`.
    fn storage(&mut self, fields: &mut Fields<'_>, name: &str) {
        let Some(mut storage) = fields.fields("storage") else { return };
        if let Some(mut exemplars) = storage.fields("exemplars") {
            // Upstream takes a negative number for none too.
            let is_negative = exemplars
                .get("max_exemplars")
                .and_then(Node::text)
                .and_then(|text| text.parse::<i64>().ok())
                .is_some_and(|number| number < 0);
            self.tsdb.exemplars_max =
                if is_negative { Some(0) } else { exemplars.unsigned("max_exemplars") };
            exemplars.finish();
        }
        if let Some(mut tsdb) = storage.fields("tsdb") {
            if let Some(mut retention) = tsdb.fields("retention") {
                self.tsdb.retention_ms = retention.duration_ms("time");
                self.tsdb.retention_bytes_max = retention.bytes("size");
                if retention.has("percentage") {
                    let advice = "use storage.tsdb.retention.size";
                    self.warnings.push(format!(
                        "{name}: storage.tsdb.retention.percentage has no effect: {advice}"
                    ));
                }
                retention.finish();
            }
            self.tsdb.out_of_order_window_ms = tsdb.duration_ms("out_of_order_time_window");
            if tsdb.has("stale_series_compaction_threshold") {
                self.warnings.push(format!(
                    "{name}: storage.tsdb.stale_series_compaction_threshold has no effect"
                ));
            }
            tsdb.finish();
        }
        storage.finish();
    }

    /// Reads one of the `scrape_config_files`.
    fn scrape_configs(&mut self, file: &Path) {
        let Some(Tree { written, root }) = self.tree(file) else { return };
        let name = file.display().to_string();
        self.show(&name, &redact::redacted(&written));
        let problems = Problems::new(&name);
        self.collector.add_jobs(&root, &problems);
        let mut fields = Fields::new(&root, "", &problems);
        fields.accept(&["scrape_configs"]);
        fields.finish();
        self.take(problems);
    }

    /// Reads the rule files of a pattern. A file that two patterns name is read once.
    pub fn rule_files(&mut self, folder: &Path, pattern: &str, complain: impl Fn(String)) {
        if !self.follows {
            return;
        }
        let found = match files::matching_files(folder, pattern) {
            Ok(found) => found,
            Err(message) => return complain(message),
        };
        for file in found {
            let same = file.canonicalize().unwrap_or_else(|_| file.clone());
            if self.rule_files.insert(same) {
                self.rule_file(&file);
            }
        }
    }

    /// Reads one rule file.
    pub fn rule_file(&mut self, file: &Path) {
        let name = file.display().to_string();
        match files::read_text(file) {
            Ok(text) => self.add_groups(rules::config::parse(&text, &name)),
            Err(message) => self.problems.push(whole_file(&name, message)),
        }
    }

    /// Adds the groups of one file.
    pub fn add_groups(&mut self, parsed: Result<Vec<GroupConfig>, Vec<Problem>>) {
        match parsed {
            Ok(groups) => self.groups.extend(groups),
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// Reads an alertmanager.yml and its template files; without one, alarms are shown only.
    pub fn alertmanager(&mut self, file: Option<&Path>) {
        const PAGE_ONLY: &str = "route: {receiver: page}\nreceivers: [{name: page}]\n";
        let parsed = match file {
            None => alertmanager::config::parse(PAGE_ONLY, "(embedded)"),
            Some(file) => {
                let Some(Tree { written, root }) = self.tree(file) else { return };
                let name = file.display().to_string();
                alertmanager::config::read_tree(&root, &written, &name)
            }
        };
        let config = match parsed {
            Ok(config) => config,
            Err(problems) => return self.problems.extend(problems),
        };
        if let Some(file) = file {
            let name = file.display().to_string();
            self.show(&name, config.original());
            self.warnings.extend(config.warnings.iter().map(|text| format!("{name}: {text}")));
            if let Err(error) = alertmanager::check_templates(&Disk::real(), &config) {
                self.problems.push(whole_file(&name, format!("templates: {error}")));
            }
        }
        self.alertmanager = Some(config);
    }

    /// Adds a file's text to what the status page shows.
    pub fn show(&mut self, name: &str, redacted: &str) {
        self.text.push_str(&format!("# {name}\n{redacted}"));
    }

    /// Adds mistakes of a file that another room has read.
    pub fn add_problems(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    /// Adds a reader's mistakes.
    pub fn take(&mut self, problems: Problems) {
        self.problems.extend(problems.into_list());
    }

    /// Itself when there was no mistake, else all of them, each once.
    pub fn finish(mut self) -> Result<Gathered<'e>, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(self);
        }
        let mut seen = HashSet::new();
        self.problems.retain(|problem| seen.insert(problem.to_string()));
        Err(self.problems)
    }
}

fn parse(name: &str, text: &str) -> Result<Node, Problem> {
    yaml::parse(text).map_err(|error| {
        let field = format!("column {}", error.column);
        Problem { file: name.to_owned(), line: error.line, field, message: error.message }
    })
}

/// A mistake that has no line.
fn whole_file(name: &str, message: String) -> Problem {
    Problem { file: name.to_owned(), line: 1, field: String::new(), message }
}
