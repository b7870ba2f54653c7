use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mains_types::Digest;
use mains_wire::files::{Measuring, read_measuring, write_measuring};
use proptest::prelude::*;

use super::{BackgroundConfig, End, LEAST_TIME, LOOK_EVERY, MOST_DEATHS, MOST_SPENT, REST, Schedule, due};

const CONFIG: BackgroundConfig = BackgroundConfig {
    after: Duration::from_secs(60),
    most: Duration::from_secs(7200),
    groups: 256,
    texts: 24,
};

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn failed(schedule: &Schedule, number: u8) -> Option<String> {
    schedule.record(&digest(number)).unwrap().0.failed.clone()
}

#[test]
fn nothing_begins_before_all_was_quiet_for_long_enough() {
    let now = Instant::now();
    let later = |seconds| now + Duration::from_secs(seconds);
    assert_eq!(due(&CONFIG, None, now), Err(later(60)));
    assert_eq!(due(&CONFIG, Some(now), later(59)), Err(later(60)));
    assert_eq!(due(&CONFIG, Some(now), later(60)), Ok(()));
}

#[test]
fn the_oldest_goes_first_and_one_that_rests_lets_others_pass() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    assert_eq!(schedule.next(now), Err(now + LOOK_EVERY));
    schedule.found(digest(1), 20, Measuring::default());
    schedule.found(digest(2), 10, Measuring::default());
    assert_eq!(schedule.next(now), Ok(digest(2)));
    schedule.begin(&CONFIG, digest(2), now);
    let end = End::Later("memory".to_owned());
    schedule.ended(&CONFIG, digest(2), end, now).unwrap();
    assert_eq!(schedule.record(&digest(2)).unwrap().1, Some("memory"));
    assert_eq!(schedule.next(now), Ok(digest(1)));
    schedule.begin(&CONFIG, digest(1), now);
    assert_eq!(schedule.ended(&CONFIG, digest(1), End::Done, now), None);
    assert_eq!(schedule.next(now), Err(now + LOOK_EVERY));
    assert_eq!(schedule.next(now + REST), Ok(digest(2)));
    schedule.keep(&[digest(1)]);
    assert_eq!(schedule.next(now + REST), Err(now + REST + LOOK_EVERY));
}

#[test]
fn deaths_in_a_row_count_until_a_group_is_measured() {
    let mut now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.found(digest(1), 0, Measuring::default());
    let mut die = |schedule: &mut Schedule, learned: Option<&str>| {
        now += REST;
        schedule.begin(&CONFIG, digest(1), now);
        if let Some(name) = learned {
            schedule.learned(name.to_owned(), 0.5, now).unwrap();
        }
        schedule
            .ended(&CONFIG, digest(1), End::Died("died (signal 9)".to_owned()), now)
            .unwrap();
    };
    die(&mut schedule, None);
    die(&mut schedule, None);
    die(&mut schedule, Some("a"));
    die(&mut schedule, None);
    assert_eq!(failed(&schedule, 1), None);
    die(&mut schedule, None);
    let why = failed(&schedule, 1).unwrap();
    assert_eq!(
        why,
        format!("its worker died (signal 9), {MOST_DEATHS} times in a row")
    );
}

#[test]
fn time_that_is_spent_is_not_given_again() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    let spent = CONFIG.most - Duration::from_secs(100);
    let known = Measuring {
        spent,
        ..Measuring::default()
    };
    schedule.found(digest(1), 0, known);
    let (left, _) = schedule.begin(&CONFIG, digest(1), now);
    assert_eq!(left, Duration::from_secs(100));
    schedule
        .ended(
            &CONFIG,
            digest(1),
            End::Interrupted,
            now + Duration::from_secs(200),
        )
        .unwrap();
    assert_eq!(schedule.begin(&CONFIG, digest(1), now).0, LEAST_TIME);
    schedule
        .ended(
            &CONFIG,
            digest(1),
            End::Interrupted,
            now + CONFIG.most * MOST_SPENT,
        )
        .unwrap();
    assert!(failed(&schedule, 1).unwrap().contains("always interrupted"));
}

/// What may happen to the model whose turn it is.
#[derive(Debug, Clone)]
enum Happening {
    /// Groups are measured, and then it ends.
    Turn { groups: u8, seconds: u16, end: End },
    /// The daemon is killed after so many groups: only what was handed out for the disk is left.
    Killed { groups: u8 },
    /// Time passes.
    Rest,
}

fn happening() -> impl Strategy<Value = Happening> {
    let end = prop_oneof![
        2 => Just(End::Done),
        6 => Just(End::Interrupted),
        2 => Just(End::Died("died".to_owned())),
        1 => Just(End::Refused("no tokenizer".to_owned())),
        2 => Just(End::Later("memory".to_owned())),
    ];
    prop_oneof![
        6 => (0..4_u8, 1..4000_u16, end).prop_map(|(groups, seconds, end)| Happening::Turn { groups, seconds, end }),
        2 => (0..4_u8).prop_map(|groups| Happening::Killed { groups }),
        2 => Just(Happening::Rest),
    ]
}

/// A daemon, its disk, and what must hold of them whatever happens.
struct World {
    schedule: Schedule,
    disk: Vec<Measuring>,
    done: BTreeSet<u8>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            schedule: Schedule::default(),
            disk: vec![Measuring::default(); 3],
            done: BTreeSet::new(),
            now: Instant::now(),
        };
        world.start();
        world
    }

    fn start(&mut self) {
        self.schedule = Schedule::default();
        for number in (0..3).filter(|number| !self.done.contains(number)) {
            let file = write_measuring(&self.disk[usize::from(number)], &digest(number), "1");
            let record = read_measuring(&file, &digest(number), "1").unwrap();
            self.schedule.found(digest(number), u64::from(number), record);
        }
    }

    /// A turn of the model that is next, if one is.
    fn turn(&mut self, groups: u8) -> Option<u8> {
        let number = self.schedule.next(self.now).ok()?.0[0];
        assert!(!self.done.contains(&number), "a table is made once");
        let on_disk = &self.disk[usize::from(number)];
        assert_eq!(on_disk.failed, None, "what was given up is left alone");
        let (left, known) = self.schedule.begin(&CONFIG, digest(number), self.now);
        assert!(left <= CONFIG.most && left >= LEAST_TIME);
        assert_eq!(known.groups, on_disk.groups, "nothing that was found is lost");
        for _ in 0..groups {
            let name = self.disk[usize::from(number)].groups.len().to_string();
            self.now += Duration::from_secs(1);
            let record = self.schedule.learned(name, 0.5, self.now).unwrap();
            assert!(record.groups.len() > self.disk[usize::from(number)].groups.len());
            self.disk[usize::from(number)] = record;
        }
        Some(number)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Rest => self.now += REST,
            Happening::Killed { groups } => {
                self.turn(groups);
                self.start();
            }
            Happening::Turn { groups, seconds, end } => {
                let Some(number) = self.turn(groups) else { return };
                self.now += Duration::from_secs(seconds.into());
                let spent = self.disk[usize::from(number)].spent;
                match self
                    .schedule
                    .ended(&CONFIG, digest(number), end.clone(), self.now)
                {
                    None => {
                        assert_eq!(end, End::Done);
                        self.done.insert(number);
                    }
                    Some(record) => {
                        assert!(record.spent > spent, "time is counted");
                        let given_up = record.failed.is_some();
                        assert!(given_up || record.spent <= CONFIG.most * MOST_SPENT);
                        assert!(given_up || record.deaths < MOST_DEATHS);
                        self.disk[usize::from(number)] = record;
                    }
                }
                assert!(self.schedule.running.is_none());
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_lost_repeated_or_endless(happenings in proptest::collection::vec(happening(), 0..60)) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        // Left alone, every model ends.
        for _ in 0..20 {
            world.now += REST;
            let end = End::Done;
            world.happen(Happening::Turn { groups: 1, seconds: 10, end });
        }
        for number in 0..3_u8 {
            let given_up = world.disk[usize::from(number)].failed.is_some();
            prop_assert!(given_up != world.done.contains(&number));
        }
    }
}
