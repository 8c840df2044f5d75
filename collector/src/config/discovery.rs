//! The discovery blocks of a job.
//!
//! Place in the flow: YAML → **`static_groups`**, **`files`** → `discovery`.
//!
//! Kinds that upstream has and we have not are refused by name, so that nobody waits for targets
//! that never come.
//!
//! Not here: reading target files (`discovery::file`).

use std::path::PathBuf;
use std::sync::Arc;

use model::fields::Fields;

use crate::discovery::group;
use crate::target::Group;

/// How often files are read again unless told otherwise. Changes are seen sooner.
const REFRESH_MS: u64 = 5 * 60_000;

/// One block of `file_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileDiscovery {
    /// Paths; the last part may hold `*`.
    pub patterns: Vec<PathBuf>,
    /// How often the files are read again at the latest.
    pub refresh_interval_ms: u64,
}

/// Kinds of discovery that upstream knows and we do not (yet).
const OTHER_KINDS: [&str; 31] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// The targets of `static_configs`.
pub(super) fn static_groups(fields: &mut Fields<'_>, classic_names: bool) -> Vec<Arc<Group>> {
    let problems = fields.problems();
    let mut groups = Vec::new();
    for (path, node) in fields.list("static_configs") {
        if node.is_null() {
            problems.add(node, &path, "the list of targets is empty; remove it or write one");
            continue;
        }
        groups.push(Arc::new(group::read(Fields::new(node, &path, problems), classic_names)));
    }
    groups
}

/// The blocks of `file_sd_configs`.
pub(super) fn files(fields: &mut Fields<'_>) -> Vec<FileDiscovery> {
    let problems = fields.problems();
    let mut blocks = Vec::new();
    for (path, node) in fields.list("file_sd_configs") {
        let mut block = Fields::new(node, &path, problems);
        let names = block.texts("files").unwrap_or_default();
        if names.is_empty() {
            block.problem("files", "is required; name at least one file");
        }
        for name in &names {
            let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
            let ending = [".json", ".yml", ".yaml"].iter().any(|end| last.ends_with(end));
            if folder.contains('*') || last.matches('*').count() > 1 || !ending {
                let message = format!(
                    "{name:?} must end in .json, .yml or .yaml, with at most one * in its last part"
                );
                block.problem("files", message);
            }
        }
        let refresh_ms = block.duration_ms("refresh_interval").filter(|ms| *ms > 0);
        block.finish();
        blocks.push(FileDiscovery {
            patterns: names.iter().map(|name| super::resolved(problems, name)).collect(),
            refresh_interval_ms: refresh_ms.unwrap_or(REFRESH_MS),
        });
    }
    blocks
}

/// Refuses discovery of any other kind by its name.
pub(super) fn refuse_others(fields: &mut Fields<'_>) {
    for key in OTHER_KINDS {
        if fields.has(key) {
            let kind = key.trim_end_matches("_sd_configs");
            let message = format!(
                "discovery of the kind {kind:?} is not supported yet; use static_configs or \
                 file_sd_configs"
            );
            fields.problem(key, message);
        }
    }
}
