//! Style that a program can check: sizes, module docs, forbidden words, the map.
//!
//! The numbers come from the house rules: a file is warned at 500 lines and refused at 800, a
//! function ends after 70. Tests beside the code (`tests.rs`, a trailing `mod tests`) do not count.
//! Exceptions stand in `ALLOWED` with a reason.

use crate::tree;

const FILE_LINES_WARN: usize = 500;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// Words that mark unfinished work, put together so that this list does not find itself.
const UNFINISHED: [&str; 6] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), "todo!(", "unimplemented!(", "#[ignore", "dbg!("];
/// Exceptions: file, check, reason.
const ALLOWED: [(&str, &str, &str); 1] =
    [("xtask/src/tidy.rs", "unfinished", "this list names the words it looks for")];

/// Runs all checks and prints what they found.
pub fn run() -> Result<(), String> {
    let files = tree::files()?;
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let text = tree::read(file)?;
        check_file(file, &text, &mut problems, &mut warnings);
    }
    check_map(&files, &mut problems)?;
    for warning in &warnings {
        println!("warning: {warning}");
    }
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("tidy: {} files, no problems", files.len());
        Ok(())
    } else {
        Err(format!("tidy: {} problems", problems.len()))
    }
}

fn allowed(file: &str, check: &str) -> bool {
    ALLOWED.iter().any(|(own, name, _)| *own == file && *name == check)
}

fn check_file(file: &str, text: &str, problems: &mut Vec<String>, warnings: &mut Vec<String>) {
    if !text.starts_with("//!") {
        problems.push(format!("{file}:1: a file opens with `//!`: what it does, its place"));
    }
    let is_test =
        file.ends_with("/tests.rs") || file.contains("/tests/") || file.starts_with("tests/");
    let lines = own_lines(text);
    let catalogue =
        text.lines().next().is_some_and(|line| line.to_lowercase().contains("catalogue"));
    if !is_test && !catalogue {
        match lines.len() {
            0..=FILE_LINES_WARN => {}
            count @ ..=FILE_LINES_MAX => warnings.push(format!("{file}: {count} lines")),
            count => problems
                .push(format!("{file}: {count} lines, at most {FILE_LINES_MAX}: split it by noun")),
        }
    }
    if !is_test {
        for (line, name, length) in long_functions(&lines) {
            problems.push(format!(
                "{file}:{line}: fn {name} has {length} lines, at most {FUNCTION_LINES_MAX}"
            ));
        }
    }
    if !allowed(file, "unfinished") {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
                problems.push(format!("{file}:{}: unfinished work: {word}", index + 1));
            }
        }
    }
}

/// The lines before a trailing test module.
fn own_lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests"));
    lines[..tests.unwrap_or(lines.len())].to_vec()
}

/// Functions that are too long: line, name, length. Relies on rustfmt: the closing brace of a
/// function stands alone at the indentation of its first line.
fn long_functions(lines: &[&str]) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let signature = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "]
            .iter()
            .fold(code, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        let Some(rest) = signature.strip_prefix("fn ") else { continue };
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|line| *line == closing) else {
            continue;
        };
        if length + 1 > FUNCTION_LINES_MAX {
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((start + 1, name, length + 1));
        }
    }
    found
}

/// ARCHITECTURE.md names every room's modules, and every path it names exists.
fn check_map(files: &[String], problems: &mut Vec<String>) -> Result<(), String> {
    let map = tree::read("ARCHITECTURE.md")?;
    let named: Vec<&str> = map.split('`').skip(1).step_by(2).collect();
    for path in
        named.iter().filter(|path| path.contains('/') && !path.contains(char::is_whitespace))
    {
        let path = path.trim_end_matches('/');
        let exists = files.iter().any(|file| {
            file == path || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        });
        let is_path = !path.starts_with(['/', '.', '-']) && !path.contains(['{', '<', '*', ':']);
        if is_path && !exists {
            problems.push(format!("ARCHITECTURE.md: names {path}, which does not exist"));
        }
    }
    for module in modules(files) {
        if !named.iter().any(|path| path.trim_end_matches('/') == module) {
            problems.push(format!("ARCHITECTURE.md: does not name {module}"));
        }
    }
    Ok(())
}

/// The first level of modules of every crate: `journal/src/writer.rs`, `journal/src/disk`.
fn modules(files: &[String]) -> Vec<String> {
    let mut modules = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let Some((room, inside)) = file.split_once("/src/") else { continue };
        let first = inside.split('/').next().unwrap_or(inside);
        let skip = matches!(first, "lib.rs" | "main.rs" | "tests.rs");
        let stem = first.trim_end_matches(".rs");
        // `disk.rs` and `disk/` are one module; the folder is its name then.
        let folder = format!("{room}/src/{stem}");
        let module = if files.iter().any(|other| other.starts_with(&format!("{folder}/"))) {
            folder
        } else {
            format!("{room}/src/{first}")
        };
        if !skip && !modules.contains(&module) {
            modules.push(module);
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_wrong() {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("fn long() {{\n{body}}}\n// {}\n", UNFINISHED[0]);
        check_file("a/src/b.rs", &text, &mut problems, &mut warnings);
        assert_eq!(problems.len(), 3, "{problems:?}");
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let tests = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(2000));
        check_file("a/src/b.rs", &tests, &mut problems, &mut warnings);
        check_file(
            "a/src/c.rs",
            &format!("//! D\n{}", "x\n".repeat(600)),
            &mut problems,
            &mut warnings,
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn names_modules_once() {
        let files: Vec<String> =
            ["a/src/lib.rs", "a/src/b.rs", "a/src/b/tests.rs", "a/src/c.rs", "a/tests/d.rs"]
                .map(str::to_owned)
                .to_vec();
        assert_eq!(modules(&files), ["a/src/b", "a/src/c.rs"]);
    }
}
