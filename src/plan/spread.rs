//! How long steps took in earlier runs, and what follows from it for the downtime of a hop.
//!
//! Takes measured times, gives the least, the usual and the most. Knows no history: the caller brings the times.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a step took in earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// In how many runs it was measured; at least one.
    pub runs: u32,
    /// The shortest time.
    pub least: Duration,
    /// The median.
    pub typical: Duration,
    /// The longest time.
    pub most: Duration,
}

impl Spread {
    /// From the times of runs, in any order; `None` where there are none.
    #[must_use]
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let typical = *sorted.get(sorted.len() / 2)?;
        Some(Self { runs: u32::try_from(sorted.len()).unwrap_or(u32::MAX), least, typical, most })
    }
}

/// Between what a hop's downtime lies, where steps of it were measured in earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DowntimeSpread {
    /// Where every measured step takes its shortest time.
    pub least: Duration,
    /// Where every measured step takes its longest time.
    pub most: Duration,
    /// The fewest runs that a measured step was measured in.
    pub runs: u32,
    /// Steps of the downtime that were never measured: they count with the provider's estimate, or as no time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unmeasured: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_is_the_median_and_not_the_mean() {
        let times: Vec<Duration> = [60, 2, 3].map(Duration::from_secs).into();
        let spread = Spread::of(&times).unwrap();
        let seconds = [spread.least, spread.typical, spread.most].map(|time| time.as_secs());
        assert_eq!((spread.runs, seconds), (3, [2, 3, 60]));
        assert_eq!(Spread::of(&[]), None);
    }
}
