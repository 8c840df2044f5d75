//! A connection that wakes itself while it works goes on at once.
//!
//! Place in the flow: the task of a connection (`serving`) → **`Steady`** → hyper.
//!
//! hyper wakes its own task for every request with a body. The runtime would put that task at the end
//! of its queue and wake another thread for it, only to find nothing left to do: that takes longer
//! than many an answer.
//!
//! Invariant: no wake-up is lost. One that comes while the connection works makes it work again; one
//! that comes later goes to the task.
//!
//! Not here: HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// So often it goes on by itself before others have their turn.
const TURNS_MAX: usize = 8;

/// Nobody works.
const IDLE: u8 = 0;
/// The connection works.
const WORKING: u8 = 1;
/// The connection works, and was woken meanwhile.
const WOKEN: u8 = 2;

#[derive(Default)]
struct Signal {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state != IDLE).then_some(WOKEN)
        });
        if noted.is_err() {
            self.task.wake();
        }
    }
}

/// Polls one future again when it woke itself.
pub struct Steady {
    signal: Arc<Signal>,
    waker: Waker,
}

impl Steady {
    /// For one future.
    pub fn new() -> Steady {
        let signal = Arc::new(Signal::default());
        Steady { waker: Waker::from(Arc::clone(&signal)), signal }
    }

    /// Polls it until it waits for others.
    pub fn poll<T>(
        &self,
        task: &Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.signal.task.register(task.waker());
        for _ in 0..TURNS_MAX {
            self.signal.state.store(WORKING, Ordering::Release);
            if let Poll::Ready(end) = work(&mut Context::from_waker(&self.waker)) {
                return Poll::Ready(end);
            }
            let rest = (Ordering::AcqRel, Ordering::Acquire);
            if self.signal.state.compare_exchange(WORKING, IDLE, rest.0, rest.1).is_ok() {
                return Poll::Pending;
            }
        }
        self.signal.state.store(IDLE, Ordering::Release);
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn own_wake_ups_are_turns() {
        let (steady, woken) = (Steady::new(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let task = Context::from_waker(&waker);
        // It wakes itself so many times: that many turns follow, and the task hears of none.
        for (wakes, expected_turns, expected_woken) in [(0, 1, 0), (3, 4, 0), (100, TURNS_MAX, 1)] {
            let mut turns = 0;
            woken.0.store(0, Ordering::Relaxed);
            let poll = steady.poll(&task, |cx| {
                turns += 1;
                if turns <= wakes {
                    cx.waker().wake_by_ref();
                }
                Poll::<()>::Pending
            });
            assert!(poll.is_pending());
            assert_eq!((turns, woken.0.load(Ordering::Relaxed)), (expected_turns, expected_woken));
        }
        // One that comes afterwards goes to the task, every time.
        let mut kept = None;
        let _ = steady.poll(&task, |cx| {
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        woken.0.store(0, Ordering::Relaxed);
        kept.expect("it was polled").wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_between_threads() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let sending = tokio::spawn(async move {
            for number in 0..100_000_u32 {
                sender.send(number).await.expect("somebody listens");
            }
        });
        let steady = Steady::new();
        let mut expected = 0;
        let all = poll_fn(|cx| {
            steady.poll(cx, |cx| {
                while let Poll::Ready(next) = receiver.poll_recv(cx) {
                    let Some(next) = next else { return Poll::Ready(expected) };
                    assert_eq!(next, expected);
                    expected += 1;
                }
                Poll::Pending
            })
        });
        let count = tokio::time::timeout(Duration::from_secs(60), all).await.expect("it ends");
        assert_eq!(count, 100_000);
        sending.await.expect("it ends");
    }
}
