//! An action that is carried out for each of several items, which become known when it begins.
//!
//! Takes a [`Job`] and what the journal knows of its items; sees each one through as an errand of its own. An item's beginning is
//! durable before it begins. What has ended well is not done again, and what had begun is asked about as an action is.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::clock::between;
use super::errand::{Errand, Work};
use super::event::{Direction, Ending, EventKind};
use super::invoke::{Job, Mode, Told, held, panicked, succeeded};
use super::item::{ItemEnd, ItemState, Said, SaidWhat};
use super::progress::has_done_nothing;
use crate::driver::{Failure, FailureKind, Sink as _};
use crate::lang::{Object, Value};
use crate::model::fan_out::FanOut;
use crate::plan::{Action, Change};

/// So many items are named in one sentence.
const NAMED: usize = 5;

/// An item to be seen to.
struct Item {
    key: Arc<str>,
    each: Value,
    /// What is known of it; `None`: it is not to be begun.
    mode: Option<Mode>,
}

/// What became of the items.
#[derive(Default)]
struct Sum {
    done: BTreeMap<Arc<str>, Value>,
    failed: BTreeMap<Arc<str>, (FailureKind, String)>,
    held: BTreeMap<Arc<str>, (FailureKind, String)>,
    /// How many have not ended.
    open: usize,
}

impl Job {
    /// Carries the work out for each item.
    pub(super) async fn fan_out(&self, action: &Action, change: &Change, work: Work<'_>, fan_out: &FanOut) -> Told {
        let whole = Errand::new(self, action, change, work);
        let items = match self.items(&whole, fan_out) {
            Ok(items) => items,
            Err(failure) if self.items.is_empty() => return whole.failed(failure).await,
            // Something of it is there: not as if nothing had been called.
            Err(failure) => {
                let message = self.redact.apply(&failure.message).into_owned();
                return held(FailureKind::Unknown, format!("its items cannot be told any more: {message}"));
            }
        };
        let asks = self.items_to_ask_about(&whole, action);
        let total = items.len();
        let mut sum = Sum::default();
        let mut queue = Vec::new();
        for item in items {
            match (self.items.get(&item.key), item.mode) {
                (Some(ItemState::Ended(end)), None) => sum.add(item.key, end.clone()),
                (_, None) => sum.open += 1,
                (_, Some(_)) => queue.push(item),
            }
        }
        self.say_begun(action, 1);
        let tell = |sum: &Sum| whole.voice.progress((sum.done.len() + sum.failed.len()) as u64, Some(total as u64), "items");
        tell(&sum);
        let one = |item: Item| self.item(action, change, work, item, &asks);
        let mut ends = stream::iter(queue).map(one).buffer_unordered(fan_out.at_once.max(1) as usize);
        while let Some((key, end)) = ends.next().await {
            match end {
                Some(end) => sum.add(key, end),
                None => sum.open += 1,
            }
            tell(&sum);
        }
        sum.told(total, fan_out.tolerate_failures, self.will_be_undone())
    }

    /// Whether only what has become of it is to be found out.
    fn will_be_undone(&self) -> bool {
        matches!(self.mode, Mode::Recover { again: false, .. })
    }

    /// Sees one item through; `None`: it was not begun, or given up without an answer.
    async fn item(
        &self,
        action: &Action,
        change: &Change,
        work: Work<'_>,
        item: Item,
        asks: &BTreeMap<Arc<str>, Value>,
    ) -> (Arc<str>, Option<ItemEnd>) {
        let Item { key, each, mode } = item;
        let mode = mode.unwrap_or(Mode::Fresh);
        let has_begun = matches!(self.items.get(&key), Some(ItemState::Began(_)));
        if self.around.control.is_stopping() || (!has_begun && !self.begin_item(&key).await) {
            return (key, None);
        }
        let began = self.around.clock.now();
        let (name, direction) = (action.id.clone(), self.direction);
        self.around.voice.say(EventKind::ItemBegan { action: name.clone(), direction, item: key.to_string() });
        let errand = Errand::new(self, action, change, work).of_item(Arc::clone(&key), each, asks.get(&key).cloned(), mode);
        // The others that run must be seen to their end, whatever becomes of this one.
        let told = match AssertUnwindSafe(errand.run()).catch_unwind().await {
            Ok(told) => told,
            Err(panic) => panicked(&*panic, &self.redact),
        };
        let Told::Ended { ending, kind, result } = told else { return (key, None) };
        let took = between(began, self.around.clock.now());
        let end = ItemEnd { ending: ending.clone(), kind, result };
        let what = SaidWhat::Ended(end.clone());
        // The dispatcher outlives its jobs; where it does not, nobody is left to be told.
        let _ = self.post.send(Said { action: self.index, direction, item: Arc::clone(&key), what });
        self.around.voice.say(EventKind::ItemEnded { action: name, direction, item: key.to_string(), ending, took });
        (key, Some(end))
    }

    /// Has an item's beginning written down; answers whether it may begin.
    async fn begin_item(&self, key: &Arc<str>) -> bool {
        let (answer, durable) = tokio::sync::oneshot::channel();
        let (item, what) = (Arc::clone(key), SaidWhat::Begins(answer));
        let said = Said { action: self.index, direction: self.direction, item, what };
        let is_safe = self.post.send(said).is_ok() && durable.await.is_ok();
        crash_point!("apply.item");
        is_safe
    }

    fn items(&self, whole: &Errand<'_>, fan_out: &FanOut) -> Result<Vec<Item>, Failure> {
        let found = items_of(whole, fan_out)?;
        Ok(found.into_iter().map(|(key, each)| Item { mode: self.item_mode(&key), key, each }).collect())
    }

    /// How an item is to be seen to; `None`: not at all.
    fn item_mode(&self, key: &str) -> Option<Mode> {
        let again = !self.will_be_undone();
        match (self.items.get(key), self.mode) {
            (Some(ItemState::Ended(end)), _) if end.failure().is_none() => None,
            (Some(ItemState::Ended(_)), _) if !again => None,
            (Some(ItemState::Ended(end)), Mode::Recover { since, .. }) if end.kind == Some(FailureKind::Unknown) => {
                Some(Mode::Recover { since, again })
            }
            (Some(ItemState::Ended(_)), _) => Some(Mode::Recheck),
            (Some(ItemState::Began(since)), _) => Some(Mode::Recover { since: *since, again }),
            (None, _) if !again => None,
            (None, Mode::Incomplete) => Some(Mode::Incomplete),
            (None, _) => Some(Mode::Fresh),
        }
    }

    /// By key, what `each` is for the action's `check`: the items of the action itself, also while it is undone.
    fn items_to_ask_about(&self, whole: &Errand<'_>, action: &Action) -> BTreeMap<Arc<str>, Value> {
        let items = action.fan_out.as_ref().filter(|_| action.check.is_some() && self.direction == Direction::Undo);
        items.and_then(|fan_out| items_of(whole, fan_out).ok()).into_iter().flatten().collect()
    }
}

/// The items by key, in the order written, each with what `each` is.
fn items_of(whole: &Errand<'_>, fan_out: &FanOut) -> Result<Vec<(Arc<str>, Value)>, Failure> {
    let invalid = |why: String| Failure::new(FailureKind::Invalid, format!("`fan_out`: {why}"));
    let value = whole
        .eval(&fan_out.items, None)
        .map_err(|problems| invalid(format!("`items` cannot be evaluated: {}", whole.sentence(&problems))))?;
    if value.has_unknown() {
        return Err(invalid("`items` depends on something that is not known here".to_owned()));
    }
    let pairs: Vec<(Option<Value>, Value)> = match value.unmark().0 {
        Value::Null => Vec::new(),
        Value::Object(attributes) => {
            attributes.iter().map(|(key, value)| (Some(Value::String(Arc::clone(key))), value.clone())).collect()
        }
        Value::List(values) => values.iter().map(|value| (None, value.clone())).collect(),
        other => return Err(invalid(format!("`items` must be a list or a map, and is {}", other.kind()))),
    };
    let mut found: Vec<(Arc<str>, Value)> = Vec::with_capacity(pairs.len());
    let mut seen = std::collections::BTreeSet::new();
    for (place, (own, value)) in pairs.into_iter().enumerate() {
        let each = Value::object([("key", own.clone().unwrap_or(Value::Unknown)), ("value", value.clone())]);
        let named = match &fan_out.key {
            Some(key) => whole
                .eval(key, Some(("each", each)))
                .map_err(|problems| invalid(format!("`key` of item {place} cannot be evaluated: {}", whole.sentence(&problems))))?,
            None => own.unwrap_or(value.clone()),
        };
        let key: Arc<str> = match &named {
            Value::String(text) => Arc::clone(text),
            Value::Number(number) => number.to_string().into(),
            named if named.has_sensitive() => {
                return Err(invalid(format!("the key of item {place} is sensitive, and keys are shown")));
            }
            _ if fan_out.key.is_none() => return Err(invalid("items that are no texts need a `key`".to_owned())),
            other => return Err(invalid(format!("the key of item {place} must be a text, and is {}", other.kind()))),
        };
        if matches!(whole.job.redact.apply(&key), std::borrow::Cow::Owned(_)) {
            return Err(invalid(format!("the key of item {place} holds a secret, and keys are shown")));
        }
        if key.is_empty() || !seen.insert(Arc::clone(&key)) {
            return Err(invalid(if key.is_empty() {
                format!("the key of item {place} is empty")
            } else {
                format!("the key `{key}` stands for two items")
            }));
        }
        found.push((Arc::clone(&key), Value::object([("key", Value::String(key)), ("value", value)])));
    }
    Ok(found)
}

impl Sum {
    fn add(&mut self, key: Arc<str>, end: ItemEnd) {
        let kind = end.kind.unwrap_or(FailureKind::Failed);
        match (&end.ending, end.failure().map(str::to_owned)) {
            (Ending::Held { .. }, Some(message)) => drop(self.held.insert(key, (kind, message))),
            (_, Some(message)) => drop(self.failed.insert(key, (kind, message))),
            (_, None) => drop(self.done.insert(key, end.result)),
        }
    }

    /// What became of the action.
    fn told(self, total: usize, tolerate_failures: bool, will_be_undone: bool) -> Told {
        let messages = |of: &BTreeMap<Arc<str>, (FailureKind, String)>| -> Vec<(Arc<str>, Value)> {
            of.iter().map(|(key, (_, message))| (Arc::clone(key), Value::string(message))).collect()
        };
        let mut failed = messages(&self.failed);
        failed.extend(messages(&self.held));
        let result = Value::object([
            ("items", Value::Object(self.done.clone().into_iter().collect::<Object>().into())),
            ("failed", Value::Object(failed.into_iter().collect::<Object>().into())),
            ("total", Value::from(total as u64)),
        ]);
        let lines = |of: &BTreeMap<Arc<str>, (FailureKind, String)>| -> Vec<String> {
            of.iter().map(|(key, (_, message))| format!("{key}: {message}")).collect()
        };
        if !self.held.is_empty() {
            // One whose outcome is not known weighs more than one that was cancelled.
            let kinds = || self.held.values().map(|(kind, _)| *kind);
            let kind = kinds().find(|kind| *kind == FailureKind::Unknown).or(kinds().next()).unwrap_or(FailureKind::Unknown);
            let message = format!("{} of {total} items are held: {}", self.held.len(), sentence(lines(&self.held)));
            return Told::Ended { ending: Ending::Held { message }, kind: Some(kind), result };
        }
        if self.open > 0 && will_be_undone {
            let message = format!("it had begun, {} of {total} items were not begun, and it will be undone", self.open);
            return Told::Ended { ending: Ending::Held { message }, kind: Some(FailureKind::Unknown), result };
        }
        if self.open > 0 {
            return Told::Unfinished;
        }
        if self.failed.is_empty() {
            return succeeded(result);
        }
        let count = format!("{} of {total} items failed", self.failed.len());
        if tolerate_failures {
            let message = format!("{count}: {}", sentence(lines(&self.failed)));
            return Told::Ended { ending: Ending::Tolerated { message }, kind: None, result };
        }
        let mut kinds = self.failed.values().map(|(kind, _)| *kind);
        let first = kinds.next().unwrap_or(FailureKind::Failed);
        let kind = match first {
            // Only where nothing at all was called is nothing of it there.
            kind if has_done_nothing(kind) && !self.done.is_empty() => FailureKind::Failed,
            first if kinds.all(|kind| kind == first) => first,
            _ => FailureKind::Failed,
        };
        let message = format!("{count}: {}", sentence(self.failed.keys().map(ToString::to_string).collect()));
        let ending = Ending::Failed { kind, message, output: lines(&self.failed), help: None };
        Told::Ended { ending, kind: Some(kind), result }
    }
}

fn sentence(mut items: Vec<String>) -> String {
    let more = items.len().saturating_sub(NAMED);
    items.truncate(NAMED);
    if more > 0 {
        items.push(format!("and {more} more"));
    }
    items.join("; ")
}
