//! Memory of queries: a budget for each, one for all together, and a share that only rules may take.
//!
//! Place in the flow: `engine` opens a **`QueryPool`** per query → its ledger and DataFusion's
//! operators reserve bytes in it before they use them.
//!
//! A query over its own budget fails alone. When all together hold what the process may, the query
//! that asks next fails and says so; rules then still have their share, so that a dashboard never
//! takes the memory that an alarm needs.
//!
//! Invariant: what a query has reserved is given back to all when its pool is dropped.
//!
//! Not here: counting samples, deadlines (`ledger`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion_common::{DataFusionError, Result as DataFusionResult};
use datafusion_execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

use crate::settings::{Priority, Settings};

/// The memory of all queries.
#[derive(Debug)]
pub struct Pool {
    bytes: AtomicUsize,
    bytes_max: usize,
    rules_bytes: usize,
}

impl Pool {
    /// A pool as the settings have it.
    pub fn new(settings: &Settings) -> Pool {
        let bytes_max = settings.memory_bytes_max_all.max(settings.memory_bytes_max);
        Pool { bytes: AtomicUsize::new(0), bytes_max, rules_bytes: bytes_max / 4 }
    }

    /// What all queries hold now.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What all queries may hold.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    fn limit(&self, priority: Priority) -> usize {
        match priority {
            Priority::Rule => self.bytes_max,
            Priority::Interactive => self.bytes_max - self.rules_bytes,
        }
    }
}

/// The memory of one query, inside that of all.
#[derive(Debug)]
pub struct QueryPool {
    all: Arc<Pool>,
    priority: Priority,
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// Which budget was too small; written into the error that DataFusion carries.
const OF_ALL: &str = "all queries together";

impl QueryPool {
    /// Room for one query.
    pub fn new(all: &Arc<Pool>, bytes_max: usize, priority: Priority) -> QueryPool {
        QueryPool { all: Arc::clone(all), priority, bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Whether an error of this pool came from the budget of all queries.
    pub fn is_of_all(problem: &DataFusionError) -> bool {
        problem.find_root().message().starts_with(OF_ALL)
    }

    fn take(counter: &AtomicUsize, bytes: usize, bytes_max: usize) -> Result<(), usize> {
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &'static str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.bytes.fetch_add(additional, Ordering::Relaxed);
        self.all.bytes.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.bytes.fetch_sub(shrink, Ordering::Relaxed);
        self.all.bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, own: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let name = own.consumer().name();
        let refused = |whose: &str, held: usize, bytes_max: usize| {
            let text = format!(
                "{whose} hold {held} of {bytes_max} bytes; {name} asked for {additional} more"
            );
            Err(DataFusionError::ResourcesExhausted(text))
        };
        if let Err(held) = QueryPool::take(&self.bytes, additional, self.bytes_max) {
            return refused("its parts", held, self.bytes_max);
        }
        let limit = self.all.limit(self.priority);
        if let Err(held) = QueryPool::take(&self.all.bytes, additional, limit) {
            self.bytes.fetch_sub(additional, Ordering::Relaxed);
            return refused(OF_ALL, held, limit);
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        // Reservations give back what they hold; this is for one that was leaked by a panic.
        self.all.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query pool of {} bytes", self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use datafusion_execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn each_and_all_have_a_budget_and_rules_a_share() {
        let settings =
            Settings { memory_bytes_max: 600, memory_bytes_max_all: 1000, ..Settings::default() };
        let all = Arc::new(Pool::new(&settings));
        let open = |priority| -> Arc<dyn MemoryPool> {
            Arc::new(QueryPool::new(&all, settings.memory_bytes_max, priority))
        };
        let reserve = |pool: &Arc<dyn MemoryPool>| MemoryConsumer::new("blocks").register(pool);
        let (one, two) = (open(Priority::Interactive), open(Priority::Interactive));
        let rule = open(Priority::Rule);
        let (first, second, third) = (reserve(&one), reserve(&two), reserve(&rule));

        let own = first.try_grow(601).expect_err("over its own budget");
        assert!(!QueryPool::is_of_all(&own), "{own}");
        first.try_grow(600).expect("fits");
        let of_all = second.try_grow(200).expect_err("over what interactive queries may hold");
        assert!(QueryPool::is_of_all(&of_all), "{of_all}");
        second.try_grow(150).expect("fits");
        third.try_grow(250).expect("rules have their share");
        assert_eq!(all.bytes(), 1000);
        drop((first, second, third));
        assert_eq!(all.bytes(), 0);
    }
}
