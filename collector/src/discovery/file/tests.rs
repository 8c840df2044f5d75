//! Target files: read, kept when broken, gone when removed.
use super::*;

fn block(folder: &Path) -> FileDiscovery {
    FileDiscovery {
        patterns: vec![folder.join("t*.json"), folder.join("one.yml")],
        refresh_interval_ms: 1,
    }
}

fn addresses(files: &Files) -> Vec<String> {
    files.groups().flat_map(|group| group.addresses.clone()).collect()
}

#[tokio::test]
async fn follows_the_files() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    let block = block(folder.path());
    let mut files = Files::default();
    assert_eq!(files.read(&block).await, (false, vec![]));

    std::fs::write(path("t1.json"), "[{\"targets\": [\"a:1\"],\n\t\"labels\": {\"x\": \"y\"}}]")
        .expect("write");
    std::fs::write(path("one.yml"), "- targets: ['b:2']\n").expect("write");
    std::fs::write(path("other.json"), "[{\"targets\": [\"c:3\"]}]").expect("write");
    assert_eq!(files.read(&block).await, (true, vec![]));
    assert_eq!(addresses(&files), ["b:2", "a:1"]);
    assert_eq!(files.read(&block).await, (false, vec![]), "nothing changed");

    // A half-written file keeps its last good targets, and is told once.
    std::fs::write(path("t1.json"), "[{\"targets\": [\"a:1\"").expect("write");
    let (changed, problems) = files.read(&block).await;
    assert!(!changed && problems.len() == 1, "{problems:?}");
    assert_eq!(files.read(&block).await, (false, vec![]));
    assert_eq!(addresses(&files), ["b:2", "a:1"]);

    std::fs::remove_file(path("t1.json")).expect("remove");
    assert_eq!(files.read(&block).await, (true, vec![]));
    assert_eq!(addresses(&files), ["b:2"]);
    std::fs::write(path("one.yml"), "- targts: ['b:2']\n").expect("write");
    assert_eq!(files.read(&block).await.1.len(), 1);
}
