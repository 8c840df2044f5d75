//! Rows to families.
//!
//! Place in the flow: `session` → rows → **families** → `postgres`.
//!
//! Most queries map by their table of columns (`queries`); settings and the server itself have
//! functions of their own. A NULL gives no sample.
//!
//! Not here: SQL.

use std::time::Duration;

use model::MetricKind;

use crate::families::Families;

use super::queries::{Mapping, Query};
use super::rows::{Row, Rows};
use super::session::Server;

pub(super) fn rows(query: &Query, rows: &Rows, families: &mut Families) -> Result<(), String> {
    let groups = match query.mapping {
        Mapping::Settings => return settings(rows, families),
        Mapping::Columns(groups) => groups,
    };
    for row in rows.iter() {
        for group in groups {
            let labels: Vec<(&str, &str)> =
                group.labels.iter().map(|name| (*name, row.text(name).unwrap_or(""))).collect();
            for metric in group.metrics {
                if let Some(value) = row.number(metric.column)? {
                    families.add((metric.name, metric.kind, metric.help), &labels, value);
                }
            }
        }
    }
    Ok(())
}

pub(super) fn server(server: &Server, families: &mut Families) {
    let labels =
        [("version", server.long_version.as_str()), ("short_version", &server.short_version)];
    let family = ("pg_static", MetricKind::Unknown, "What the server is.");
    families.add(family, &labels, 1.0);
}

/// Says how a collector fared. When it has two queries, the worse one counts.
pub(super) fn outcome(collector: &str, took: Duration, success: bool, families: &mut Families) {
    let labels = [("collector", collector)];
    let name = "pg_scrape_collector_duration_seconds";
    families.gauge(name, "How long the collector took.", &labels, took.as_secs_f64());
    let name = "pg_scrape_collector_success";
    let help = "Whether the collector succeeded.";
    families.gauge(name, help, &labels, f64::from(u8::from(success)));
}

/// Numeric and boolean settings, in seconds and bytes.
fn settings(rows: &Rows, families: &mut Families) -> Result<(), String> {
    for row in rows.iter() {
        if let Some((name, value)) = setting(row)? {
            families.gauge(&name, "A setting of the server.", &[], value);
        }
        if row.text("pending_restart") == Some("t") {
            let labels = [("name", row.text("name").unwrap_or(""))];
            let help = "A changed setting waits for a restart.";
            families.gauge("pg_settings_pending_restart", help, &labels, 1.0);
        }
    }
    Ok(())
}

fn setting(row: Row<'_>) -> Result<Option<(String, f64)>, String> {
    let name = row.text("name").unwrap_or("").replace(['.', '-'], "_");
    if !matches!(row.text("vartype"), Some("bool" | "integer" | "real")) {
        return Ok(None);
    }
    let Some(value) = row.number("setting")? else { return Ok(None) };
    let Some((suffix, factor)) = unit(row.text("unit").unwrap_or("")) else { return Ok(None) };
    // -1 means "no limit" or "as the other setting says"; scaling it would make it a length.
    let value = if value == -1.0 { value } else { value * factor };
    Ok(Some((format!("pg_settings_{name}{suffix}"), value)))
}

/// The name's ending and what to multiply with; `None` for a unit that nobody knows.
fn unit(unit: &str) -> Option<(&'static str, f64)> {
    let seconds = match unit {
        "" => return Some(("", 1.0)),
        "us" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    if let Some(factor) = seconds {
        return Some(("_seconds", factor));
    }
    // `8kB` is a number of pages of eight kibibytes.
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let pages: f64 = if digits == 0 { 1.0 } else { unit[..digits].parse().ok()? };
    let power = match &unit[digits..] {
        "B" => 0,
        "kB" => 1,
        "MB" => 2,
        "GB" => 3,
        "TB" => 4,
        _ => return None,
    };
    Some(("_bytes", pages * 1024_f64.powi(power)))
}
