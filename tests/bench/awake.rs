//! Keeps the processors awake while latencies are measured.
//!
//! A processor that has nothing to do for some ten microseconds sleeps, and a virtual machine's takes
//! up to half a millisecond to wake: more than small queries take, and by chance on one side or the
//! other. Loops that run only where nobody else wants to, one per processor, prevent it. They pause in
//! every round: two processors are often one core, and a loop that does not takes 40 % from the other.
//!
//! Place in the flow: a scenario → **`Awake`** → its questions.

use std::process::{Child, Command, Stdio};

/// What tells this program that it is a loop.
pub const ARGUMENT: &str = "stay-awake";

/// The loop of one processor.
pub fn stay() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// The loops; they end with it.
pub struct Awake(Vec<Child>);

/// Begins the loops. Without `chrt` (util-linux) the processors sleep as they like.
pub fn keep() -> Awake {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let own = std::env::current_exe().expect("the benchmark's own file");
    let begin = |_| {
        let mut idle = Command::new("chrt");
        idle.args(["--idle", "0"]).arg(&own).arg(ARGUMENT);
        idle.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    };
    Awake((0..processors).filter_map(begin).collect())
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
