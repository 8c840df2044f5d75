//! Network devices: counters of `/proc/net/dev` and properties under `/sys/class/net`.
//!
//! Place in the flow: `/proc/net/dev`, `/sys/class/net` → **text to families** → `host`.
//!
//! Not here: protocols and sockets (`network`).

use crate::families::Families;

use super::files::{Files, number};

/// Column names of `/proc/net/dev`, receive side then transmit side.
const RECEIVE: [&str; 8] =
    ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const TRANSMIT: [&str; 8] =
    ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

pub(super) fn collect_netdev(files: &Files, families: &mut Families) -> Result<(), String> {
    let text = files.proc("net/dev")?;
    map_netdev(&text, families)?;
    for device in devices(&text) {
        let path = format!("class/net/{device}/statistics/rx_nohandler");
        if let Some(value) = files.sys(&path).and_then(|text| text.parse::<f64>().ok()) {
            let name = "node_network_receive_nohandler_total";
            let help = "Packets that no protocol wanted.";
            families.counter(name, help, &[("device", device)], value);
        }
    }
    Ok(())
}

fn devices(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(2).filter_map(|line| Some(line.rsplit_once(": ")?.0.trim()))
}

pub(super) fn map_netdev(text: &str, families: &mut Families) -> Result<(), String> {
    for line in text.lines().skip(2) {
        // An alias such as `eth0:1` holds a colon of its own; the one that counts is the last.
        let Some((device, counters)) = line.rsplit_once(':') else { continue };
        let labels = [("device", device.trim())];
        let values: Vec<f64> = counters
            .split_ascii_whitespace()
            .map(|word| number("net/dev", word))
            .collect::<Result<_, String>>()?;
        let sides = [
            ("receive", RECEIVE, &values[..]),
            ("transmit", TRANSMIT, values.get(8..).unwrap_or(&[])),
        ];
        for (side, columns, values) in sides {
            for (column, value) in columns.iter().zip(values) {
                let name = format!("node_network_{side}_{column}_total");
                let help = format!("{column} of the {side} side.");
                families.counter(&name, &help, &labels, *value);
            }
        }
    }
    Ok(())
}

/// File under `/sys/class/net/<device>`, name without `node_network_`, whether it only grows.
const PROPERTIES: [(&str, &str, bool); 17] = [
    ("addr_assign_type", "address_assign_type", false),
    ("carrier", "carrier", false),
    ("carrier_changes", "carrier_changes_total", true),
    ("carrier_up_count", "carrier_up_changes_total", true),
    ("carrier_down_count", "carrier_down_changes_total", true),
    ("dev_id", "device_id", false),
    ("dormant", "dormant", false),
    ("flags", "flags", false),
    ("ifindex", "iface_id", false),
    ("iflink", "iface_link", false),
    ("link_mode", "iface_link_mode", false),
    ("mtu", "mtu_bytes", false),
    ("name_assign_type", "name_assign_type", false),
    ("netdev_group", "net_dev_group", false),
    ("type", "protocol_type", false),
    ("tx_queue_len", "transmit_queue_length", false),
    ("speed", "speed_bytes", false),
];

pub(super) fn collect_netclass(files: &Files, families: &mut Families) -> Result<(), String> {
    for device in files.sys_names("class/net")? {
        if files.sys(&format!("class/net/{device}/ifindex")).is_some() {
            let read = |file: &str| files.sys(&format!("class/net/{device}/{file}"));
            map_netclass(&device, read, families);
        }
    }
    Ok(())
}

pub(super) fn map_netclass(
    device: &str,
    read: impl Fn(&str) -> Option<String>,
    families: &mut Families,
) {
    let text = |file: &str| read(file).unwrap_or_default();
    let operstate = text("operstate");
    let up = f64::from(u8::from(operstate == "up"));
    families.gauge("node_network_up", "Whether its state is up.", &[("device", device)], up);
    let (address, broadcast) = (text("address"), text("broadcast"));
    let (duplex, ifalias, adminstate) =
        (text("duplex"), text("ifalias"), admin_state(&text("flags")));
    let labels = [
        ("device", device),
        ("address", &address),
        ("broadcast", &broadcast),
        ("duplex", &duplex),
        ("operstate", &operstate),
        ("adminstate", adminstate),
        ("ifalias", &ifalias),
    ];
    families.gauge("node_network_info", "What the device is.", &labels, 1.0);
    for (file, suffix, grows) in PROPERTIES {
        let Some(value) = read(file).and_then(|text| integer(&text)) else { continue };
        // The kernel speaks of Mbit/s, the metric of bytes per second.
        let value = if file == "speed" { value * 1_000_000.0 / 8.0 } else { value };
        let name = format!("node_network_{suffix}");
        let help = format!("{file} of /sys/class/net.");
        if grows {
            families.counter(&name, &help, &[("device", device)], value);
        } else {
            families.gauge(&name, &help, &[("device", device)], value);
        }
    }
}

/// Bit 0 of the flags is "the operator switched it on".
fn admin_state(flags: &str) -> &'static str {
    match integer(flags) {
        Some(flags) if flags % 2.0 == 1.0 => "up",
        Some(_) => "down",
        None => "unknown",
    }
}

/// Decimal, or hexadecimal after `0x`.
fn integer(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(f64::from),
        None => text.parse().ok(),
    }
}
