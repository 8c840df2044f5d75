//! The text formats: tables, upstream's error tables, upstream's seeds.
use super::series::{self, Pair};
use super::text::Lines;
use super::*;
use model::{Family, Labels, MetricKind};

/// Reads a whole page the way a scrape does, without a cache.
fn read(body: &[u8], format: Format) -> Result<Vec<(Labels, f64, Option<i64>)>, String> {
    let mut lines = Lines::new(body, format);
    let mut samples = Vec::new();
    while let Some(line) = lines.next_line().map_err(|error| error.to_string())? {
        let mut pairs: Vec<Pair<'_>> = Vec::new();
        series::labels(line.series, format, lines.kind(), &mut pairs)?;
        samples.push((Labels::from_pairs(pairs), line.value, line.at.map(|at| at.0)));
    }
    Ok(samples)
}

#[track_caller]
fn check(format: Format, page: &str, expected: &[(&str, f64, Option<i64>)]) {
    let samples = read(page.as_bytes(), format).expect(page);
    let shown: Vec<_> = samples.iter().map(|(l, value, at)| (l.to_string(), *value, *at)).collect();
    let expected: Vec<_> = expected.iter().map(|(l, v, at)| ((*l).to_owned(), *v, *at)).collect();
    assert_eq!(shown, expected, "{page}");
}

#[test]
fn prometheus_text() {
    let text = Format::Text;
    check(text, "", &[]);
    check(text, "a 1\nb{c=\"d\"} 2.5 -7\n", &[("a", 1.0, None), ("b{c=\"d\"}", 2.5, Some(-7))]);
    check(
        text,
        "  a\t{ b = \"1\" c=\"2\" , }-Inf",
        &[(r#"a{b="1", c="2"}"#, f64::NEG_INFINITY, None)],
    );
    check(text, r#"{"a.b","c d"="e"} 1e3"#, &[(r#"a.b{"c d"="e"}"#, 1000.0, None)]);
    check(text, r#"a{b="\"\\\n\t}"} 1"#, &[("a{b=\"\\\"\\\\\\n\\\\t}\"}", 1.0, None)]);
    check(
        text,
        "# HELP\n# HELP \n#TYPE x y\n# TYPED\na +Inf 5\n",
        &[("a", f64::INFINITY, Some(5))],
    );
    check(
        text,
        "# TYPE a histogram\na_bucket{le=\"1\"} 2\n",
        &[(r#"a_bucket{le="1.0"}"#, 2.0, None)],
    );
    check(text, "# TYPE a histogram\na{le=\"1e6\"} 2\n", &[(r#"a{le="1e+06"}"#, 2.0, None)]);
    check(text, "# TYPE a summary\na{quantile=\".5\"} 2\n", &[(r#"a{quantile="0.5"}"#, 2.0, None)]);
    check(text, "# TYPE a gauge\na{le=\"1\"} 2\n", &[(r#"a{le="1"}"#, 2.0, None)]);
    let nan = read(b"a nan\n", text).expect("reads");
    assert_eq!(nan[0].1.to_bits(), model::sample::NORMAL_NAN_BITS);
}

#[test]
fn open_metrics() {
    let format = Format::OpenMetrics;
    check(format, "# EOF", &[]);
    check(format, "a 1 1.5\n# EOF\n", &[("a", 1.0, Some(1500))]);
    check(
        format,
        "# TYPE a counter\n# UNIT a \na_total 1 # {id=\"}\"} 0.5 12\na_created 1\n# EOF\n",
        &[("a_total", 1.0, None)],
    );
    // Only a family that can have a creation time has one.
    check(format, "# TYPE a gauge\na_created 1\n# EOF\n", &[("a_created", 1.0, None)]);
}

#[track_caller]
fn refused(format: Format, page: &str) {
    assert!(read(page.as_bytes(), format).is_err(), "{format:?} {page:?}");
}

#[test]
fn refusals() {
    for page in
        ["a 1e999", "a 0x10", "a 1 2.5", "a{b=\"c\"", "a{b=\"c}", "a 1 2 3", "1a 2", "a{1b=\"\"} 1"]
    {
        refused(Format::Text, page);
    }
    for page in ["a{\"b\",\"c\"} 1\n", "{} 1\n", "{\"\"} 1\n", "\"a\" 1\n"] {
        refused(Format::Text, page);
    }
    for page in
        ["a  1\n# EOF\n", "a{b=\"c\", d=\"e\"} 1\n# EOF\n", "a 1\n\n# EOF\n", "# foo\n# EOF\n"]
    {
        refused(Format::OpenMetrics, page);
    }
}

fn data(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/");
    std::fs::read(format!("{root}{path}")).expect(path)
}

/// Rows of upstream's tables. A broken byte stands there as a lone surrogate.
fn rows(name: &str) -> Vec<(Vec<u8>, String)> {
    let text = String::from_utf8(data(&format!("textparse/{name}.json"))).expect("utf-8");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&text.replace("\\udcff", "\\ue0ff")).expect("json");
    let field = |row: &serde_json::Value, key: &str| row[key].as_str().expect(key).to_owned();
    let bytes = |text: String| {
        let mut bytes = text.into_bytes();
        while let Some(at) = bytes.windows(3).position(|part| part == "\u{e0ff}".as_bytes()) {
            bytes.splice(at..at + 3, [0xff]);
        }
        bytes
    };
    rows.iter().map(|row| (bytes(field(row, "input")), field(row, "error"))).collect()
}

#[test]
fn upstream_error_tables() {
    for (name, format, count) in [
        ("TestPromParseErrors", Format::Text, 18),
        ("TestPromNullByteHandling", Format::Text, 9),
        ("TestOpenMetricsParseErrors", Format::OpenMetrics, 70),
        ("TestOMNullByteHandling", Format::OpenMetrics, 12),
    ] {
        let rows = rows(name);
        assert_eq!(rows.len(), count, "{name}");
        for (page, error) in rows {
            // "EOF" is upstream's word for a good, empty page.
            let good = error.is_empty() || error == "EOF";
            let got = read(&page, format);
            let shown = String::from_utf8_lossy(&page);
            assert_eq!(got.is_ok(), good, "{name}: {shown:?}: {got:?}");
        }
    }
}

#[test]
fn upstream_seeds() {
    // What the strict reader refuses and scraping takes: free order, doubled metadata, odd bounds.
    let lax = ["0", "1", "2", "7", "12", "13", "14", "19", "4"];
    for index in 0..20 {
        let name = format!("from_test_parse_error_{index}");
        let result = read(&data(&format!("expfmt/{name}")), Format::Text);
        let expected = lax.contains(&index.to_string().as_str());
        assert_eq!(result.is_ok(), expected, "{name}: {result:?}");
    }
    for (name, samples) in [("0", 0), ("1", 3), ("2", 4), ("3", 12), ("4", 7)] {
        let page = data(&format!("expfmt/from_test_parse_{name}"));
        let read = read(&page, Format::Text).expect(name);
        assert_eq!(read.len(), samples, "{name}");
    }
}

#[test]
fn whole_pages() {
    let text = read(&data("textparse/alltypes.237mfs.prom.txt"), Format::Text).expect("reads");
    assert!(text.len() > 1000, "{}", text.len());
    let open = read(&data("textparse/alltypes.5mfs.om.txt"), Format::OpenMetrics).expect("reads");
    assert!(open.len() > 20, "{}", open.len());
}

#[test]
fn negotiation() {
    assert_eq!(
        accept_header(&PROTOCOLS, "allow-utf-8"),
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    );
    assert_eq!(format_of(Some("text/plain; version=0.0.4"), None), Ok(Format::Text));
    assert_eq!(
        format_of(Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), None),
        Ok(Format::OpenMetrics)
    );
    assert!(format_of(Some("text/html"), None).is_err() && format_of(None, None).is_err());
    assert_eq!(format_of(None, Some(Protocol::Text0)), Ok(Format::Text));
}

#[test]
fn families_round_trip() {
    let mut family = Family::new("a.b", MetricKind::Counter, "two\nlines \\");
    family.sample(&[("c d", "e\"\\\n"), ("empty", "")], 0.1);
    family.sample(&[], f64::NAN);
    let mut histogram = Family::new("h", MetricKind::Histogram, "");
    histogram.sample(&[("le", "5")], 1.0).samples[0].suffix = "_bucket";
    let page = write::page(&[family, histogram, Family::new("i", MetricKind::Info, "x")]);
    let samples = read(page.as_bytes(), Format::Text).expect(&page);
    assert_eq!(samples[0].0, Labels::from_pairs([("__name__", "a.b"), ("c d", "e\"\\\n")]));
    assert_eq!(samples[0].1.to_bits(), 0.1_f64.to_bits());
    assert!(samples[1].1.is_nan() && samples[1].0.len() == 1);
    assert_eq!(samples[2].0.to_string(), r#"h_bucket{le="5.0"}"#);
}

proptest::proptest! {
    #[test]
    fn never_panics(page in "[a{}\"=,# \\\\\n0-9.TYPEHLOF\u{e9}]{0,60}") {
        let _ = read(page.as_bytes(), Format::Text);
        let _ = read(page.as_bytes(), Format::OpenMetrics);
    }

    #[test]
    fn never_panics_on_bytes(page in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let _ = read(&page, Format::Text);
        let _ = read(&page, Format::OpenMetrics);
    }
}

/// The short way for numbers of few digits gives what the long way gives, to the bit.
#[test]
fn numbers_are_read_to_the_bit() {
    let mut texts: Vec<String> = [
        "0",
        "-0",
        "-0.0",
        "00.10",
        "1.",
        ".5",
        "-.5",
        "9007199254740992",
        "9007199254740993",
        "0.9007199254740993",
        "999999999999999999",
        "9999999999999999999",
        "0.000000000000000001",
        "123456789012345678",
        "1234567890.12345678",
        "12345678901234567.8",
        "5e-324",
        "1e22",
        "0.1",
        "0.3",
        "4.35",
        "72057594037927945",
        "100.000",
        "179.05000000000001",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut bits = 1_u64;
    for _ in 0..2000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = f64::from_bits(bits);
        if value.is_finite() {
            texts.extend([value.to_string(), format!("{value:e}")]);
        }
        let decimal = (bits >> 20) as f64 / 10_f64.powi((bits % 17) as i32);
        texts.extend([decimal.to_string(), format!("-{decimal:.3}"), (bits >> 12).to_string()]);
    }
    for text in texts {
        let expected: f64 = text.parse().expect("a number");
        for (format, end) in [(Format::Text, ""), (Format::OpenMetrics, "# EOF\n")] {
            let page = format!("a {text}\n{end}");
            let read = read(page.as_bytes(), format).expect(&page);
            assert_eq!(read[0].1.to_bits(), expected.to_bits(), "{page}");
        }
    }
}
