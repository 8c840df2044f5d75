//! Answers of the statistics socket to families.
//!
//! Place in the flow: `show info`, `show stat` → **families** → `haproxy`.
//!
//! Numbers map by table (`names`). A state becomes one series per state, of which exactly one is 1;
//! a backend also counts its servers by state.
//!
//! Not here: reading.

use std::collections::BTreeMap;

use crate::families::Families;

use super::names::{INFO, STATS, Scope};

/// States of a proxy.
const PROXY_STATES: [&str; 2] = ["DOWN", "UP"];
/// States of a server.
const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];
/// Results of a check.
const CHECK_STATES: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP",
    "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

pub(super) fn info(text: &str, families: &mut Families) -> Result<(), String> {
    let lines: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once(": ")).collect();
    if !lines.contains_key("Name") {
        return Err("show info has no Name; is this HAProxy's statistics socket?".to_owned());
    }
    for (key, suffix, kind) in INFO {
        let Some(value) = lines.get(key).and_then(|text| text.parse::<f64>().ok()) else {
            continue;
        };
        let name = format!("haproxy_process_{suffix}");
        families.add((&name, *kind, &format!("{key} of show info.")), &[], value);
    }
    if let Some(version) = lines.get("Version") {
        let labels = [("version", *version)];
        families.gauge("haproxy_process_build_info", "What it is.", &labels, 1.0);
    }
    Ok(())
}

pub(super) fn stat(text: &str, families: &mut Families) -> Result<(), String> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let header = lines.next().and_then(|line| line.strip_prefix("# "));
    let Some(header) = header else {
        return Err("show stat has no header line that begins with #".to_owned());
    };
    let columns: Vec<&str> = header.split(',').collect();
    let mut servers: BTreeMap<String, Servers> = BTreeMap::new();
    for line in lines {
        let cells = cells(line);
        let row = Row { columns: &columns, cells: &cells };
        let Some(scope) = row.scope() else { continue };
        numbers(row, scope, families);
        states(row, scope, families);
        let backend = servers.entry(row.text("pxname").to_owned()).or_default();
        backend.add(row, scope);
    }
    for (proxy, servers) in servers.iter().filter(|(_, servers)| servers.is_backend) {
        servers.map(proxy, families);
    }
    Ok(())
}

/// Splits a line of CSV; a cell in quotes may hold commas and doubled quotes.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

#[derive(Clone, Copy)]
struct Row<'r> {
    columns: &'r [&'r str],
    cells: &'r [String],
}

impl<'r> Row<'r> {
    /// The text under a column, empty when it does not apply.
    fn text(self, column: &str) -> &'r str {
        let index = self.columns.iter().position(|name| *name == column);
        index.and_then(|index| self.cells.get(index)).map_or("", String::as_str)
    }

    fn scope(self) -> Option<Scope> {
        match self.text("type") {
            "0" => Some(Scope::Frontend),
            "1" => Some(Scope::Backend),
            "2" => Some(Scope::Server),
            "3" => Some(Scope::Listener),
            _ => None,
        }
    }

    fn labels(self, scope: Scope) -> Vec<(&'static str, &'r str)> {
        let proxy = ("proxy", self.text("pxname"));
        match scope {
            Scope::Frontend | Scope::Backend => vec![proxy],
            Scope::Server => vec![proxy, ("server", self.text("svname"))],
            Scope::Listener => vec![proxy, ("listener", self.text("svname"))],
        }
    }
}

fn prefix(scope: Scope) -> &'static str {
    match scope {
        Scope::Frontend => "haproxy_frontend",
        Scope::Backend => "haproxy_backend",
        Scope::Server => "haproxy_server",
        Scope::Listener => "haproxy_listener",
    }
}

fn numbers(row: Row<'_>, scope: Scope, families: &mut Families) {
    let labels = row.labels(scope);
    // A TCP proxy counts no requests; its zeros would only be noise.
    let applies = |suffix: &str| row.text("mode") != "tcp" || !suffix.starts_with("http_");
    for stat in STATS.iter().filter(|stat| stat.scopes.contains(&scope) && applies(stat.suffix)) {
        let Some(value) = number(row, stat.column) else { continue };
        let value = if stat.milliseconds { value / 1000.0 } else { value };
        let name = format!("{}_{}", prefix(scope), stat.suffix);
        let help = format!("{} of show stat.", stat.column);
        let mut labels = labels.clone();
        if !stat.code.is_empty() {
            labels.push(("code", stat.code));
        }
        families.add((&name, stat.kind, &help), &labels, value);
    }
}

/// The number under a column; `None` when it does not apply. A check that ended below HTTP has no
/// code, which the native page shows as 0.
fn number(row: Row<'_>, column: &str) -> Option<f64> {
    let checked = match column {
        "check_code" => row.text("check_status"),
        "agent_code" => row.text("agent_status"),
        _ => "",
    };
    match row.text(column) {
        "" if !checked.is_empty() => Some(0.0),
        text => text.parse().ok(),
    }
}

fn states(row: Row<'_>, scope: Scope, families: &mut Families) {
    let status = state(row.text("status"));
    let mut one_hot = |suffix: &str, all: &[&'static str], current: &str| {
        let name = format!("{}_{suffix}", prefix(scope));
        for state in all {
            let mut labels = row.labels(scope);
            labels.push(("state", state));
            let value = f64::from(u8::from(*state == current));
            families.gauge(&name, "One series per state.", &labels, value);
        }
    };
    match scope {
        Scope::Frontend | Scope::Backend => one_hot("status", &PROXY_STATES, status),
        Scope::Listener => one_hot("status", &["WAITING", "OPEN", "FULL"], row.text("status")),
        Scope::Server => {
            one_hot("status", &SERVER_STATES, status);
            for column in ["check_status", "agent_status"] {
                let current = check_state(row.text(column));
                if !current.is_empty() {
                    one_hot(column, &CHECK_STATES, current);
                }
            }
        }
    }
}

/// The state behind the text: `UP 1/3` is on its way down but still up.
fn state(status: &str) -> &'static str {
    match status.split([' ', '(']).next() {
        Some("OPEN" | "UP" | "no") => "UP",
        Some("DRAIN") => "DRAIN",
        Some("MAINT") => "MAINT",
        Some("NOLB") => "NOLB",
        _ => "DOWN",
    }
}

/// A running check is told as `* L7OK`; what counts is the last result.
fn check_state(text: &str) -> &str {
    text.trim_start_matches("* ")
}

/// The servers of one proxy, counted.
#[derive(Default)]
struct Servers {
    is_backend: bool,
    by_state: BTreeMap<&'static str, f64>,
    by_check: BTreeMap<String, f64>,
}

impl Servers {
    fn add(&mut self, row: Row<'_>, scope: Scope) {
        match scope {
            Scope::Backend => self.is_backend = true,
            Scope::Server => {
                *self.by_state.entry(state(row.text("status"))).or_default() += 1.0;
                let check = check_state(row.text("check_status")).to_owned();
                *self.by_check.entry(check).or_default() += 1.0;
            }
            Scope::Frontend | Scope::Listener => {}
        }
    }

    fn map(&self, proxy: &str, families: &mut Families) {
        for state in SERVER_STATES {
            let labels = [("proxy", proxy), ("state", state)];
            let count = self.by_state.get(state).copied().unwrap_or(0.0);
            // The second name is the same number: HAProxy kept both after a renaming.
            for name in
                ["haproxy_backend_agg_server_status", "haproxy_backend_agg_server_check_status"]
            {
                families.gauge(name, "Servers by state.", &labels, count);
            }
        }
        for state in CHECK_STATES {
            let labels = [("proxy", proxy), ("state", state)];
            let count = self.by_check.get(state).copied().unwrap_or(0.0);
            let name = "haproxy_backend_agg_check_status";
            families.gauge(name, "Servers by the result of their check.", &labels, count);
        }
    }
}
