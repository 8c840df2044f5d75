//! Dashboard: hosts. A catalogue.

use super::dashboard::Kind::{Graph, Stack, Stat, Table};
use super::dashboard::{Dashboard, Row, panel};

/// The description.
pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "belfry-host",
        title: "Hosts",
        tag: "host",
        anchor: "node_uname_info",
        variables: &[],
        rows: vec![well(), processor(), memory(), disk(), network(), exporter()],
    }
}

fn well() -> Row {
    let panels = vec![
        panel(Stat, ("Hosts up", "Hosts that answered the last scrape."), "short", &[("sum(up{@})", "")]),
        panel(Stat, ("CPU used", "Share of CPU time that was not idle, all hosts together."), "percent", &[
            ("100 * (1 - avg(rate(node_cpu_seconds_total{@, mode=\"idle\"}[$__rate_interval])))", ""),
        ]).alarm(80.0, 95.0),
        panel(Stat, ("Least memory available", "The host with the least memory left."), "percent", &[
            ("min(100 * node_memory_MemAvailable_bytes{@} / (node_memory_MemTotal_bytes{@} > 0))", ""),
        ]).alarm(15.0, 5.0),
        panel(Stat, ("Fullest disk", "The file system with the least space left."), "percent", &[
            ("100 - min(100 * node_filesystem_avail_bytes{@} / (node_filesystem_size_bytes{@} > 0))", ""),
        ]).alarm(90.0, 97.0),
        panel(Stat, ("Load per core", "The busiest host's load of one minute, by its cores."), "short", &[
            ("max(node_load1{@} / on (instance, job) count by (instance, job) (node_cpu_seconds_total{@, mode=\"idle\"}))", ""),
        ]).alarm(1.0, 2.0),
        panel(Stat, ("Longest up", "Time since the last start of the host that runs longest."), "s", &[
            ("max(node_time_seconds{@} - node_boot_time_seconds{@})", ""),
        ]),
    ];
    Row { title: "Are they well?", panels }
}

fn processor() -> Row {
    let panels = vec![
        panel(
            Stack,
            ("CPU time by mode", "What the cores spent their time on; idle is left out."),
            "percentunit",
            &[(
                "sum by (mode) (rate(node_cpu_seconds_total{@, mode!=\"idle\"}[$__rate_interval])) / scalar(count(node_cpu_seconds_total{@, mode=\"idle\"}))",
                "{{mode}}",
            )],
        ),
        panel(
            Graph,
            ("Load", "Processes that run or wait, averaged over 1, 5 and 15 minutes."),
            "short",
            &[
                ("node_load1{@}", "{{instance}} 1 m"),
                ("node_load5{@}", "{{instance}} 5 m"),
                ("node_load15{@}", "{{instance}} 15 m"),
            ],
        ),
        panel(
            Graph,
            (
                "Context switches and interrupts per second",
                "Many of them mean many small pieces of work.",
            ),
            "ops",
            &[
                ("rate(node_context_switches_total{@}[$__rate_interval])", "{{instance}} switches"),
                ("rate(node_intr_total{@}[$__rate_interval])", "{{instance}} interrupts"),
            ],
        ),
        panel(
            Graph,
            ("Processes", "Processes that run and that wait for a disk."),
            "short",
            &[
                ("node_procs_running{@}", "{{instance}} running"),
                ("node_procs_blocked{@}", "{{instance}} blocked"),
            ],
        ),
    ];
    Row { title: "Processor", panels }
}

fn memory() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Memory", "All there is, and what programs still can have."),
            "bytes",
            &[
                ("node_memory_MemTotal_bytes{@}", "{{instance}} total"),
                ("node_memory_MemAvailable_bytes{@}", "{{instance}} available"),
            ],
        ),
        panel(
            Graph,
            ("Swap used", "Memory that was moved to disk; growing means too little memory."),
            "bytes",
            &[("node_memory_SwapTotal_bytes{@} - node_memory_SwapFree_bytes{@}", "{{instance}}")],
        ),
        panel(
            Graph,
            ("Cached", "Memory that holds files and goes back to programs when they need it."),
            "bytes",
            &[
                ("node_memory_Cached_bytes{@}", "{{instance}} cached"),
                ("node_memory_Buffers_bytes{@}", "{{instance}} buffers"),
            ],
        ),
        panel(
            Graph,
            ("Page faults from disk per second", "Each waits for a disk."),
            "ops",
            &[("rate(node_vmstat_pgmajfault{@}[$__rate_interval])", "{{instance}}")],
        ),
    ];
    Row { title: "Memory", panels }
}

fn disk() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Space used", "Share of each file system that is used."),
            "percent",
            &[(
                "100 - 100 * node_filesystem_avail_bytes{@} / (node_filesystem_size_bytes{@} > 0)",
                "{{instance}} {{mountpoint}}",
            )],
        ),
        panel(
            Graph,
            ("Inodes free", "Share of files that still can be made."),
            "percent",
            &[(
                "100 * node_filesystem_files_free{@} / (node_filesystem_files{@} > 0)",
                "{{instance}} {{mountpoint}}",
            )],
        ),
        panel(
            Table,
            ("File systems", "Space that is left, the fullest first."),
            "bytes",
            &[("sort(node_filesystem_avail_bytes{@})", "")],
        ),
    ];
    Row { title: "Disk", panels }
}

fn network() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Received per second", "By interface, without the loopback."),
            "Bps",
            &[(
                "rate(node_network_receive_bytes_total{@, device!=\"lo\"}[$__rate_interval]) or rate(node_network_receive_bytes_total{@}[$__rate_interval])",
                "{{instance}} {{device}}",
            )],
        ),
        panel(
            Graph,
            ("Sent per second", "By interface, without the loopback."),
            "Bps",
            &[(
                "rate(node_network_transmit_bytes_total{@, device!=\"lo\"}[$__rate_interval]) or rate(node_network_transmit_bytes_total{@}[$__rate_interval])",
                "{{instance}} {{device}}",
            )],
        ),
        panel(
            Graph,
            ("Errors per second", "Packets that were broken."),
            "pps",
            &[
                (
                    "rate(node_network_receive_errs_total{@}[$__rate_interval])",
                    "{{instance}} {{device}} in",
                ),
                (
                    "rate(node_network_transmit_errs_total{@}[$__rate_interval])",
                    "{{instance}} {{device}} out",
                ),
            ],
        ),
        panel(
            Graph,
            ("TCP connections", "Connections that are established now."),
            "short",
            &[("node_netstat_Tcp_CurrEstab{@}", "{{instance}}")],
        ),
    ];
    Row { title: "Network", panels }
}

fn exporter() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Scrape time", "How long reading the host takes."),
            "s",
            &[("scrape_duration_seconds{@}", "{{instance}}")],
        ),
        panel(
            Graph,
            ("Samples per scrape", "How much each host tells."),
            "short",
            &[("scrape_samples_scraped{@}", "{{instance}}")],
        ),
    ];
    Row { title: "About the exporter", panels }
}
