//! Protocols and sockets: netstat, sockstat, UDP queues, neighbours, connection tracking.
//!
//! Place in the flow: `/proc/net`, `/proc/sys/net` → **text to families** → `host`.
//!
//! Not here: devices (`netdev`).

use std::collections::BTreeMap;

use model::MetricKind;

use crate::families::Families;

use super::files::{Files, number};

pub(super) fn collect_netstat(files: &Files, families: &mut Families) -> Result<(), String> {
    for file in ["net/netstat", "net/snmp"] {
        map_netstat(&files.proc(file)?, families)?;
    }
    match files.proc("net/snmp6") {
        Ok(text) => map_snmp6(&text, families),
        Err(_) => Ok(()), // IPv6 is switched off.
    }
}

/// Pairs of lines: `Tcp: names`, `Tcp: numbers`.
pub(super) fn map_netstat(text: &str, families: &mut Families) -> Result<(), String> {
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.chunks_exact(2) {
        let mut names = pair[0].split_ascii_whitespace();
        let mut values = pair[1].split_ascii_whitespace();
        let Some(protocol) = names.next().map(|word| word.trim_end_matches(':')) else { continue };
        values.next();
        for (field, value) in names.zip(values) {
            add_netstat(protocol, field, value, families)?;
        }
    }
    Ok(())
}

/// Lines of `Ip6InOctets 128`; the protocol ends at the `6`.
pub(super) fn map_snmp6(text: &str, families: &mut Families) -> Result<(), String> {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        let Some(end) = key.find('6') else { continue };
        let (protocol, field) = key.split_at(end + 1);
        add_netstat(protocol, field, value, families)?;
    }
    Ok(())
}

fn add_netstat(
    protocol: &str,
    field: &str,
    value: &str,
    families: &mut Families,
) -> Result<(), String> {
    if !is_netstat_kept(protocol, field) {
        return Ok(());
    }
    let name = format!("node_netstat_{protocol}_{field}");
    let help = format!("{field} of {protocol} in /proc/net.");
    families.add((&name, MetricKind::Unknown, &help), &[], number("net/netstat", value)?);
    Ok(())
}

/// The fields that node_exporter keeps by default.
fn is_netstat_kept(protocol: &str, field: &str) -> bool {
    if matches!(field, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => field == "Forwarding",
        "Ip6" | "IpExt" => matches!(field, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(field, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            let kept = ["TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"];
            field.starts_with("Listen") || field.starts_with("Syncookies") || kept.contains(&field)
        }
        "Tcp" => matches!(
            field,
            "ActiveOpens"
                | "InSegs"
                | "OutSegs"
                | "OutRsts"
                | "PassiveOpens"
                | "RetransSegs"
                | "CurrEstab"
        ),
        "Udp" | "Udp6" => matches!(
            field,
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
        ),
        _ => false,
    }
}

pub(super) fn collect_sockstat(files: &Files, families: &mut Families) -> Result<(), String> {
    map_sockstat(&files.proc("net/sockstat")?, families)?;
    match files.proc("net/sockstat6") {
        Ok(text) => map_sockstat(&text, families),
        Err(_) => Ok(()), // IPv6 is switched off.
    }
}

const PAGE_BYTES: f64 = 4096.0;

/// Lines of `TCP: inuse 4 orphan 0 mem 2`.
pub(super) fn map_sockstat(text: &str, families: &mut Families) -> Result<(), String> {
    for line in text.lines() {
        let Some((protocol, pairs)) = line.split_once(':') else { continue };
        let mut words = pairs.split_ascii_whitespace();
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            let value = number("net/sockstat", value)?;
            let name = format!("node_sockstat_{protocol}_{key}");
            families.gauge(&name, &format!("{key} of {protocol} sockets."), &[], value);
            if key == "mem" {
                // The kernel counts pages.
                let name = format!("{name}_bytes");
                let help = format!("Memory of {protocol} sockets.");
                families.gauge(&name, &help, &[], value * PAGE_BYTES);
            }
        }
    }
    Ok(())
}

pub(super) fn collect_udp_queues(files: &Files, families: &mut Families) -> Result<(), String> {
    map_udp_queues("v4", &files.proc("net/udp")?, families)?;
    match files.proc("net/udp6") {
        Ok(text) => map_udp_queues("v6", &text, families),
        Err(_) => Ok(()), // IPv6 is switched off.
    }
}

/// The fifth column is `tx:rx`, hexadecimal, one line per socket.
pub(super) fn map_udp_queues(ip: &str, text: &str, families: &mut Families) -> Result<(), String> {
    let (mut sent, mut received) = (0_u64, 0_u64);
    for line in text.lines().skip(1) {
        let Some((tx, rx)) =
            line.split_ascii_whitespace().nth(4).and_then(|column| column.split_once(':'))
        else {
            continue;
        };
        let parse = |text| {
            u64::from_str_radix(text, 16)
                .map_err(|_| format!("net/udp: {text:?} is not hexadecimal"))
        };
        sent += parse(tx)?;
        received += parse(rx)?;
    }
    for (queue, bytes) in [("tx", sent), ("rx", received)] {
        let help = "Bytes that wait in UDP sockets.";
        families.gauge("node_udp_queues", help, &[("ip", ip), ("queue", queue)], bytes as f64);
    }
    Ok(())
}

pub(super) fn collect_arp(files: &Files, families: &mut Families) -> Result<(), String> {
    map_arp(&files.proc("net/arp")?, families);
    Ok(())
}

pub(super) fn map_arp(text: &str, families: &mut Families) {
    let mut entries: BTreeMap<&str, f64> = BTreeMap::new();
    for line in text.lines().skip(1) {
        if let Some(device) = line.split_ascii_whitespace().nth(5) {
            *entries.entry(device).or_default() += 1.0;
        }
    }
    for (device, count) in entries {
        let help = "Neighbours known by address.";
        families.gauge("node_arp_entries", help, &[("device", device)], count);
    }
}

/// Columns of `/proc/net/stat/nf_conntrack` that are shown; hexadecimal, one line per processor.
const CONNTRACK_COLUMNS: [&str; 8] = [
    "found",
    "invalid",
    "ignore",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "search_restart",
];

pub(super) fn collect_conntrack(files: &Files, families: &mut Families) -> Result<(), String> {
    let limits = [
        ("count", "node_nf_conntrack_entries", "Connections tracked."),
        ("max", "node_nf_conntrack_entries_limit", "Most connections that can be tracked."),
    ];
    for (file, name, help) in limits {
        let path = format!("sys/net/netfilter/nf_conntrack_{file}");
        families.gauge(name, help, &[], number(&path, files.proc(&path)?.trim())?);
    }
    map_conntrack_stat(&files.proc("net/stat/nf_conntrack")?, families)
}

pub(super) fn map_conntrack_stat(text: &str, families: &mut Families) -> Result<(), String> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or("").split_ascii_whitespace().collect();
    let mut sums = vec![0_u64; header.len()];
    for line in lines {
        for (sum, word) in sums.iter_mut().zip(line.split_ascii_whitespace()) {
            let value = u64::from_str_radix(word, 16);
            *sum += value.map_err(|_| format!("nf_conntrack: {word:?} is not hexadecimal"))?;
        }
    }
    for (column, sum) in header.iter().zip(sums) {
        // The column was renamed in Linux 5.9; the metric was not.
        let column = if *column == "clashres" { "ignore" } else { column };
        if CONNTRACK_COLUMNS.contains(&column) {
            let name = format!("node_nf_conntrack_stat_{column}");
            families.gauge(&name, &format!("{column} of nf_conntrack."), &[], sum as f64);
        }
    }
    Ok(())
}
