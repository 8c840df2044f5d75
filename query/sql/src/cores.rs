//! Threads that compute statements, apart from those that serve.
//!
//! Place in the flow: `session` plans and runs a statement here → its rows → the threads of the
//! server. An operator of DataFusion may compute for a long time between two points where it lets
//! others go on: on the threads of the server, a few such statements would leave no time for
//! sockets and clocks, and neither a scrape, a push nor the kill of that statement would get through.
//!
//! Invariants: what is dropped is aborted, and ends where it lets others go on next.
//!
//! Not here: who may compute at all (the engine's seats).

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// The threads. What still computes when they are dropped is not waited for.
pub struct Cores {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Cores {
    /// Starts a thread per core.
    pub fn start() -> io::Result<Cores> {
        let runtime = Builder::new_multi_thread().thread_name("sql").enable_time().build()?;
        Ok(Cores { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Lets others use the threads.
    pub fn lend(&self) -> Lent {
        Lent(self.handle.clone())
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        // To wait here would stop the thread that drops, which may be one that serves.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The threads, for one statement.
#[derive(Clone)]
pub struct Lent(Handle);

impl Lent {
    /// Computes; the work ends early when what is returned is dropped.
    pub fn compute<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(self.0.spawn(work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn computes_on_threads_of_its_own() {
        let cores = Cores::start().expect("start threads");
        let name = cores.lend().compute(async { std::thread::current().name().map(str::to_owned) });
        assert_eq!(name.await.expect("joined").as_deref(), Some("sql"));
    }

    #[tokio::test]
    async fn what_is_dropped_ends() {
        let cores = Cores::start().expect("start threads");
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
        let endless = cores.lend().compute(async move {
            let _held = sender;
            loop {
                tokio::task::yield_now().await;
            }
        });
        drop(endless);
        assert_eq!(receiver.recv().await, None);
    }
}
