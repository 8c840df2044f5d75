//! Software RAID: `/proc/mdstat`.
//!
//! Place in the flow: `/proc/mdstat` → **text to families** → `host`.
//!
//! Not here: hardware controllers, ZFS.

use crate::families::Families;

use super::files::Files;

const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

pub(super) fn collect(files: &Files, families: &mut Families) -> Result<(), String> {
    map(&files.proc("mdstat")?, families);
    Ok(())
}

/// One array, as the lines below `md0 : …` tell it.
struct Array<'t> {
    device: &'t str,
    state: &'static str,
    failed: f64,
    spare: f64,
    listed: f64,
    /// `[2/1]`: how many there should be and how many work.
    counts: Option<(f64, f64)>,
    blocks: f64,
    blocks_synced: f64,
}

pub(super) fn map(text: &str, families: &mut Families) {
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some((device, members)) = line.split_once(" : ") else { continue };
        if !device.starts_with("md") {
            continue;
        }
        let details = lines[index + 1..].iter().take_while(|line| line.starts_with(' '));
        let array = parse(device, members, details.copied());
        map_array(&array, families);
    }
}

fn parse<'t>(
    device: &'t str,
    members: &'t str,
    details: impl Iterator<Item = &'t str>,
) -> Array<'t> {
    let disks = || members.split_ascii_whitespace().filter(|word| word.contains('['));
    let marked = |mark: &str| disks().filter(|word| word.ends_with(mark)).count() as f64;
    let mut array = Array {
        device,
        state: if members.starts_with("active") { "active" } else { "inactive" },
        failed: marked("(F)"),
        spare: marked("(S)"),
        listed: disks().count() as f64,
        counts: None,
        blocks: 0.0,
        blocks_synced: 0.0,
    };
    for line in details {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let Some(place) = words.iter().position(|word| *word == "blocks") {
            let before = place.checked_sub(1).and_then(|place| words[place].parse().ok());
            array.blocks = before.unwrap_or(0.0);
            array.blocks_synced = array.blocks;
            array.counts = words.iter().find_map(|word| bracketed_pair(word, '[', ']'));
        }
        for (mark, state) in [("recovery", "recovering"), ("resync", "resync"), ("check", "check")]
        {
            if array.state != "inactive" && words.contains(&mark) {
                array.state = state;
            }
        }
        if let Some((synced, _)) = words.iter().find_map(|word| bracketed_pair(word, '(', ')')) {
            array.blocks_synced = synced;
        }
    }
    array
}

/// `[2/1]` or `(100/200)`.
fn bracketed_pair(word: &str, open: char, close: char) -> Option<(f64, f64)> {
    let (one, two) = word.strip_prefix(open)?.strip_suffix(close)?.split_once('/')?;
    Some((one.parse().ok()?, two.parse().ok()?))
}

fn map_array(array: &Array<'_>, families: &mut Families) {
    let device = ("device", array.device);
    for state in STATES {
        let labels = [device, ("state", state)];
        let value = f64::from(u8::from(array.state == state));
        families.gauge("node_md_state", "State of the array.", &labels, value);
    }
    let working = array.listed - array.failed - array.spare;
    let (required, active) = array.counts.unwrap_or((working, working));
    let counts = [("active", active), ("failed", array.failed), ("spare", array.spare)];
    for (state, count) in counts {
        let labels = [device, ("state", state)];
        families.gauge("node_md_disks", "Disks of the array by state.", &labels, count);
    }
    families.gauge("node_md_disks_required", "Disks it should have.", &[device], required);
    families.gauge("node_md_blocks", "Blocks of the array.", &[device], array.blocks);
    let help = "Blocks that are in step.";
    families.gauge("node_md_blocks_synced", help, &[device], array.blocks_synced);
}
