//! What the tests of several exporters share: fixtures, pages of other exporters, started programs.
//!
//! Place in the flow: tests only.
//!
//! Not here: any expectation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::{Family, Labels};

/// Longest wait for a program to come up.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A path below the workspace's `tests/data/exporters`.
pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/exporters").join(path)
}

/// The text of a fixture.
pub(crate) fn data_text(path: &str) -> String {
    let path = data(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Series as text and their values, for families.
pub(crate) fn series(families: &[Family]) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for family in families {
        for sample in &family.samples {
            let name = format!("{}{}", family.name, sample.suffix);
            let labels = sample.labels.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            let labels = labels.chain([("__name__", name.as_str())]);
            let key = Labels::from_pairs(labels).to_string();
            assert!(series.insert(key.clone(), sample.value).is_none(), "{key} twice");
        }
    }
    series
}

/// Series as text and their values, for a page in the text format.
pub(crate) fn page_series(page: &str) -> BTreeMap<String, f64> {
    page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(page_line).collect()
}

fn page_line(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a line has a value");
    let value = value.parse().expect("the value is a number");
    let Some((name, mut rest)) = series.split_once('{') else { return (series.to_owned(), value) };
    let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().expect("the label value ends") {
                (index, '"') => break index,
                (_, '\\') => text.extend(letters.next().map(|(_, letter)| match letter {
                    'n' => '\n',
                    other => other,
                })),
                (_, letter) => text.push(letter),
            }
        };
        pairs.push((label.trim_start_matches(',').to_owned(), text));
        rest = &after[end + 1..];
    }
    (Labels::from_pairs(pairs).to_string(), value)
}

/// The names in front of the labels.
pub(crate) fn names(series: &BTreeMap<String, f64>) -> BTreeSet<String> {
    let name = |key: &String| key.split('{').next().unwrap_or("").to_owned();
    series.keys().map(name).collect()
}

/// An alarm on a name that nobody emits never fires: each name of a pack must be one of ours.
#[track_caller]
pub(crate) fn check_pack(pack: &str, prefix: &str, emitted: &BTreeSet<String>) {
    let path = packs().join(format!("{pack}.yml"));
    let text = std::fs::read_to_string(&path).expect("read the pack");
    let expressions = text.lines().filter(|line| line.trim_start().starts_with("expr: "));
    let words = expressions.flat_map(|line| {
        line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
    });
    let used: BTreeSet<String> =
        words.filter(|word| word.starts_with(prefix)).map(str::to_owned).collect();
    assert!(!used.is_empty(), "{pack} uses no {prefix}");
    let unknown: Vec<&String> = used.difference(emitted).collect();
    assert!(unknown.is_empty(), "{} uses names that we do not emit: {unknown:?}", path.display());
}

/// Where the alarm packs are.
pub(crate) fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/src/packs")
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    listener.local_addr().expect("the port's address").port()
}

/// A program that is killed when the test ends.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, or fails with the package to install.
    pub(crate) fn start(command: &mut Command, package: &str) -> Running {
        let program = command.get_program().to_owned();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Running(child.unwrap_or_else(|error| {
            panic!("start {program:?}: {error}; install the Debian package {package}")
        }))
    }

    /// Ends it now and waits for its end.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + READY_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a port of this machine takes connections.
#[track_caller]
pub(crate) fn wait_for_port(port: u16) {
    wait_for("the port", || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Fetches a page from a port of this machine.
pub(crate) fn fetch(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("send the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the answer has a head");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    if chunked { joined_chunks(body) } else { body.to_owned() }
}

/// Takes the lengths out of a chunked body.
fn joined_chunks(mut body: &str) -> String {
    let mut joined = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).expect("a chunk has a length");
        joined.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    joined
}

/// A server that takes connections and never says a word; the port stays silent until the drop.
pub(crate) fn silent_server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    let port = listener.local_addr().expect("the port's address").port();
    (listener, port)
}
