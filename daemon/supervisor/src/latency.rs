//! How long requests take, counted in fixed buckets. Values only.

use std::time::Duration;

/// Upper bounds of the buckets, the bound included. From what the daemon itself adds, through an answer of a small model, to
/// the 5 minutes of the queue and the 10 minutes after which `OpenAI`'s clients give up; two to three bounds a decade tell an
/// order of magnitude, and a scrape stays a few lines a model.
pub const LATENCY_BOUNDS: [Duration; 17] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
    Duration::from_mins(2),
    Duration::from_mins(5),
    Duration::from_mins(10),
];

/// Times of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyCounts {
    /// One a bucket, not summed up; what is above every bound comes last.
    counts: [u64; LATENCY_BOUNDS.len() + 1],
    sum: Duration,
}

impl LatencyCounts {
    /// Counts one time.
    pub fn observe(&mut self, time: Duration) {
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < time);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(time);
    }

    /// Bounds with the counts of their buckets alone; the last bucket has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = LATENCY_BOUNDS.into_iter().map(Some).chain([None]);
        bounds.zip(self.counts)
    }

    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

/// Times of one model's requests, from those that a worker began to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latencies {
    /// From a request's arrival until a worker had room for it, a load of the model included.
    pub queue: LatencyCounts,
    /// From its arrival until its first token was passed on; requests without a token are not counted.
    pub first_token: LatencyCounts,
    /// From its arrival until its row was settled, however it ended.
    pub whole: LatencyCounts,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_grow() {
        assert!(LATENCY_BOUNDS.is_sorted_by(|one, next| one < next));
    }

    proptest! {
        #[test]
        fn each_time_is_in_the_first_bucket_that_holds_it(times in prop::collection::vec(0..1_000_000_000_u64, 0..50)) {
            let times: Vec<_> = times.into_iter().map(Duration::from_micros).collect();
            let mut counts = LatencyCounts::default();
            times.iter().for_each(|time| counts.observe(*time));
            prop_assert_eq!(counts.count(), times.len() as u64);
            prop_assert_eq!(counts.sum(), times.iter().sum::<Duration>());
            let mut up_to = 0;
            for (bound, count) in counts.buckets() {
                up_to += count;
                let held = times.iter().filter(|time| bound.is_none_or(|bound| **time <= bound));
                prop_assert_eq!(up_to, held.count() as u64);
            }
        }
    }
}
