//! Processors and scheduling: `/proc/stat`, load, pressure, the soft interrupt queues.
//!
//! Place in the flow: `/proc` → **text to families** → `host`.
//!
//! Ticks are hundredths of a second on every Linux that Belfry runs on (USER_HZ is part of the
//! kernel's ABI). Guest time is already inside user and nice, so it is a family of its own.
//!
//! Not here: frequencies, topology.

use crate::families::Families;

use super::files::{Files, number};

const TICKS_PER_SECOND: f64 = 100.0;
const CPU_MODES: [&str; 8] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

pub(super) fn collect_cpu(files: &Files, families: &mut Families) -> Result<(), String> {
    map_cpu(&files.proc("stat")?, families)
}

pub(super) fn map_cpu(stat: &str, families: &mut Families) -> Result<(), String> {
    for line in stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else { continue };
        if cpu.is_empty() {
            continue; // The sum over all processors is for the reader to make.
        }
        let ticks: Vec<f64> =
            words.map(|word| number("stat", word)).collect::<Result<_, String>>()?;
        for (mode, value) in CPU_MODES.iter().zip(&ticks) {
            let labels = [("cpu", cpu), ("mode", mode)];
            let help = "Seconds the processor spent in each mode.";
            let seconds = value / TICKS_PER_SECOND;
            families.counter("node_cpu_seconds_total", help, &labels, seconds);
        }
        for (mode, value) in ["user", "nice"].iter().zip(ticks.iter().skip(CPU_MODES.len())) {
            let labels = [("cpu", cpu), ("mode", mode)];
            let help = "Seconds the processor spent in guests; also counted in user and nice.";
            let seconds = value / TICKS_PER_SECOND;
            families.counter("node_cpu_guest_seconds_total", help, &labels, seconds);
        }
    }
    Ok(())
}

pub(super) fn collect_stat(files: &Files, families: &mut Families) -> Result<(), String> {
    map_stat(&files.proc("stat")?, families)
}

pub(super) fn map_stat(stat: &str, families: &mut Families) -> Result<(), String> {
    for line in stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(word)) = (words.next(), words.next()) else { continue };
        let (name, help, grows) = match key {
            "intr" => ("node_intr_total", "Interrupts served.", true),
            "ctxt" => ("node_context_switches_total", "Context switches.", true),
            "processes" => ("node_forks_total", "Forks.", true),
            "btime" => ("node_boot_time_seconds", "When the machine started.", false),
            "procs_running" => ("node_procs_running", "Processes ready to run.", false),
            "procs_blocked" => ("node_procs_blocked", "Processes waiting for a disk.", false),
            _ => continue,
        };
        let value = number("stat", word)?;
        if grows {
            families.counter(name, help, &[], value);
        } else {
            families.gauge(name, help, &[], value);
        }
    }
    Ok(())
}

pub(super) fn collect_loadavg(files: &Files, families: &mut Families) -> Result<(), String> {
    map_loadavg(&files.proc("loadavg")?, families)
}

pub(super) fn map_loadavg(text: &str, families: &mut Families) -> Result<(), String> {
    let words = text.split_ascii_whitespace();
    let names = [("node_load1", "1"), ("node_load5", "5"), ("node_load15", "15")];
    for ((name, minutes), word) in names.iter().zip(words) {
        let help = format!("Load average over {minutes} min.");
        families.gauge(name, &help, &[], number("loadavg", word)?);
    }
    Ok(())
}

pub(super) fn collect_pressure(files: &Files, families: &mut Families) -> Result<(), String> {
    let mut read = 0;
    for resource in ["cpu", "io", "memory", "irq"] {
        if let Ok(text) = files.proc(&format!("pressure/{resource}")) {
            map_pressure(resource, &text, families)?;
            read += 1;
        }
    }
    if read == 0 { Err("this kernel tells no pressure".to_owned()) } else { Ok(()) }
}

pub(super) fn map_pressure(
    resource: &str,
    text: &str,
    families: &mut Families,
) -> Result<(), String> {
    for line in text.lines() {
        let suffix = match (resource, line.split_ascii_whitespace().next()) {
            ("irq", Some("full")) => "stalled",
            ("irq", _) | ("cpu", Some("full")) => continue, // Always zero for the whole machine.
            (_, Some("some")) => "waiting",
            (_, Some("full")) => "stalled",
            _ => continue,
        };
        let Some((_, total)) = line.rsplit_once("total=") else { continue };
        let name = format!("node_pressure_{resource}_{suffix}_seconds_total");
        let help = format!("Seconds in which tasks were {suffix} for {resource}.");
        families.counter(&name, &help, &[], number("pressure", total)? / 1e6);
    }
    Ok(())
}

pub(super) fn collect_schedstat(files: &Files, families: &mut Families) -> Result<(), String> {
    map_schedstat(&files.proc("schedstat")?, families)
}

pub(super) fn map_schedstat(text: &str, families: &mut Families) -> Result<(), String> {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else { continue };
        let numbers: Vec<f64> =
            words.map(|word| number("schedstat", word)).collect::<Result<_, String>>()?;
        let [.., running_ns, waiting_ns, slices] = numbers[..] else { continue };
        let labels = [("cpu", cpu)];
        let name = "node_schedstat_running_seconds_total";
        families.counter(name, "Seconds spent running tasks.", &labels, running_ns / 1e9);
        let name = "node_schedstat_waiting_seconds_total";
        families.counter(name, "Seconds tasks waited to run.", &labels, waiting_ns / 1e9);
        let name = "node_schedstat_timeslices_total";
        families.counter(name, "Time slices run.", &labels, slices);
    }
    Ok(())
}

pub(super) fn collect_softnet(files: &Files, families: &mut Families) -> Result<(), String> {
    map_softnet(&files.proc("net/softnet_stat")?, families)
}

/// Columns are hexadecimal and stand for processors in order; newer kernels tell the number.
pub(super) fn map_softnet(text: &str, families: &mut Families) -> Result<(), String> {
    for (index, line) in text.lines().enumerate() {
        let columns: Vec<f64> = line
            .split_ascii_whitespace()
            .map(|word| u32::from_str_radix(word, 16).map(f64::from))
            .collect::<Result<_, _>>()
            .map_err(|_| format!("softnet_stat: {line:?} is not hexadecimal"))?;
        let cpu = columns.get(12).map_or(index.to_string(), |number| number.to_string());
        let labels = [("cpu", cpu.as_str())];
        let counters = [
            (0, "node_softnet_processed_total", "Packets processed."),
            (1, "node_softnet_dropped_total", "Packets dropped: the queue was full."),
            (2, "node_softnet_times_squeezed_total", "Times that work was left undone."),
            (9, "node_softnet_received_rps_total", "Times woken to process packets."),
            (10, "node_softnet_flow_limit_count_total", "Times the flow limit was reached."),
        ];
        for (column, name, help) in counters {
            if let Some(value) = columns.get(column) {
                families.counter(name, help, &labels, *value);
            }
        }
        if let Some(length) = columns.get(11) {
            let help = "Packets waiting in the queue.";
            families.gauge("node_softnet_backlog_len", help, &labels, *length);
        }
    }
    Ok(())
}
