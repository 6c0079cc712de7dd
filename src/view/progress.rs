//! A run on a terminal: finished actions scroll away above, running ones stay below with their time and progress.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::apply::event::{Direction, Event, EventKind};
use crate::model::name::ActionId;

use super::{Lines, Palette, duration};

/// Draws a run. Only for a terminal that can move the cursor; [`Lines`] is for the others.
pub struct Progress {
    bars: MultiProgress,
    whole: ProgressBar,
    running: BTreeMap<ActionId, ProgressBar>,
    /// How many items of a running action are through, in words.
    items: BTreeMap<ActionId, String>,
    lines: Lines,
    palette: Palette,
}

impl Progress {
    /// Begins to draw. `estimate` is how long the run is expected to take, `downtime` how long without service.
    #[must_use]
    pub fn new(palette: Palette, verbose: bool, estimate: Option<Duration>, downtime: Option<Duration>) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15));
        let whole = bars.add(ProgressBar::new(0));
        whole.set_style(style("{bar:28.cyan/dim} {pos}/{len} actions  {elapsed} {msg}"));
        let expected = estimate.map(|estimate| format!("of about {}", duration(estimate))).unwrap_or_default();
        let downtime = downtime.map(|downtime| format!(", downtime about {}", duration(downtime))).unwrap_or_default();
        whole.set_message(format!("{expected}{downtime}"));
        whole.enable_steady_tick(Duration::from_millis(200));
        Self { bars, whole, running: BTreeMap::new(), items: BTreeMap::new(), lines: Lines::new(palette, verbose), palette }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunBegan { actions, done, .. } => {
                self.whole.set_length(*actions as u64);
                self.whole.set_position(*done as u64);
            }
            EventKind::ActionBegan { action, direction, .. } => self.begin(action, *direction),
            EventKind::ActionOutput { action, line, .. } => {
                if let Some(bar) = self.running.get(action) {
                    bar.set_message(line.chars().take(100).collect::<String>());
                }
            }
            EventKind::ActionProgress { action, item: None, done, total, unit } => {
                let amount = amount(*done, *total, unit);
                if unit == "items" {
                    self.items.insert(action.clone(), amount.clone());
                }
                self.message(action, amount);
            }
            EventKind::ActionProgress { action, item: Some(item), done, total, unit } => {
                self.message(action, self.of_item(action, &format!("{item} {}", amount(*done, *total, unit))));
            }
            EventKind::ItemBegan { action, item, .. } => self.message(action, self.of_item(action, item)),
            EventKind::ActionEnded { action, direction, .. } => {
                if let Some(bar) = self.running.remove(action) {
                    bar.finish_and_clear();
                }
                if *direction == Direction::Forward {
                    self.whole.inc(1);
                }
            }
            EventKind::RunEnded { .. } => {
                for bar in std::mem::take(&mut self.running).into_values() {
                    bar.finish_and_clear();
                }
                self.whole.finish_and_clear();
            }
            _ => {}
        }
        // A beginning is shown by its bar; everything else scrolls by as in a log.
        if !matches!(event.kind, EventKind::ActionBegan { attempt: 1, .. } | EventKind::ActionOutput { .. })
            && let Some(line) = self.lines.line(event)
        {
            // Nothing is to be done about a terminal that has gone away: the run matters more.
            let _ = self.bars.println(line);
        }
    }

    fn message(&self, action: &ActionId, message: String) {
        if let Some(bar) = self.running.get(action) {
            bar.set_message(message);
        }
    }

    /// How many items are through, and what is to be said of one.
    fn of_item(&self, action: &ActionId, what: &str) -> String {
        self.items.get(action).map_or_else(|| what.to_owned(), |items| format!("{items}: {what}"))
    }

    fn begin(&mut self, action: &ActionId, direction: Direction) {
        if self.running.contains_key(action) {
            return;
        }
        let bar = self.bars.insert_before(&self.whole, ProgressBar::new_spinner());
        let name = match direction {
            Direction::Forward => action.to_string(),
            Direction::Undo => self.palette.warn(&format!("undo {action}")),
        };
        bar.set_style(style("{spinner} {prefix}  {elapsed}  {wide_msg:.dim}"));
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(200));
        self.running.insert(action.clone(), bar);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn amount(done: u64, total: Option<u64>, unit: &str) -> String {
    if unit == "%" {
        return format!("{done} %");
    }
    match (total, unit) {
        (Some(total), "bytes") => format!("{} of {}", super::bytes(done), super::bytes(total)),
        (None, "bytes") => super::bytes(done),
        (Some(total), unit) => format!("{done} of {total} {unit}"),
        (None, unit) => format!("{done} {unit}"),
    }
}
