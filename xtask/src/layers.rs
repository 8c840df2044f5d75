//! Who may use whom: the dependency table of ARCHITECTURE.md as a program.
//!
//! A dependency only points up the table. Cargo does not refuse cycles through dev-dependencies, so
//! both kinds are checked. A few outside crates belong to one room alone.

use serde_json::Value;

use crate::tree;

/// The rooms in flow order, each with the rooms it may use.
const ROOMS: [(&str, &[&str]); 18] = [
    ("model", &[]),
    ("journal", &["model"]),
    ("collector", &["model", "journal"]),
    ("exporters", &["model"]),
    ("import", &["model", "journal", "collector"]),
    ("storage", &["model", "journal"]),
    ("backup", &["model", "journal", "storage"]),
    ("promql", &["model"]),
    ("query", &["model", "promql", "storage"]),
    ("sql", &["model", "storage", "query"]),
    ("template", &["model"]),
    ("rules", &["model", "journal", "promql", "query", "template"]),
    ("alertmanager", &["model", "journal", "template"]),
    ("dashboards", &["*"]),
    ("belfry", &["*"]),
    ("tests", &["*"]),
    ("fuzz", &["*"]),
    ("xtask", &[]),
];

/// Outside crates that only the named rooms may use (tests and tools aside).
const ALONE: [(&str, &[&str]); 14] = [
    ("reqwest", &["collector"]),
    ("tokio-postgres", &["exporters"]),
    ("parquet", &["storage"]),
    // Its own HTTP client is left out: it dials through the collector, as everybody does.
    ("object_store", &["backup"]),
    ("arrow", &["storage", "query", "sql", "dashboards"]),
    ("datafusion", &["sql"]),
    ("datafusion-physical-plan", &["query"]),
    ("datafusion-execution", &["query"]),
    ("datafusion-physical-expr", &["query"]),
    ("datafusion-common", &["query"]),
    ("lettre", &["alertmanager"]),
    ("axum", &["dashboards"]),
    ("clap", &["belfry"]),
    ("tracing-subscriber", &["belfry"]),
];

/// Checks every dependency of every room.
pub fn run() -> Result<(), String> {
    let metadata = tree::metadata(false)?;
    let problems = problems(&metadata)?;
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("layers: {} rooms, every dependency points up", ROOMS.len());
        Ok(())
    } else {
        Err(format!("layers: {} problems", problems.len()))
    }
}

fn problems(metadata: &Value) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    let packages = metadata["packages"].as_array().ok_or("cargo metadata has no packages")?;
    for package in packages {
        let room = package["name"].as_str().unwrap_or_default();
        if !ROOMS.iter().any(|(name, _)| *name == room) {
            problems.push(format!("{room}: is not in the table of xtask/src/layers.rs"));
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if let Some(problem) = check(room, name, for_tests) {
                problems.push(problem);
            }
        }
    }
    Ok(problems)
}

fn position(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

fn check(room: &str, dependency: &str, for_tests: bool) -> Option<String> {
    let own = position(room)?;
    if let Some(other) = position(dependency) {
        if other >= own {
            return Some(format!("{room} uses {dependency}, which stands below it"));
        }
        let may = ROOMS[own].1;
        // Tests may build on any room above; what runs may not.
        if !for_tests && !may.contains(&"*") && !may.contains(&dependency) {
            return Some(format!("{room} may not use {dependency}"));
        }
        return None;
    }
    let (_, owners) = ALONE.iter().find(|(name, _)| *name == dependency)?;
    let free = for_tests || matches!(room, "tests" | "fuzz" | "xtask");
    (!free && !owners.contains(&room))
        .then(|| format!("{room} uses {dependency}, which belongs to {}", owners.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_dependency_is_named() {
        assert!(check("model", "journal", false).is_some());
        assert!(check("storage", "query", true).is_some(), "dev-dependencies too");
        assert!(check("rules", "storage", false).is_some());
        assert!(check("rules", "storage", true).is_none());
        assert!(check("query", "datafusion", false).is_some());
        assert!(check("belfry", "alertmanager", false).is_none());
    }
}
