//! A team of threads that share one piece of work at a time.
//!
//! Workers spin for some microseconds after a piece, because the next operation of a step follows at once, then park: on
//! a box with as many busy threads as cores a spinning waiter would take the time of the thread that it waits for.

use std::any::Any;
use std::hint::spin_loop;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};

use mains_contract::DriverError;

/// Looks at a flag before a waiter parks: about 20 microseconds where a pause takes 140 cycles, the length of a small
/// operation and several times the cost of a wake-up.
const SPINS: u32 = 400;
/// Multiply-adds below which a piece of work is not shared: about 5 microseconds, twice what sharing costs.
const MIN_SHARED_COST: usize = 1 << 16;

/// Takes the number of the thread that calls it.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// The calling thread and its workers.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held while a piece of work is under way: there is one at a time.
    turn: Mutex<()>,
}

struct Shared {
    /// Grows with every piece of work.
    epoch: AtomicUsize,
    /// The piece of this epoch; none tells the workers to end.
    job: Mutex<Option<Job>>,
    /// Workers that have not finished it.
    remaining: AtomicUsize,
    /// Whether one panicked in it.
    panicked: AtomicBool,
}

#[derive(Clone)]
struct Job {
    work: &'static Work<'static>,
    caller: Thread,
}

impl Pool {
    /// A team of `threads`, the caller being one of them.
    ///
    /// # Errors
    /// [`DriverError::Device`] when the system refuses a thread.
    pub(crate) fn new(threads: usize) -> Result<Self, DriverError> {
        let shared = Arc::new(Shared {
            epoch: AtomicUsize::new(0),
            job: Mutex::new(None),
            remaining: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        });
        let mut pool = Self {
            shared,
            workers: Vec::new(),
            turn: Mutex::new(()),
        };
        for number in 1..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let worker = thread::Builder::new()
                .name(format!("mains-cpu-{number}"))
                .spawn(move || shared.serve(number))
                .map_err(|error| DriverError::Device(format!("thread {number} of {threads}: {error}")))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Threads of the team, the caller included.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Splits `items` into one range a thread, each a multiple of `grain` but for the end, and gives them with their
    /// thread's number to `work`. Work of less than [`MIN_SHARED_COST`] stays on the caller.
    pub(crate) fn share(
        &self,
        items: usize,
        grain: usize,
        cost: usize,
        work: impl Fn(usize, Range<usize>) + Sync,
    ) {
        if cost < MIN_SHARED_COST || self.workers.is_empty() {
            work(0, 0..items);
            return;
        }
        let grains = items.div_ceil(grain);
        let threads = self.threads();
        self.run(&|thread| {
            let bound = |thread: usize| (grains * thread / threads * grain).min(items);
            let range = bound(thread)..bound(thread + 1);
            if !range.is_empty() {
                work(thread, range);
            }
        });
    }

    /// Gives every item with a thread's number to `work`, neighbours to different threads: items that grow share evenly.
    pub(crate) fn interleave(&self, items: usize, cost: usize, work: impl Fn(usize, usize) + Sync) {
        let threads = if cost < MIN_SHARED_COST { 1 } else { self.threads() };
        let every = |thread: usize| {
            for item in (thread..items).step_by(threads) {
                work(thread, item);
            }
        };
        if threads == 1 {
            every(0);
        } else {
            self.run(&every);
        }
    }

    /// Calls `work` once on every thread and waits for all. `work` may not use the pool.
    ///
    /// # Panics
    /// When `work` does, on any thread, after all have ended.
    pub(crate) fn run(&self, work: &Work<'_>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the longer lifetime ends in this function. Workers use the reference before they count down
        // `remaining`, this function returns or unwinds only after that reached 0 (its own share's panic is caught),
        // and holding `turn` keeps a second piece from being published meanwhile.
        let work = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        *self.shared.job() = Some(Job {
            work,
            caller: thread::current(),
        });
        self.shared.remaining.store(self.workers.len(), Ordering::Relaxed);
        self.shared.publish(&self.workers);
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        wait(|| self.shared.remaining.load(Ordering::Acquire) == 0);
        *self.shared.job() = None;
        let panicked = self.shared.panicked.swap(false, Ordering::Relaxed);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!panicked, "a kernel panicked on a worker thread");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.publish(&self.workers);
        for worker in self.workers.drain(..) {
            // A worker catches every panic of its work; there is nothing to tell here.
            let _: Result<(), Box<dyn Any + Send>> = worker.join();
        }
    }
}

impl Shared {
    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, workers: &[JoinHandle<()>]) {
        self.epoch.fetch_add(1, Ordering::Release);
        for worker in workers {
            worker.thread().unpark();
        }
    }

    /// The life of worker `number`.
    fn serve(&self, number: usize) {
        let mut seen = 0;
        loop {
            wait(|| self.epoch.load(Ordering::Acquire) != seen);
            seen = self.epoch.load(Ordering::Acquire);
            let Some(Job { work, caller }) = self.job().clone() else {
                return;
            };
            if catch_unwind(AssertUnwindSafe(|| work(number))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
                caller.unpark();
            }
        }
    }
}

/// Returns when `ready` does: spins first, then parks between unparks.
fn wait(ready: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if ready() {
            return;
        }
        spin_loop();
    }
    while !ready() {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Pool;

    #[test]
    fn every_item_is_done_once_a_call_by_any_number_of_threads() {
        for threads in 1..6 {
            let pool = Pool::new(threads).unwrap();
            for items in [0, 1, 3, 4, 17, 100] {
                let done: Vec<AtomicUsize> = (0..items).map(|_| AtomicUsize::new(0)).collect();
                pool.share(items, 4, usize::MAX, |_, range| {
                    for item in range {
                        done[item].fetch_add(1, Ordering::Relaxed);
                    }
                });
                pool.interleave(items, usize::MAX, |_, item| {
                    done[item].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 2));
            }
        }
    }

    #[test]
    fn many_pieces_follow_each_other_with_more_threads_than_cores() {
        let pool = Pool::new(8).unwrap();
        let total = AtomicUsize::new(0);
        for _ in 0..200 {
            pool.run(&|_| {
                total.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(total.into_inner(), 1600);
    }

    #[test]
    fn a_panic_of_a_worker_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(&|thread| assert_ne!(thread, 2, "on purpose"));
        }));
        assert!(caught.is_err());
        let seen = Mutex::new(Vec::new());
        pool.run(&|thread| seen.lock().unwrap().push(thread));
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    }
}
