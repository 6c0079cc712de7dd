//! When what happens, as far as the times are known: a lane for each instance, with the windows in which it does not serve.
//!
//! As though everything that may run at once did. The page's template writes it as SVG, and as a table.

use std::time::Duration;

use serde::Serialize;

use super::super::estimate::hop_downtime;
use super::super::{duration, plan_text};
use super::picture::tail;
use crate::plan::{Action, ActionKind, Change, Hop, Plan};

/// More lanes are a table only.
const MOST_LANES: usize = 200;
/// Where lanes begin, in pixels: the names stand before.
const LEFT: f64 = 240.0;
/// How wide they are.
const WIDE: f64 = 720.0;
const LANE: i64 = 30;
const TOP: i64 = 28;

/// The timeline.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    width: i64,
    height: i64,
    ticks: Vec<Tick>,
    lanes: Vec<Lane>,
    /// Lanes that are only in the table.
    more: usize,
}

/// A time on the axis.
#[derive(Debug, Serialize)]
struct Tick {
    x: i64,
    text: String,
}

/// One instance.
#[derive(Debug, Serialize)]
struct Lane {
    /// Index into `Plan::changes`.
    change: usize,
    name: String,
    /// The name, as short as there is room.
    shown: String,
    y: i64,
    stretches: Vec<Stretch>,
}

/// A hop of an instance, in time.
#[derive(Debug, Serialize)]
struct Stretch {
    x: i64,
    width: i64,
    what: String,
    begins: String,
    ends: String,
    /// How long the downtime is, as the hop says.
    downtime: String,
    /// Where the instance does not serve.
    down: Option<Bar>,
    /// Where the point of no return is.
    point: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: i64,
    width: i64,
    begins: String,
    ends: String,
}

/// The timeline; `None` where nobody knows how long anything takes.
pub(super) fn timeline(plan: &Plan) -> Option<Timeline> {
    let schedule = plan.schedule();
    let total = plan.duration();
    if total.is_zero() {
        return None;
    }
    let x = |time: Duration| pixel(LEFT + WIDE * time.as_secs_f64() / total.as_secs_f64());
    let mut lanes = Vec::new();
    for (number, change) in plan.changes.iter().enumerate() {
        let stretches: Vec<Stretch> = change.hops.iter().filter_map(|hop| stretch(plan, &schedule, change, hop, &x)).collect();
        if !stretches.is_empty() {
            let y = TOP + LANE * i64::try_from(lanes.len()).unwrap_or(0);
            lanes.push(Lane {
                change: number,
                name: change.instance.to_string(),
                shown: tail(change.instance.as_str()),
                y,
                stretches,
            });
        }
    }
    let drawn = lanes.len().min(MOST_LANES);
    let ticks = (0..=4_u32).map(|part| total * part / 4).map(|time| Tick { x: x(time), text: at(time) }).collect();
    Some(Timeline {
        width: pixel(LEFT + WIDE) + 60,
        height: TOP + LANE * i64::try_from(drawn).unwrap_or(0) + 12,
        ticks,
        more: lanes.len() - drawn,
        lanes,
    })
}

fn stretch(
    plan: &Plan,
    schedule: &[(Duration, Duration)],
    change: &Change,
    hop: &Hop,
    x: &impl Fn(Duration) -> i64,
) -> Option<Stretch> {
    let times = |wanted: &dyn Fn(&Action) -> bool| {
        let own = hop.actions.iter().map(|at| *at as usize);
        let own = own.filter(|at| plan.actions.get(*at).is_some_and(wanted)).filter_map(|at| schedule.get(at).copied());
        own.reduce(|(begin, end), (other_begin, other_end)| (begin.min(other_begin), end.max(other_end)))
    };
    let (begins, ends) = times(&|action| !matches!(action.kind, ActionKind::Pause(_)))?;
    let wide = |begins: Duration, ends: Duration| (x(ends) - x(begins)).max(3);
    Some(Stretch {
        x: x(begins),
        width: wide(begins, ends),
        what: format!("{} {}", plan_text::verb(change.decision), plan_text::versions(hop.from.as_ref(), hop.to.as_ref())),
        begins: at(begins),
        ends: at(ends),
        downtime: hop_downtime(hop),
        down: times(&|action| action.downtime).map(|(from, until)| Bar {
            x: x(from),
            width: wide(from, until),
            begins: at(from),
            ends: at(until),
        }),
        point: hop.point_of_no_return.and_then(|point| schedule.get(point as usize)).map(|(begins, _)| x(*begins)),
    })
}

fn at(time: Duration) -> String {
    if time.is_zero() { "the start".to_owned() } else { duration(time) }
}

#[expect(clippy::cast_possible_truncation, reason = "some thousand pixels")]
fn pixel(place: f64) -> i64 {
    place.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_time_there_is_no_timeline() {
        assert!(timeline(&super::super::sample::plan(&[vec![], vec![0]])).is_none());
    }

    #[test]
    fn downtime_stands_where_it_is() {
        let mut plan = super::super::sample::plan(&[vec![], vec![0], vec![1], vec![2]]);
        for (action, seconds) in plan.actions.iter_mut().zip([60, 30, 30, 120]) {
            action.estimate = Some(Duration::from_secs(seconds));
        }
        plan.actions[1].downtime = true;
        plan.actions[2].downtime = true;
        plan.changes[0].hops[0].point_of_no_return = Some(2);
        let timeline = timeline(&plan).unwrap();
        let stretch = &timeline.lanes[0].stretches[0];
        assert_eq!((stretch.x, stretch.width), (240, 720));
        let down = stretch.down.as_ref().unwrap();
        assert_eq!((down.x, down.width, &*down.begins, &*down.ends), (240 + 180, 180, "1 min", "2 min"));
        assert_eq!(stretch.point, Some(240 + 270));
    }
}
