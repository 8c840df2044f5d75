//! The host exporter against a fixture tree, Debian's node_exporter, and mounts that do not answer.

use std::collections::BTreeSet;
use std::process::Command;

use model::clock::ManualClock;
use model::{MetricKind, TimestampMs};

use super::*;
use crate::config::Pace;
use crate::testing::{
    Running, check_pack, data, data_text, fetch, free_port, names, page_series, series,
    wait_for_port,
};

fn fixture() -> Files {
    let root = data("host/root");
    Files::new(HostPaths { proc: root.join("proc"), sys: root.join("sys"), rootfs: root })
}

/// Families that node_exporter 1.5 writes and ours does not, each with its reason.
fn is_other_collector(series: &str) -> bool {
    let others = [
        "go_",
        "process_",
        "promhttp_",
        "backup_", // Not the host.
        "node_exporter_build_info",
        "node_scrape_collector",
        "node_textfile_",
        "node_hwmon_",
        "node_selinux_",
        "node_cpu_info",
        "node_dmi_",
        "node_systemd_",
        "node_timex_",
        "node_time_clocksource",
        "node_time_zone",
        "node_cpu_frequency",
        "node_cpu_scaling",
        "node_cpu_core_throttles",
        "node_cpu_package_throttles",
        "node_edac_",
    ];
    others.iter().any(|start| series.starts_with(start))
}

#[test]
fn the_fixture_tree_gives_what_node_exporter_gives() {
    let (families, _) = read_kernel(&fixture());
    let ours = series(&families.into_list());
    let theirs = page_series(&data_text("host/node_exporter-1.5.0.prom"));
    let mut missing = Vec::new();
    for (key, value) in theirs.iter().filter(|(key, _)| !is_other_collector(key)) {
        // The administrative state came to the info series after 1.5.
        let found = match key.strip_prefix("node_network_info{address") {
            Some(rest) => {
                let key = format!("node_network_info{{address{rest}");
                ours.iter().find(|(own, _)| own.replace("adminstate=\"up\", ", "") == key)
            }
            None => ours.get_key_value(key),
        };
        match found {
            Some((_, own)) if (own - value).abs() <= value.abs() * 1e-12 => {}
            other => missing.push(format!("{key} {value} is {other:?}")),
        }
    }
    assert_eq!(missing, [""; 0]);
    assert_eq!(
        ours["node_cpu_seconds_total{cpu=\"0\", mode=\"user\"}"],
        theirs["node_cpu_seconds_total{cpu=\"0\", mode=\"user\"}"]
    );
}

#[track_caller]
fn check_kind(families: &[Family], name: &str, kind: MetricKind) {
    let family = families.iter().find(|family| family.name == name).expect(name);
    assert_eq!(family.kind, kind, "{name}");
}

#[test]
fn kinds_are_those_of_node_exporter() {
    let (families, _) = read_kernel(&fixture());
    let families = families.into_list();
    check_kind(&families, "node_cpu_seconds_total", MetricKind::Counter);
    check_kind(&families, "node_disk_io_now", MetricKind::Gauge);
    check_kind(&families, "node_disk_io_time_seconds_total", MetricKind::Counter);
    check_kind(&families, "node_memory_MemTotal_bytes", MetricKind::Gauge);
    check_kind(&families, "node_vmstat_pgfault", MetricKind::Unknown);
    check_kind(&families, "node_netstat_Tcp_InSegs", MetricKind::Unknown);
    check_kind(&families, "node_network_carrier_changes_total", MetricKind::Counter);
}

#[track_caller]
fn check_disk(device: &str, left_out: bool) {
    assert_eq!(disk::is_left_out(device), left_out, "{device}");
}

#[test]
fn partitions_and_memory_disks_are_left_out() {
    for device in ["sda1", "vdb12", "xvda1", "nvme0n1p2", "loop7", "ram0", "zram0", "fd0"] {
        check_disk(device, true);
    }
    for device in ["sda", "nvme0n1", "nvme10n1", "md0", "dm-3", "sr0", "sdaa", "mmcblk0"] {
        check_disk(device, false);
    }
}

#[test]
fn mounts_are_unescaped_and_pseudo_file_systems_left_out() {
    let mounts = filesystem::parse(&data_text("host/root/proc/1/mounts"));
    let shown: Vec<(&str, &str, bool)> = mounts
        .iter()
        .map(|mount| (mount.device.as_str(), mount.mountpoint.as_str(), mount.read_only))
        .collect();
    assert_eq!(
        shown,
        [
            ("/dev/sda2", "/", false),
            ("/dev/sda1", "/boot/efi", false),
            ("/dev/sdb1", "/var/lib/postgresql", false),
            ("tmpfs", "/run", false),
            ("10.0.0.5:/export", "/mnt/nfs", false),
            ("/dev/sdc1", "/mnt/with space", true),
        ]
    );
}

#[test]
fn a_mount_that_failed_shows_its_error_and_no_size() {
    let mount = filesystem::parse("srv:/x /mnt/nfs nfs4 rw 0 0\n").remove(0);
    let space = Err("mountpoint timeout".to_owned());
    let mut families = Families::new();
    filesystem::map(&[filesystem::Mounted { mount, space }], &mut families);
    let labels = "device=\"srv:/x\", device_error=\"mountpoint timeout\", fstype=\"nfs4\", \
                  mountpoint=\"/mnt/nfs\"";
    let expected = [
        (format!("node_filesystem_device_error{{{labels}}}"), 1.0),
        (format!("node_filesystem_readonly{{{labels}}}"), 0.0),
    ];
    assert_eq!(series(&families.into_list()), expected.into());
}

#[tokio::test]
async fn a_mount_that_hangs_costs_one_thread_and_comes_back() {
    let mounts = Mounts::new("/".into());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let long = Duration::from_secs(30);
    let timed_out = Err("mountpoint timeout".to_owned());
    let hangs = mounts.ask_by("/mnt/nfs", Duration::from_millis(50), move || {
        held.recv_timeout(long).map_err(|error| error.to_string())?;
        Err("too late".to_owned())
    });
    assert_eq!(hangs.await, timed_out);
    let second = mounts.ask_by("/mnt/nfs", long, || panic!("the first has not come back"));
    assert_eq!(second.await, timed_out);
    release.send(()).expect("the first still waits");
    let empty = || Err("asked again".to_owned());
    let started = Instant::now();
    while mounts.ask_by("/mnt/nfs", long, empty).await == timed_out {
        assert!(started.elapsed() < long, "the mount never came back");
        tokio::task::yield_now().await;
    }
}

#[track_caller]
fn check_raid(mdstat: &str, expected: &[(&str, f64)]) {
    let mut families = Families::new();
    raid::map(mdstat, &mut families);
    let ours = series(&families.into_list());
    for (key, value) in expected {
        assert_eq!(ours.get(*key), Some(value), "{key}");
    }
}

#[test]
fn an_array_under_repair() {
    let mdstat = "Personalities : [raid1] [raid6]\n\
        md1 : active raid6 sdd[3](S) sdc[4] sdb[1] sda[0]\n\
        \u{20}     3906 blocks super 1.2 level 6, 64k chunk [3/2] [UU_]\n\
        \u{20}     [==>....]  recovery = 12.6% (37043/292945) finish=127.5min speed=33440K/sec\n\
        \u{20}     \n\
        md2 : inactive sde[0](S)\n      100 blocks super 1.2\n";
    check_raid(
        mdstat,
        &[
            ("node_md_state{device=\"md1\", state=\"recovering\"}", 1.0),
            ("node_md_state{device=\"md1\", state=\"active\"}", 0.0),
            ("node_md_disks{device=\"md1\", state=\"active\"}", 2.0),
            ("node_md_disks{device=\"md1\", state=\"spare\"}", 1.0),
            ("node_md_disks_required{device=\"md1\"}", 3.0),
            ("node_md_blocks_synced{device=\"md1\"}", 37043.0),
            ("node_md_state{device=\"md2\", state=\"inactive\"}", 1.0),
        ],
    );
}

#[test]
fn a_process_name_may_hold_anything() {
    let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 12 0 100 5 6";
    assert_eq!(system::parse_process_stat(stat), Some(("S", 12.0)));
    assert_eq!(system::parse_process_stat("7 nonsense"), None);
}

#[tokio::test]
async fn an_absent_tree_is_no_error_and_every_collector_says_so() {
    let nowhere = tempfile::tempdir().expect("temp dir");
    let config = HostConfig {
        proc: nowhere.path().join("proc"),
        sys: nowhere.path().join("sys"),
        rootfs: nowhere.path().to_owned(),
        ..HostConfig::default()
    };
    let clock = Arc::new(ManualClock::new(TimestampMs(1_795_170_000_500)));
    let ours = series(&HostExporter::new(&config, clock).collect().await.expect("families"));
    assert_eq!(ours["node_scrape_collector_success{collector=\"cpu\"}"], 0.0);
    assert_eq!(ours["node_scrape_collector_success{collector=\"filesystem\"}"], 0.0);
    assert_eq!(ours["node_scrape_collector_success{collector=\"uname\"}"], 1.0);
    assert_eq!(ours["node_time_seconds"], 1_795_170_000.5);
}

/// The same machine at the same time, seen by Debian's exporter and by ours: same names and labels.
#[tokio::test]
async fn debian_node_exporter_shows_the_same_series() {
    let port = free_port();
    let exporter = Running::start(
        Command::new("prometheus-node-exporter").args([
            format!("--web.listen-address=127.0.0.1:{port}").as_str(),
            // Debian changed these defaults; these are the upstream ones.
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            "--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
            "--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$",
            "--collector.netdev.device-exclude=^$",
            "--collector.processes",
        ]),
        "prometheus-node-exporter",
    );
    wait_for_port(port);
    let theirs = page_series(&fetch(port, "/metrics"));
    exporter.stop();
    let config = HostConfig { pace: Pace::default(), ..HostConfig::default() };
    let exporter = HostExporter::new(&config, Arc::new(model::clock::SystemClock));
    let ours = series(&exporter.collect().await.expect("families"));

    // Threads by state need one file per thread; a process state may come and go between the two.
    let not_compared = |key: &str| {
        is_other_collector(key)
            || key.starts_with("node_processes_threads_state")
            || key.starts_with("node_processes_state")
            || key.starts_with("node_network_info")
            || key.starts_with("node_disk_info")
    };
    let keys = |page: &std::collections::BTreeMap<String, f64>| -> BTreeSet<String> {
        page.keys().filter(|key| !not_compared(key)).cloned().collect()
    };
    let (theirs, ours) = (keys(&theirs), keys(&ours));
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "node_exporter has and we have not: {missing:#?}");
    // Names that came after 1.5.0.
    let newer = ["node_softnet_", "node_pressure_irq", "node_netstat_TcpExt_TCP"];
    let extra: Vec<&String> = ours
        .difference(&theirs)
        .filter(|key| !newer.iter().any(|start| key.starts_with(start)))
        .collect();
    assert!(extra.is_empty(), "we have and node_exporter has not: {extra:#?}");
}

#[test]
fn the_alarm_pack_uses_only_names_that_are_emitted() {
    let (mut families, _) = read_kernel(&fixture());
    let mount = filesystem::parse("/dev/sda1 / ext4 rw 0 0\n").remove(0);
    let space = filesystem::Space {
        size_bytes: 9.0,
        free_bytes: 5.0,
        avail_bytes: 4.0,
        files: 3.0,
        files_free: 2.0,
    };
    filesystem::map(&[filesystem::Mounted { mount, space: Ok(space) }], &mut families);
    check_pack("host", "node_", &names(&series(&families.into_list())));
}
