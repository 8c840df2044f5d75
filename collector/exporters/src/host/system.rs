//! The machine as a whole: its name, its system, files, entropy, processes, temperatures.
//!
//! Place in the flow: uname, `/etc/os-release`, `/proc/sys`, `/proc/<pid>` → **families** → `host`.
//!
//! Not here: one process or group of processes.

use std::collections::BTreeMap;

use crate::families::Families;

use super::files::{Files, number};

pub(super) fn collect_uname(_: &Files, families: &mut Families) -> Result<(), String> {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let (sysname, release) = (text(name.sysname()), text(name.release()));
    let (version, machine) = (text(name.version()), text(name.machine()));
    let (nodename, domainname) = (text(name.nodename()), text(name.domainname()));
    let labels = [
        ("sysname", sysname.as_str()),
        ("release", &release),
        ("version", &version),
        ("machine", &machine),
        ("nodename", &nodename),
        ("domainname", &domainname),
    ];
    families.gauge("node_uname_info", "What uname says.", &labels, 1.0);
    Ok(())
}

pub(super) fn collect_os(files: &Files, families: &mut Families) -> Result<(), String> {
    let text = files.root("etc/os-release").or_else(|_| files.root("usr/lib/os-release"))?;
    map_os(&text, families);
    Ok(())
}

const OS_FIELDS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];

pub(super) fn map_os(text: &str, families: &mut Families) {
    let field = |wanted: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(wanted)?.strip_prefix('='))
            .map_or(String::new(), |value| value.trim_matches(['"', '\'']).to_owned())
    };
    let values = OS_FIELDS.map(|name| (name.to_ascii_lowercase(), field(name)));
    let labels: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    families.gauge("node_os_info", "What /etc/os-release says.", &labels, 1.0);
    let version = field("VERSION_ID");
    let major_minor: String = version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    if let Ok(version) = major_minor.parse::<f64>() {
        let (id, id_like, name) = (field("ID"), field("ID_LIKE"), field("NAME"));
        let labels = [("id", id.as_str()), ("id_like", &id_like), ("name", &name)];
        families.gauge("node_os_version", "Version as a number.", &labels, version);
    }
}

pub(super) fn collect_entropy(files: &Files, families: &mut Families) -> Result<(), String> {
    let gauges = [
        ("entropy_avail", "node_entropy_available_bits", "Bits of entropy there are."),
        ("poolsize", "node_entropy_pool_size_bits", "Bits of entropy there can be."),
    ];
    for (file, name, help) in gauges {
        let path = format!("sys/kernel/random/{file}");
        families.gauge(name, help, &[], number(&path, files.proc(&path)?.trim())?);
    }
    Ok(())
}

pub(super) fn collect_filefd(files: &Files, families: &mut Families) -> Result<(), String> {
    map_filefd(&files.proc("sys/fs/file-nr")?, families)
}

/// `allocated  free  maximum`.
pub(super) fn map_filefd(text: &str, families: &mut Families) -> Result<(), String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [allocated, _, maximum] = words[..] else {
        return Err(format!("sys/fs/file-nr: {text:?} has not three numbers"));
    };
    let path = "sys/fs/file-nr";
    let help = "File handles in use.";
    families.gauge("node_filefd_allocated", help, &[], number(path, allocated)?);
    let help = "File handles there can be.";
    families.gauge("node_filefd_maximum", help, &[], number(path, maximum)?);
    Ok(())
}

pub(super) fn collect_processes(files: &Files, families: &mut Families) -> Result<(), String> {
    let mut states: BTreeMap<String, f64> = BTreeMap::new();
    let (mut pids, mut threads) = (0.0, 0.0);
    for name in files.proc_names("")? {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process may end between the listing and the reading.
        let Ok(stat) = files.proc(&format!("{name}/stat")) else { continue };
        let Some((state, thread_count)) = parse_process_stat(&stat) else { continue };
        pids += 1.0;
        threads += thread_count;
        *states.entry(state.to_owned()).or_default() += 1.0;
    }
    if pids == 0.0 {
        return Err("no process is visible".to_owned());
    }
    families.gauge("node_processes_pids", "Processes.", &[], pids);
    families.gauge("node_processes_threads", "Threads.", &[], threads);
    for (state, count) in &states {
        let help = "Processes by state.";
        families.gauge("node_processes_state", help, &[("state", state)], *count);
    }
    let limits = [
        ("sys/kernel/threads-max", "node_processes_max_threads", "Threads there can be."),
        ("sys/kernel/pid_max", "node_processes_max_processes", "Process numbers there are."),
    ];
    for (path, name, help) in limits {
        families.gauge(name, help, &[], number(path, files.proc(path)?.trim())?);
    }
    Ok(())
}

/// State and thread count of `/proc/<pid>/stat`. The name in parentheses may hold anything.
pub(super) fn parse_process_stat(stat: &str) -> Option<(&str, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?;
    Some((state, words.nth(16)?.parse().ok()?))
}

pub(super) fn collect_thermal_zone(files: &Files, families: &mut Families) -> Result<(), String> {
    // Virtual machines have no such directory, and that is no failure.
    for name in files.sys_names("class/thermal").unwrap_or_default() {
        let read = |file: &str| files.sys(&format!("class/thermal/{name}/{file}"));
        if let Some(zone) = name.strip_prefix("thermal_zone") {
            let Some(millidegrees) = read("temp").and_then(|text| text.parse::<f64>().ok()) else {
                continue;
            };
            let kind = read("type").unwrap_or_default();
            let labels = [("zone", zone), ("type", kind.as_str())];
            let help = "Temperature in degrees Celsius.";
            families.gauge("node_thermal_zone_temp", help, &labels, millidegrees / 1000.0);
        }
        let Some(device) = name.strip_prefix("cooling_device") else { continue };
        let kind = read("type").unwrap_or_default();
        let labels = [("name", device), ("type", kind.as_str())];
        for (file, help) in [("cur_state", "Stage of cooling now."), ("max_state", "Last stage.")] {
            if let Some(value) = read(file).and_then(|text| text.parse::<f64>().ok()) {
                families.gauge(&format!("node_cooling_device_{file}"), help, &labels, value);
            }
        }
    }
    Ok(())
}
