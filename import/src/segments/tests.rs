//! Pages with records over their edges, and with damage.

use std::path::Path;

use journal::disk::SimulatedDisk;

use super::*;

/// Writes records as Prometheus does: in fragments, none over the end of a page.
fn segment(records: &[Vec<u8>], flags: u8) -> Vec<u8> {
    let mut file = Vec::new();
    for record in records {
        let (mut rest, mut is_first) = (record.as_slice(), true);
        loop {
            let left = PAGE_BYTES - file.len() % PAGE_BYTES;
            if left < HEAD_BYTES {
                file.resize(file.len() + left, 0);
                continue;
            }
            let (part, others) = rest.split_at(rest.len().min(left - HEAD_BYTES));
            let kind = match (is_first, others.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            file.push(kind | flags);
            file.extend((part.len() as u16).to_be_bytes());
            file.extend(crc32c::crc32c(part).to_be_bytes());
            file.extend(part);
            (rest, is_first) = (others, false);
            if rest.is_empty() {
                break;
            }
        }
    }
    file
}

fn read(files: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<String>) {
    let disk = SimulatedDisk::new(1).disk();
    let folder = Path::new("/wal");
    disk.create_dir_all(folder).expect("create");
    for (index, bytes) in files.iter().enumerate() {
        let mut file = disk.create(&folder.join(format!("{index:08}"))).expect("create");
        file.append(bytes).expect("write");
    }
    let mut segments = Segments::new(&disk, super::files(&disk, folder, 0).expect("list"));
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    while let Some(next) = segments.next() {
        match next {
            Ok(record) => records.push(record),
            Err(reason) => damage.push(reason),
        }
    }
    (records, damage)
}

fn records() -> Vec<Vec<u8>> {
    let sizes = [1, 100, 30_000, 40_000, 7, 100_000, 3];
    sizes.iter().enumerate().map(|(index, size)| vec![index as u8 + 1; *size]).collect()
}

#[test]
fn records_over_pages_and_files() {
    let all = records();
    let (read_back, damage) = read(&[segment(&all, 0), segment(&all, 0)]);
    assert_eq!(damage, Vec::<String>::new());
    assert_eq!(read_back, [all.clone(), all].concat());
}

#[test]
fn packed_records() {
    let all = records();
    let snappy = |record: &Vec<u8>| snap::raw::Encoder::new().compress_vec(record).expect("pack");
    let packed: Vec<Vec<u8>> = all.iter().map(snappy).collect();
    assert_eq!(read(&[segment(&packed, SNAPPY)]).0, all);
    let zstd = |record: &Vec<u8>| zstd::bulk::compress(record, 3).expect("pack");
    let packed: Vec<Vec<u8>> = all.iter().map(zstd).collect();
    assert_eq!(read(&[segment(&packed, ZSTD)]).0, all);
}

#[test]
fn damage_costs_a_page() {
    let all = records();
    let mut file = segment(&all, 0);
    file[40_000] ^= 1; // In the second page: the record of 40,000 bytes and all that ends there.
    let (read_back, damage) = read(&[file]);
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].contains("the checksum of a fragment is wrong"), "{damage:?}");
    assert_eq!(read_back[..3], all[..3]);
    assert_eq!(read_back[read_back.len() - 1..], all[6..]);
}

#[test]
fn a_torn_end_is_no_damage() {
    let all = records();
    let file = segment(&all, 0);
    for cut in [1, 5, 12, 50_000] {
        let (read_back, damage) = read(&[file[..file.len() - cut].to_vec()]);
        assert_eq!(damage, Vec::<String>::new(), "cut {cut}");
        assert!(read_back.len() < all.len() && all.starts_with(&read_back), "cut {cut}");
    }
    let torn = file[..file.len() - 5].to_vec();
    assert_eq!(read(&[torn, file]).1.len(), 1, "a torn segment in the middle is damage");
}
