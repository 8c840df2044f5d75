//! How often each route was asked, what it answered, and how long that took.
//!
//! Place in the flow: `front` → **`Requests`** → metrics.
//!
//! Invariant: only routes of the table are told apart, so nobody can make series by asking for paths
//! of their own.
//!
//! Not here: the metrics' names (belfry), what each client may ask for (`access`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use model::Durations;

use crate::openapi::table;

/// What stands for requests that no route answers.
const NO_ROUTE: &str = "none";

/// What one route answered since the start.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// How often, by HTTP status.
    pub by_code: BTreeMap<u16, u64>,
    /// How long it took until the head of the answer.
    pub durations: Durations,
}

/// What all routes answered.
#[derive(Debug)]
pub struct Requests {
    /// By path, without the prefix that all stand under.
    routes: HashMap<&'static str, Mutex<Answers>>,
}

impl Default for Requests {
    fn default() -> Requests {
        let paths = table().into_iter().map(|route| route.path).chain([NO_ROUTE]);
        Requests { routes: paths.map(|path| (path, Mutex::default())).collect() }
    }
}

impl Requests {
    /// What every route that was asked has answered, by path.
    pub fn answers(&self) -> BTreeMap<&'static str, Answers> {
        let all = self.routes.iter().map(|(path, answers)| {
            (*path, answers.lock().unwrap_or_else(PoisonError::into_inner).clone())
        });
        all.filter(|(_, answers)| !answers.by_code.is_empty()).collect()
    }

    /// Counts a request when its answer begins. All routes stand under the prefix.
    pub fn count(&self, asked: Asked, prefix: &str, code: u16) {
        let matched = asked.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
        let path = matched.strip_prefix(prefix).unwrap_or(matched);
        let took = asked.started.elapsed();
        let answers = self.routes.get(path).or_else(|| self.routes.get(NO_ROUTE));
        let Some(answers) = answers else { return };
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.by_code.entry(code).or_default() += 1;
        answers.durations.add(took);
    }
}

/// A request on its way.
#[derive(Debug)]
pub struct Asked {
    started: Instant,
    route: Option<MatchedPath>,
}

impl Asked {
    /// A request that has just come.
    pub fn of(request: &Request) -> Asked {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Asked { started: Instant::now(), route }
    }
}
