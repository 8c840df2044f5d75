//! Memory: every field of `/proc/meminfo` and the paging counters of `/proc/vmstat`.
//!
//! Place in the flow: `/proc` → **text to families** → `host`.
//!
//! Not here: memory of one process or container.

use model::MetricKind;

use crate::families::Families;

use super::files::{Files, number};

pub(super) fn collect_meminfo(files: &Files, families: &mut Families) -> Result<(), String> {
    map_meminfo(&files.proc("meminfo")?, families)
}

/// `Active(anon):  12 kB` becomes `node_memory_Active_anon_bytes 12288`; fields without a unit are
/// counts and get no `_bytes`.
pub(super) fn map_meminfo(text: &str, families: &mut Families) -> Result<(), String> {
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next() else { continue };
        let value = number("meminfo", value)?;
        let field = key.trim_end_matches(')').replace('(', "_");
        let help = format!("{key} of /proc/meminfo.");
        if words.next() == Some("kB") {
            let name = format!("node_memory_{field}_bytes");
            families.gauge(&name, &help, &[], value * 1024.0);
        } else {
            families.gauge(&format!("node_memory_{field}"), &help, &[], value);
        }
    }
    Ok(())
}

pub(super) fn collect_vmstat(files: &Files, families: &mut Families) -> Result<(), String> {
    map_vmstat(&files.proc("vmstat")?, families)
}

pub(super) fn map_vmstat(text: &str, families: &mut Families) -> Result<(), String> {
    for line in text.lines() {
        let Some((field, value)) = line.split_once(' ') else { continue };
        let page_fault = field.starts_with("pg") && field.contains("fault");
        let kept = ["oom_kill", "pgpg", "pswp"].iter().any(|start| field.starts_with(start));
        if !kept && !page_fault {
            continue;
        }
        let name = format!("node_vmstat_{field}");
        let help = format!("{field} of /proc/vmstat.");
        families.add((&name, MetricKind::Unknown, &help), &[], number("vmstat", value.trim())?);
    }
    Ok(())
}
