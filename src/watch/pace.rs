//! When to look next, and when to try again. Pure: time and chance are passed in.

use std::time::Duration;

use jiff::Timestamp;

/// The longest time to sleep at once, so that a clock that was set is noticed.
const SLICE: Duration = Duration::from_secs(30);

/// The first pause before a message is sent again.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause before a message is sent again.
const LONGEST: Duration = Duration::from_secs(60);

/// An interval, a tenth longer or shorter by chance (0 to 1), so that many who watch do not look at the same moment.
#[must_use]
pub fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * chance.clamp(0.0, 1.0))
}

/// The pause after so many failed tries (from 1): each twice the one before, half of it by chance; or what the server asked for.
#[must_use]
pub fn backoff(tries: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let pause = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
    let pause = pause.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
    asked.map_or(pause, |asked| asked.clamp(pause, LONGEST))
}

/// When the next look is due: when the wait is over by the clock that is never set, or by the one on the wall, so that a machine that
/// slept looks soon after it wakes. A wall clock that is set back delays nothing.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    began: Timestamp,
    wait: Duration,
}

impl Due {
    /// From now on so long.
    #[must_use]
    pub fn new(now: Timestamp, wait: Duration) -> Self {
        Self { began: now, wait }
    }

    /// How long to sleep before asking again; `None`: it is due. `passed`: by the clock that is never set.
    #[must_use]
    pub fn sleep(&self, now: Timestamp, passed: Duration) -> Option<Duration> {
        let on_the_wall = Duration::try_from(now.duration_since(self.began)).unwrap_or_default();
        let left = self.wait.saturating_sub(passed.max(on_the_wall));
        (!left.is_zero()).then(|| left.min(SLICE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    #[test]
    fn a_look_is_due_after_its_time_and_sleeps_in_slices_until_then() {
        let due = Due::new(at(0), HOUR);
        assert_eq!(due.sleep(at(0), Duration::ZERO), Some(SLICE));
        assert_eq!(due.sleep(at(3599), Duration::from_secs(3599)), Some(Duration::from_secs(1)));
        assert_eq!(due.sleep(at(3600), HOUR), None);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_nothing_and_one_that_jumps_ahead_means_now() {
        let due = Due::new(at(1_000_000), HOUR);
        assert_eq!(due.sleep(at(0), HOUR), None);
        assert_eq!(due.sleep(at(0), Duration::from_secs(3590)), Some(Duration::from_secs(10)));
        assert_eq!(due.sleep(at(1_010_000), Duration::from_secs(1)), None, "the machine slept");
    }

    #[test]
    fn chance_moves_an_interval_by_a_tenth() {
        assert_eq!(jittered(HOUR, 0.0), HOUR.mul_f64(0.9));
        assert_eq!(jittered(HOUR, 0.5), HOUR);
        assert_eq!(jittered(HOUR, 7.0), HOUR.mul_f64(1.1));
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_a_server_may_ask_for_more() {
        let full = |tries| backoff(tries, None, 1.0).as_millis();
        assert_eq!([full(1), full(2), full(3), full(20), full(u32::MAX)], [500, 1000, 2000, 60_000, 60_000]);
        assert_eq!(backoff(1, None, 0.0).as_millis(), 250);
        assert_eq!(backoff(1, Some(Duration::from_secs(7)), 0.0).as_secs(), 7);
        assert_eq!(backoff(1, Some(HOUR), 0.0), LONGEST);
    }
}
