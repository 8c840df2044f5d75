//! A server that holds the data of a scenario, and what it has reached so far.
//!
//! Place in the flow: a scenario loads each **`Side`** alone → all are asked in turn (`asking`).

use tempfile::TempDir;

use crate::server::{self, Kind, Running};
use crate::table::Column;

/// One of those who are compared.
pub struct Side {
    /// Which.
    pub kind: Kind,
    /// It runs as long as this lives.
    pub server: Running,
    /// What it has reached.
    pub column: Column,
    _folder: TempDir,
}

impl Side {
    /// Starts a server in a folder of its own.
    pub async fn start(kind: Kind) -> Side {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = server::start(kind, folder.path(), "").await;
        Side { kind, server, column: Column::new(kind.name()), _folder: folder }
    }
}
