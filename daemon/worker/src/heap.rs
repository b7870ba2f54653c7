//! The worker's own heap: what a piece of work takes of it, and what is given back to the system.
//!
//! A plan states the memory of a process, so the heap must not keep what is free: it has one arena instead of one a thread, large
//! blocks are mappings of their own, and [`give_back`] returns the free pages between the others.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mains_contract::Bytes;

/// Blocks from this size on are mappings of their own, which end when they are freed. The allocator's own bound grows with what is freed,
/// up to 32 MiB, and free blocks below it stay with the process.
const MAPPED: usize = 256 << 10;

/// The unit that a block is rounded up to, after a word of the allocator's own (glibc, `malloc/malloc.c`: `MALLOC_ALIGNMENT`,
/// `SIZE_SZ`); it is the least block twice.
const UNIT: usize = 16;

/// The unit of a mapping.
const PAGE: usize = 4096;

/// What a piece of work took of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Held at its end.
    pub(crate) kept: Bytes,
    /// Held at once at the most.
    pub(crate) peak: Bytes,
}

/// The system's allocator, which counts what a thread asks it for inside [`measured`].
pub(crate) struct Heap;

/// Bytes that a thread holds, and the most so far.
#[derive(Clone, Copy)]
struct Count {
    held: i64,
    peak: i64,
}

thread_local! {
    static COUNT: Cell<Option<Count>> = const { Cell::new(None) };
}

/// Adds to what this thread holds, while that is counted.
fn count(bytes: i64) {
    COUNT.with(|cell| {
        if let Some(Count { held, peak }) = cell.get() {
            let held = held + bytes;
            let peak = peak.max(held);
            cell.set(Some(Count { held, peak }));
        }
    });
}

// SAFETY: every call goes to the system's allocator as it came, and what is counted beside it allocates nothing.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(block(layout.size()));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(block(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-block(layout.size()));
        // SAFETY: as in `alloc`; the block came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(block(size) - block(layout.size()));
        // SAFETY: as in `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `work` returns and takes of the heap on this thread.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, Taken) {
    COUNT.set(Some(Count { held: 0, peak: 0 }));
    let value = work();
    let count = COUNT.take().unwrap_or(Count { held: 0, peak: 0 });
    let bytes = |count: i64| Bytes(count.max(0).cast_unsigned());
    let taken = Taken {
        kept: bytes(count.held),
        peak: bytes(count.peak),
    };
    (value, taken)
}

/// Bytes of the block that one of `bytes` takes.
const fn block(bytes: usize) -> i64 {
    let whole = (bytes + size_of::<usize>()).next_multiple_of(UNIT);
    let whole = if whole >= MAPPED {
        whole.next_multiple_of(PAGE)
    } else if whole < 2 * UNIT {
        2 * UNIT
    } else {
        whole
    };
    // No allocation is larger than `isize::MAX`.
    whole.cast_signed() as i64
}

/// Has the allocator keep as little as it can; for a process whose memory was planned.
#[cfg(target_env = "gnu")]
pub(crate) fn keep_little() {
    let mapped = i32::try_from(MAPPED).expect("the bound is far below 2 GiB");
    // SAFETY: `mallopt` changes settings of the allocator, which any thread may do; what it refuses stays as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, mapped);
    }
}

/// Gives the pages that no block is in back to the system.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back() {
    // SAFETY: `malloc_trim` takes no pointer, and blocks in use stay where they are.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have one arena and map large blocks by themselves.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_little() {}

/// Other C libraries give pages back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back() {}

#[cfg(test)]
mod tests {
    use mains_contract::{Bytes, StepLimits};
    use mains_engine::scheduler::{NewSequence, Scheduler, SchedulerLimits, SequenceId};

    use super::{MAPPED, block, measured};

    #[test]
    fn blocks_are_what_the_allocator_makes_of_them() {
        let large = MAPPED.cast_signed() as i64;
        for (asked, taken) in [(1, 32), (24, 32), (25, 48), (40, 48), (MAPPED - 24, large - 16)] {
            assert_eq!(block(asked), taken, "{asked}");
        }
        assert_eq!(block(MAPPED), large + 4096);
    }

    #[test]
    fn what_is_kept_and_the_most_at_once_are_told_apart() {
        let (kept, taken) = measured(|| {
            drop(vec![0_u8; 1000]);
            vec![0_u8; 100]
        });
        assert_eq!((taken.kept, taken.peak), (Bytes(112), Bytes(1008)));
        drop(kept);
        let ((), taken) = measured(|| ());
        assert_eq!(taken.peak, Bytes::ZERO);
    }

    /// Every block in use and known to the prefix cache: what is planned for each covers it, and not twice.
    #[test]
    fn what_the_scheduler_keeps_of_blocks_is_planned() {
        const BLOCK_TOKENS: usize = 16;
        for (sequences, context) in [(1, 32_768), (8, 2048), (7, 1000)] {
            let blocks = sequences * usize::div_ceil(context, BLOCK_TOKENS);
            let limits = StepLimits {
                rows: 512,
                output_rows: sequences,
                context,
                blocks,
                block_tokens: BLOCK_TOKENS,
                slots: 0,
            };
            let prompts: Vec<Vec<u32>> = (0..sequences)
                .map(|number| {
                    (0..context - 1)
                        .map(|at| u32::try_from(at * sequences + number).unwrap())
                        .collect()
                })
                .collect();
            let (mut scheduler, mut taken) = measured(|| {
                let mut scheduler = Scheduler::new(SchedulerLimits::new(&limits, None).unwrap());
                for (prompt, id) in prompts.iter().zip(0..) {
                    let id = SequenceId(id);
                    let prompt = prompt.clone();
                    scheduler.submit(NewSequence {
                        id,
                        prompt,
                        group: None,
                    });
                }
                while scheduler.plan().is_some() {}
                scheduler
            });
            let (plan, last) = measured(|| {
                (0..sequences as u64).for_each(|id| {
                    scheduler.push(SequenceId(id), 0);
                });
                scheduler.plan()
            });
            assert!(plan.is_some());
            taken.kept += last.kept;
            assert_eq!(scheduler.free_and_total_blocks(), (0, blocks));
            let planned = Bytes::from(Scheduler::bytes_a_block(BLOCK_TOKENS)).times(blocks as u64);
            assert!(
                taken.kept <= planned,
                "{blocks} blocks take {}, {planned} are planned",
                taken.kept
            );
            assert!(
                planned.0 <= 2 * taken.kept.0,
                "{blocks} blocks take {}, {planned} are planned",
                taken.kept
            );
        }
    }
}
