//! Pages read in leaps say what they say when they are read byte by byte.

use model::MetricKind;
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::*;
use crate::exposition::text::Lines;

const SEED: u64 = 7;

/// What a page says: of each sample its raw series, bits, time and kind; or where it is wrong.
type Told = Result<Vec<(Vec<u8>, u64, Option<i64>, MetricKind)>, String>;

/// One target's memory, as the pass keeps it.
#[derive(Default)]
struct Memory {
    tracker: Tracker,
    comments: Comments,
    leaps: usize,
}

impl Memory {
    fn read(&mut self, page: &[u8], format: Format) -> Told {
        self.tracker.begin();
        let is_same_format = self.comments.begin(format);
        let told = self.lines(page, format, is_same_format);
        let mut ended = Vec::new();
        if told.is_ok() {
            self.comments.end();
            self.tracker.end_good(&mut ended);
        } else {
            self.comments = Comments::default();
            self.tracker.end_failed(&mut ended);
        }
        told
    }

    fn lines(&mut self, page: &[u8], format: Format, is_same_format: bool) -> Told {
        let mut lines = Lines::new(page, format);
        let mut told = Vec::new();
        loop {
            let (tracker, comments) = (&self.tracker, &mut self.comments);
            let mut recall = Recall { tracker, comments, seed: SEED, is_same_format, came: None };
            let line = lines.next_line_knowing(&mut recall).map_err(|error| error.to_string())?;
            let came = recall.came;
            let Some(line) = line else { return Ok(told) };
            let key = xxh3_128_with_seed(line.series, SEED);
            if let Some((_, size)) = came.filter(|(_, size)| *size == line.series.len()) {
                assert_eq!(came, Some((key, size)));
                self.leaps += 1;
            }
            let page = self.tracker.page;
            match self.tracker.find(key) {
                Some(entry) => entry.page = page,
                None => _ = self.tracker.add((key, line.series.len()), false),
            }
            let at = line.at.map(|at| at.0);
            told.push((line.series.to_vec(), line.value.to_bits(), at, lines.kind()));
        }
    }
}

fn plainly(page: &[u8], format: Format) -> Told {
    let mut lines = Lines::new(page, format);
    let mut told = Vec::new();
    while let Some(line) = lines.next_line().map_err(|error| error.to_string())? {
        let at = line.at.map(|at| at.0);
        told.push((line.series.to_vec(), line.value.to_bits(), at, lines.kind()));
    }
    Ok(told)
}

/// Lines of pages, some of which begin alike or are wrong.
const LINES: [&str; 24] = [
    "a 1",
    "a 2.5",
    "a -7e3 55",
    "ab 1",
    "a{} 1",
    "a {b=\"c\"} 1",
    "a{b=\"c\"} 1",
    "a{b=\"c\"} 0.1",
    "a{b=\"c}\"} 12345678901234567890.5",
    "a{b=\"c\",d=\"e\"} NaN",
    "{\"a.b\"} 1",
    "a\t1",
    "# HELP a b",
    "# HELP a b ",
    "# TYPE a counter",
    "# TYPE a gauge",
    "# TYPE a histogram",
    "# UNIT a_s s",
    "a_created 1",
    "#",
    "",
    "a{b=\"c\"}",
    "a{b=\"c\"}{ 1",
    "# EOF",
];

proptest! {
    #[test]
    fn leaps_change_nothing(
        pages in proptest::collection::vec(
            (proptest::collection::vec(0..LINES.len(), 0..12), any::<bool>(), 0..4_u8), 1..6),
    ) {
        let mut memory = Memory::default();
        let mut before: Vec<usize> = Vec::new();
        for (lines, is_text, like_before) in pages {
            // Most pages are like the one before, but for a line.
            let lines = if like_before > 0 && !before.is_empty() {
                let mut same = before.clone();
                let at = lines.first().map_or(0, |line| line % same.len());
                same[at] = lines.last().copied().unwrap_or(same[at]);
                same
            } else {
                lines
            };
            let mut page: String = lines.iter().map(|line| format!("{}\n", LINES[*line])).collect();
            let format = if is_text { Format::Text } else { Format::OpenMetrics };
            if !is_text {
                page.push_str("# EOF\n");
            }
            prop_assert_eq!(memory.read(page.as_bytes(), format), plainly(page.as_bytes(), format));
            before = lines;
        }
    }
}

#[test]
fn a_page_like_the_one_before_is_read_in_leaps() {
    let page = |value: usize| {
        let line = |number: usize| match number % 3 {
            0 => format!("# HELP m{number} Help.\n# TYPE m{number} counter\nm{number} {value}\n"),
            _ => format!("m{number}{{l=\"{number}\"}} {value}.5\n"),
        };
        (0..30).map(line).collect::<String>()
    };
    let mut memory = Memory::default();
    for value in 0..3 {
        let page = page(value);
        let told = memory.read(page.as_bytes(), Format::Text);
        assert_eq!(told, plainly(page.as_bytes(), Format::Text));
        assert_eq!(told.unwrap().len(), 30);
        let (news, skipped) = (memory.comments.has_news(), memory.comments.has_skipped());
        assert_eq!((memory.leaps, news, skipped), (30 * value, value == 0, value > 0));
    }
}
