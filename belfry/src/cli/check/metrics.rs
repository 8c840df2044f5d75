//! `belfry check metrics`: what is unusual about the names of a page, in promtool's words.
//!
//! Place in the flow: standard input → [`collector::exposition`] → families → **lint** → lines on
//! standard error, `metric problem` each; with `--extended` a table of how many series each has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::process::ExitCode;

use collector::exposition::text::Lines;
use collector::exposition::{Format, series};
use model::MetricKind;

use super::LINT_CODE;
use crate::cli::{fail, note, say};

/// Longest page, as of a scrape.
const PAGE_BYTES_MAX: u64 = model::limits::SCRAPE_BODY_BYTES_MAX as u64;

/// Units that names should hold, and those that stand for them.
const UNITS: [(&str, &str); 24] = [
    ("amperes", "amperes"),
    ("bytes", "bytes"),
    ("celsius", "celsius"),
    ("grams", "grams"),
    ("joules", "joules"),
    ("kelvin", "kelvin"),
    ("meters", "meters"),
    ("metres", "metres"),
    ("seconds", "seconds"),
    ("volts", "volts"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("weeks", "seconds"),
    ("kelvins", "kelvin"),
    ("fahrenheit", "celsius"),
    ("rankine", "celsius"),
    ("inches", "meters"),
    ("yards", "meters"),
    ("miles", "meters"),
    ("bits", "bytes"),
    ("calories", "joules"),
    ("pounds", "grams"),
    ("ounces", "grams"),
];

/// What stands before units.
const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega",
    "mibi", "giga", "gibi", "tera", "tebi", "peta", "pebi",
];

/// Units that should be written out.
const ABBREVIATIONS: [&str; 14] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

/// One family of a page.
#[derive(Debug, Default)]
struct Family {
    has_help: bool,
    kind: Option<MetricKind>,
    /// Labels of each metric, without the bucket's or quantile's own.
    metrics: BTreeSet<Vec<(String, String)>>,
    /// Series, buckets and sums included.
    count: usize,
}

impl Family {
    fn is(&self, kind: MetricKind) -> bool {
        self.kind == Some(kind)
    }
}

type Families = BTreeMap<String, Family>;

/// Reads standard input.
pub fn run(extended: bool) -> ExitCode {
    let mut page = Vec::new();
    if let Err(error) = std::io::stdin().take(PAGE_BYTES_MAX + 1).read_to_end(&mut page) {
        return fail(&format!("error while linting: read standard input: {error}"));
    }
    if page.len() as u64 > PAGE_BYTES_MAX {
        return fail(&format!("error while linting: the page exceeds {PAGE_BYTES_MAX} bytes"));
    }
    let families = match families(&page) {
        Ok(families) => families,
        Err(error) => return fail(&format!("error while linting: {error}")),
    };
    let problems = lint(&families);
    problems.iter().for_each(|(metric, text)| note(&format!("{metric} {text}")));
    if extended {
        _ = say(&cardinality(&families));
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LINT_CODE) }
}

/// The families of a page, by name.
fn families(page: &[u8]) -> Result<Families, String> {
    let is_open_metrics = page.trim_ascii_end().ends_with(b"# EOF");
    let format = if is_open_metrics { Format::OpenMetrics } else { Format::Text };
    let mut families = Families::new();
    let mut lines = Lines::new(page, format);
    while lines.next_line().map_err(|error| error.to_string())?.is_some() {}
    for raw in lines.families() {
        let family = families.entry(String::from_utf8_lossy(raw.name).into_owned()).or_default();
        family.has_help |= !raw.help.is_empty();
        family.kind = family.kind.or(raw.kind);
    }
    let mut pairs = Vec::new();
    let mut lines = Lines::new(page, format);
    while let Some(line) = lines.next_line().map_err(|error| error.to_string())? {
        let error = |reason: String| format!("line {} of the page: {reason}", lines.sample_line());
        series::labels(line.series, format, lines.kind(), &mut pairs).map_err(error)?;
        let name = pairs.first().map(|(_, name)| name.to_string()).unwrap_or_default();
        let owner = owner(&families, &name);
        let family = families.entry(owner).or_default();
        family.count += 1;
        let own = match family.kind {
            Some(MetricKind::Histogram) => "le",
            Some(MetricKind::Summary) => "quantile",
            _ => "",
        };
        // The parts of one histogram have the same labels otherwise, and are one metric.
        let others = pairs.iter().skip(1).filter(|(name, _)| name.as_ref() != own);
        let mut labels: Vec<(String, String)> =
            others.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        labels.sort();
        family.metrics.insert(labels);
    }
    Ok(families)
}

/// The family that a series belongs to.
fn owner(families: &Families, name: &str) -> String {
    let kinds: [(&str, &[MetricKind]); 4] = [
        ("_bucket", &[MetricKind::Histogram]),
        ("_sum", &[MetricKind::Histogram, MetricKind::Summary]),
        ("_count", &[MetricKind::Histogram, MetricKind::Summary]),
        ("_total", &[MetricKind::Counter]),
    ];
    let belongs = |(suffix, kinds): &(&str, &[MetricKind])| {
        let base = name.strip_suffix(suffix)?;
        let kind = families.get(base)?.kind?;
        kinds.contains(&kind).then(|| base.to_owned())
    };
    kinds.iter().find_map(belongs).unwrap_or_else(|| name.to_owned())
}

/// What is unusual, sorted by metric.
fn lint(families: &Families) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, family) in families.iter().filter(|(_, family)| family.count > 0) {
        let mut texts: Vec<String> = Vec::new();
        if !family.has_help {
            texts.push("no help text".to_owned());
        }
        if let Some((unit, base)) = unit(name).filter(|(unit, base)| unit != base) {
            texts.push(format!("use base unit {base:?} instead of {unit:?}"));
        }
        texts.extend(suffixes(name, family));
        texts.extend(kind_in_name(name));
        if name.contains(':') {
            texts.push("metric names should not contain ':'".to_owned());
        }
        if is_camel_case(name) {
            texts.push("metric names should be written in 'snake_case' not 'camelCase'".to_owned());
        }
        for _ in family.metrics.iter().flatten().filter(|(label, _)| is_camel_case(label)) {
            texts.push("label names should be written in 'snake_case' not 'camelCase'".to_owned());
        }
        let lower = name.to_lowercase();
        for short in ABBREVIATIONS {
            if is_part(&lower, short) {
                texts.push("metric names should not contain abbreviated units".to_owned());
            }
        }
        texts.sort();
        found.extend(texts.into_iter().map(|text| (name.clone(), text)));
    }
    found
}

/// Endings and labels that belong to other kinds. Of an untyped metric nothing is known.
fn suffixes(name: &str, family: &Family) -> Vec<String> {
    let mut texts = Vec::new();
    let Some(kind) = family.kind.filter(|kind| *kind != MetricKind::Unknown) else { return texts };
    let (is_histogram, is_summary) =
        (family.is(MetricKind::Histogram), family.is(MetricKind::Summary));
    match (kind == MetricKind::Counter, name.ends_with("_total")) {
        (true, false) => texts.push("counter metrics should have \"_total\" suffix".to_owned()),
        (false, true) => {
            texts.push("non-counter metrics should not have \"_total\" suffix".to_owned());
        }
        _ => {}
    }
    let mut not = |wrong: bool, text: &str| texts.extend(wrong.then(|| text.to_owned()));
    not(
        !is_histogram && name.ends_with("_bucket"),
        "non-histogram metrics should not have \"_bucket\" suffix",
    );
    for suffix in ["_count", "_sum"] {
        let text =
            format!("non-histogram and non-summary metrics should not have {suffix:?} suffix");
        not(!is_histogram && !is_summary && name.ends_with(suffix), &text);
    }
    for (label, _) in family.metrics.iter().flatten() {
        not(!is_histogram && label == "le", "non-histogram metrics should not have \"le\" label");
        not(
            !is_summary && label == "quantile",
            "non-summary metrics should not have \"quantile\" label",
        );
    }
    texts
}

fn kind_in_name(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let kinds = ["counter", "gauge", "summary", "histogram", "gauge_histogram"];
    let is_named = |kind: &&&str| lower.len() > kind.len() && is_part(&lower, kind);
    let text = |kind: &str| format!("metric name should not include type '{kind}'");
    kinds.iter().filter(is_named).map(|kind| text(kind)).collect()
}

/// Whether a word stands at the end of a name, in it, or at its beginning.
fn is_part(name: &str, word: &str) -> bool {
    name.ends_with(&format!("_{word}"))
        || name.contains(&format!("_{word}_"))
        || name.starts_with(&format!("{word}_"))
}

/// The unit in a name and the one that should be there.
fn unit(name: &str) -> Option<(&str, &'static str)> {
    let base = |word: &str| UNITS.iter().find(|(unit, _)| *unit == word).map(|(_, base)| *base);
    name.split('_').find_map(|word| {
        let bare = PREFIXES.iter().filter_map(|prefix| word.strip_prefix(prefix));
        let found = base(word).or_else(|| bare.into_iter().find_map(base))?;
        Some((word, found))
    })
}

fn is_camel_case(name: &str) -> bool {
    let pairs = name.as_bytes().windows(2);
    pairs.into_iter().any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

/// How many series each family has, the largest first.
fn cardinality(families: &Families) -> String {
    const WIDTH_MIN: usize = 4;
    let mut sorted: Vec<(&String, usize)> =
        families.iter().map(|(name, family)| (name, family.count)).collect();
    sorted.retain(|(_, count)| *count > 0);
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: usize = sorted.iter().map(|(_, count)| count).sum();
    let mut rows = vec![["Metric", "Cardinality", "Percentage"].map(str::to_owned)];
    for (name, count) in &sorted {
        let percent = *count as f64 * 100.0 / total as f64;
        rows.push([(*name).clone(), count.to_string(), format!("{percent:.2}%")]);
    }
    rows.push(["Total".to_owned(), total.to_string(), "100%".to_owned()]);
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (widest + WIDTH_MIN).max(WIDTH_MIN)
    };
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 3]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<String>()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: &[&str]) {
        let found = lint(&families(page.as_bytes()).expect("a page"));
        let lines: Vec<String> =
            found.into_iter().map(|(metric, text)| format!("{metric} {text}")).collect();
        assert_eq!(lines, expected, "{page}");
    }

    #[test]
    fn names() {
        check("# HELP ok_total x\n# TYPE ok_total counter\nok_total 1\n", &[]);
        check("ok_ratio 1\n", &["ok_ratio no help text"]);
        check(
            "# HELP disk_kilobytes x\n# TYPE disk_kilobytes gauge\ndisk_kilobytes 3\n",
            &["disk_kilobytes use base unit \"bytes\" instead of \"kilobytes\""],
        );
        check(
            "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\",fooBar=\"x\"} 1\n\
             h_sum{fooBar=\"x\"} 1\nh_count{fooBar=\"x\"} 1\n",
            &["h label names should be written in 'snake_case' not 'camelCase'"],
        );
        check(
            "# HELP a_bucket x\n# TYPE a_bucket counter\na_bucket{le=\"1\",quantile=\"1\"} 3\n",
            &[
                "a_bucket counter metrics should have \"_total\" suffix",
                "a_bucket non-histogram metrics should not have \"_bucket\" suffix",
                "a_bucket non-histogram metrics should not have \"le\" label",
                "a_bucket non-summary metrics should not have \"quantile\" label",
            ],
        );
        check(
            "# HELP gauge_x x\n# TYPE gauge_x gauge\ngauge_x 1\n",
            &["gauge_x metric name should not include type 'gauge'"],
        );
        assert!(families(b"x{ 1\n").is_err());
    }

    #[test]
    fn series_are_counted() {
        let page = "ok_metric{a=\"1\"} 1\nok_metric{a=\"2\"} 1\n# TYPE h_seconds histogram\n\
                    h_seconds_bucket{le=\"1\"} 1\nh_seconds_bucket{le=\"+Inf\"} 1\n\
                    h_seconds_sum 1\nh_seconds_count 1\n";
        let table = cardinality(&families(page.as_bytes()).expect("a page"));
        let lines = [
            "Metric       Cardinality    Percentage    ",
            "h_seconds    4              66.67%        ",
            "ok_metric    2              33.33%        ",
            "Total        6              100%          ",
        ];
        assert_eq!(table, lines.join("\n"));
    }
}
