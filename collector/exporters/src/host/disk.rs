//! Block devices: `/proc/diskstats` and what udev knows about the device.
//!
//! Place in the flow: `/proc/diskstats`, `/run/udev/data` → **text to families** → `host`.
//!
//! Sectors are 512 bytes whatever the device says; times are milliseconds. Partitions and memory
//! disks are left out, as node_exporter does.
//!
//! Not here: file systems, RAID.

use crate::families::Families;

use super::files::{Files, number};

const SECTOR_BYTES: f64 = 512.0;
const MS_PER_SECOND: f64 = 1000.0;

/// Name without `node_disk_`, help, and what to multiply with; in the order of the columns.
const COLUMNS: [(&str, &str, f64); 17] = [
    ("reads_completed_total", "Reads completed.", 1.0),
    ("reads_merged_total", "Reads merged.", 1.0),
    ("read_bytes_total", "Bytes read.", SECTOR_BYTES),
    ("read_time_seconds_total", "Seconds spent by all reads.", 1.0 / MS_PER_SECOND),
    ("writes_completed_total", "Writes completed.", 1.0),
    ("writes_merged_total", "Writes merged.", 1.0),
    ("written_bytes_total", "Bytes written.", SECTOR_BYTES),
    ("write_time_seconds_total", "Seconds spent by all writes.", 1.0 / MS_PER_SECOND),
    ("io_now", "Requests under way.", 1.0),
    ("io_time_seconds_total", "Seconds with at least one request.", 1.0 / MS_PER_SECOND),
    ("io_time_weighted_seconds_total", "Seconds times requests.", 1.0 / MS_PER_SECOND),
    ("discards_completed_total", "Discards completed.", 1.0),
    ("discards_merged_total", "Discards merged.", 1.0),
    ("discarded_sectors_total", "Sectors discarded.", 1.0),
    ("discard_time_seconds_total", "Seconds spent by all discards.", 1.0 / MS_PER_SECOND),
    ("flush_requests_total", "Flushes completed.", 1.0),
    ("flush_requests_time_seconds_total", "Seconds spent by flushes.", 1.0 / MS_PER_SECOND),
];

pub(super) fn collect(files: &Files, families: &mut Families) -> Result<(), String> {
    let text = files.proc("diskstats")?;
    for disk in parse(&text)? {
        let udev = files.root(&format!("run/udev/data/b{}:{}", disk.major, disk.minor));
        let rotational = files.sys(&format!("block/{}/queue/rotational", disk.device));
        map(&disk, &udev.unwrap_or_default(), &rotational.unwrap_or_default(), families);
    }
    Ok(())
}

/// One line of diskstats.
pub(super) struct Disk<'t> {
    major: &'t str,
    minor: &'t str,
    device: &'t str,
    numbers: Vec<f64>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Disk<'_>>, String> {
    let mut disks = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [major, minor, device, ref rest @ ..] = words[..] else { continue };
        if is_left_out(device) {
            continue;
        }
        let numbers =
            rest.iter().map(|word| number("diskstats", word)).collect::<Result<_, _>>()?;
        disks.push(Disk { major, minor, device, numbers });
    }
    Ok(disks)
}

pub(super) fn map(disk: &Disk<'_>, udev: &str, rotational: &str, families: &mut Families) {
    let property = |key: &str| {
        udev.lines()
            .find_map(|line| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or("")
    };
    let serial = match property("ID_SERIAL_SHORT") {
        "" => property("SCSI_IDENT_SERIAL"),
        serial => serial,
    };
    let labels = [
        ("device", disk.device),
        ("major", disk.major),
        ("minor", disk.minor),
        ("path", property("ID_PATH")),
        ("wwn", property("ID_WWN")),
        ("model", property("ID_MODEL")),
        ("serial", serial),
        ("revision", property("ID_REVISION")),
        ("rotational", rotational),
    ];
    families.gauge("node_disk_info", "What the device is.", &labels, 1.0);
    for ((suffix, help, factor), value) in COLUMNS.iter().zip(&disk.numbers) {
        let name = format!("node_disk_{suffix}");
        let labels = [("device", disk.device)];
        // Divide where the factor is a fraction, so that 1458 ms is 1.458 s to the last digit.
        let value = if *factor < 1.0 { value / MS_PER_SECOND } else { value * factor };
        if *suffix == "io_now" {
            families.gauge(&name, help, &labels, value);
        } else {
            families.counter(&name, help, &labels, value);
        }
    }
}

/// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$` by hand.
pub(super) fn is_left_out(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == device.len() {
        return false;
    }
    if matches!(stem, "ram" | "zram" | "loop" | "fd") {
        return true;
    }
    let letter_disk = ["hd", "sd", "vd", "xvd"].iter().any(|start| {
        stem.strip_prefix(start).is_some_and(|rest| {
            rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    });
    letter_disk || is_nvme_partition_stem(stem)
}

/// Whether the text is `nvme<n>n<n>p`.
fn is_nvme_partition_stem(stem: &str) -> bool {
    let Some(numbers) = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p')) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.split_once('n').is_some_and(|(one, two)| digits(one) && digits(two))
}
