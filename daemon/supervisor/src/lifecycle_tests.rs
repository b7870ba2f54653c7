//! The life of one model, event by event and over arbitrary histories.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Action, CRASH_LOOP, Event, FIRST_BACKOFF, LONGEST_BACKOFF, Lifecycle, STABLE, backoff};
use crate::ModelState;

const KEEP_ALIVE: Duration = Duration::from_mins(5);

fn ready(now: Instant) -> Lifecycle {
    let mut life = Lifecycle::new(Some(KEEP_ALIVE));
    assert_eq!(life.on(Event::Wanted, now), Action::Start);
    assert_eq!(life.on(Event::Spawned, now), Action::Nothing);
    assert_eq!(life.state(), ModelState::Loading);
    assert_eq!(life.on(Event::Loaded, now), Action::Nothing);
    assert_eq!(life.state(), ModelState::Ready);
    life
}

#[test]
fn an_idle_model_is_unloaded_when_its_time_is_over() {
    let now = Instant::now();
    let mut life = ready(now);
    assert_eq!(life.on(Event::Busy, now), Action::Nothing);
    assert_eq!(life.next_deadline(), None);
    assert_eq!(life.on(Event::Tick, now + 2 * KEEP_ALIVE), Action::Nothing);
    let idle = now + 3 * KEEP_ALIVE;
    assert_eq!(
        life.on(Event::Idle(Some(Duration::from_secs(7))), idle),
        Action::Nothing
    );
    let over = idle + Duration::from_secs(7);
    assert_eq!(life.next_deadline(), Some(over));
    assert_eq!(
        life.on(Event::Tick, over - Duration::from_nanos(1)),
        Action::Nothing
    );
    assert_eq!(life.on(Event::Tick, over), Action::EndWorker);
    assert_eq!(life.on(Event::WorkerGone, over), Action::Nothing);
    assert_eq!((life.state(), life.crashes()), (ModelState::Stopped, 0));
}

#[test]
fn unloading_waits_for_running_requests() {
    let now = Instant::now();
    let mut life = ready(now);
    let _busy = life.on(Event::Busy, now);
    assert_eq!(life.on(Event::Unload, now), Action::Nothing);
    assert_eq!(life.state(), ModelState::Draining);
    assert_eq!(life.on(Event::Idle(None), now), Action::EndWorker);
    assert_eq!(life.state(), ModelState::Stopping);
}

#[test]
fn one_crash_restarts_at_once_and_a_row_of_them_backs_off() {
    let now = Instant::now();
    let mut life = ready(now);
    let _nothing = life.on(Event::WorkerGone, now);
    assert_eq!(life.state(), ModelState::Stopped);
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        let until = now + Duration::from_secs(expected);
        assert_eq!(life.on(Event::Asked, now), Action::Start);
        life.crashes_in_a_row = backoff_row(expected);
        let _nothing = life.on(Event::WorkerGone, now);
        assert_eq!(life.next_deadline(), Some(until));
        assert_eq!(life.on(Event::Wanted, now), Action::Nothing);
        assert_eq!(life.on(Event::Tick, until), Action::Nothing);
        assert_eq!(life.state(), ModelState::Stopped);
    }
}

/// Crashes in a row before the one that leads to a wait of `seconds`.
fn backoff_row(seconds: u64) -> u32 {
    (1..)
        .find(|row| backoff(row + 1) == Duration::from_secs(seconds))
        .unwrap()
}

#[test]
fn an_answer_or_a_long_life_ends_a_row() {
    let now = Instant::now();
    let mut life = ready(now);
    life.crashes_in_a_row = 5;
    let _nothing = life.on(Event::WorkerGone, now + STABLE);
    assert_eq!((life.crashes_in_a_row(), life.state()), (1, ModelState::Stopped));

    let mut life = ready(now);
    life.crashes_in_a_row = 5;
    let _nothing = life.on(Event::Answered, now);
    let _nothing = life.on(Event::WorkerGone, now);
    assert_eq!((life.crashes_in_a_row(), life.state()), (1, ModelState::Stopped));
}

#[test]
fn a_crash_loop_refuses_while_it_waits() {
    let now = Instant::now();
    let mut life = ready(now);
    life.crashes_in_a_row = CRASH_LOOP - 1;
    let _nothing = life.on(Event::WorkerGone, now);
    assert_eq!(life.refuses_for(now), Some(2 * FIRST_BACKOFF));
    assert_eq!(life.on(Event::Asked, now), Action::Start);
}

#[test]
fn what_can_not_be_loaded_is_not_tried_again_unasked() {
    let now = Instant::now();
    let mut life = Lifecycle::new(None);
    let _start = life.on(Event::Wanted, now);
    let _nothing = life.on(Event::Spawned, now);
    assert_eq!(life.on(Event::Refused { for_good: true }, now), Action::EndWorker);
    let _nothing = life.on(Event::WorkerGone, now);
    assert_eq!(life.state(), ModelState::Failed);
    assert_eq!(life.on(Event::Wanted, now), Action::Nothing);
    let _nothing = life.on(Event::Changed, now);
    assert_eq!(life.on(Event::Wanted, now), Action::Start);
    assert_eq!(
        life.on(Event::Refused { for_good: false }, now),
        Action::EndWorker
    );
    assert_eq!(life.on(Event::Wanted, now), Action::Nothing);
    let _nothing = life.on(Event::WorkerGone, now);
    assert_eq!(life.on(Event::Wanted, now), Action::Start);
}

#[test]
fn a_kept_model_never_unloads_itself() {
    let now = Instant::now();
    let mut life = Lifecycle::new(None);
    let _start = life.on(Event::Wanted, now);
    let _nothing = life.on(Event::Spawned, now);
    let _nothing = life.on(Event::Loaded, now);
    assert_eq!(life.next_deadline(), None);
    assert_eq!(life.on(Event::Tick, now + 1000 * KEEP_ALIVE), Action::Nothing);
    life.set_keep_alive(Some(KEEP_ALIVE), now);
    assert_eq!(life.next_deadline(), Some(now + KEEP_ALIVE));
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Wanted),
        1 => Just(Event::Asked),
        1 => Just(Event::Unload),
        1 => Just(Event::Changed),
        3 => Just(Event::Spawned),
        3 => Just(Event::Loaded),
        1 => any::<bool>().prop_map(|for_good| Event::Refused { for_good }),
        2 => Just(Event::WorkerGone),
        2 => Just(Event::Busy),
        2 => proptest::option::of(0_u64..400).prop_map(|time| Event::Idle(time.map(Duration::from_secs))),
        1 => Just(Event::Answered),
        3 => Just(Event::Tick),
    ]
}

proptest! {
    /// There is never a second worker, every worker that is ended was there, and a wait is never beyond its bound.
    #[test]
    fn any_history_keeps_one_worker(events in proptest::collection::vec((any_event(), 0_u64..100), 0..300)) {
        let mut now = Instant::now();
        let mut life = Lifecycle::new(Some(KEEP_ALIVE));
        let mut worker = false;
        let mut ending = false;
        for (event, seconds) in events {
            now += Duration::from_secs(seconds);
            let before = life.state();
            let action = life.on(event, now);
            match action {
                Action::Start => {
                    prop_assert!(!worker);
                    prop_assert!(before == ModelState::Stopped || event == Event::Asked);
                    worker = true;
                }
                Action::EndWorker => {
                    prop_assert!(worker && !ending);
                    ending = true;
                }
                Action::Nothing => {}
            }
            if event == Event::WorkerGone {
                worker = false;
                ending = false;
            }
            let after = life.state();
            let alive = matches!(after, ModelState::Starting | ModelState::Loading | ModelState::Ready | ModelState::Draining | ModelState::Stopping);
            prop_assert_eq!(alive, worker);
            prop_assert_eq!(after == ModelState::Stopping, ending);
            if after == ModelState::Backoff {
                prop_assert!(life.next_deadline().is_some_and(|until| until <= now + LONGEST_BACKOFF));
            }
            prop_assert!(before == after || before != ModelState::Failed || matches!(event, Event::Asked | Event::Changed));
        }
    }
}
