//! Brackets: states that a step puts a platform into and a later one takes it out of, such as a maintenance mode.
//!
//! A bracket is open from when the action that opens it *begins*: a failure may have left it open. It is closed once an action that
//! closes it has ended well. The live run and the reading of a journal change it through [`super::progress`].

use std::sync::Arc;

use jiff::Timestamp;

use super::event::Direction;
use super::progress::Progress;
use crate::plan::{Action, ActionUndo, Plan};
use crate::state::BracketTime;

/// A bracket that was opened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bracket {
    /// Of which change of the plan.
    pub change: u32,
    /// What it is called.
    pub name: Arc<str>,
    /// The action that opened it.
    pub by: u32,
    /// Since when.
    pub opened: Timestamp,
    /// Until when; `None`: it is open.
    pub closed: Option<Timestamp>,
}

/// Every bracket of a run, in the order opened.
#[derive(Debug, Default)]
pub struct Brackets {
    all: Vec<Bracket>,
    /// What has changed and was not told yet.
    news: Vec<News>,
}

/// That a bracket was opened or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Opened(Bracket),
    Closed(Bracket),
}

impl Brackets {
    /// All that were opened, also those that were closed again.
    #[must_use]
    pub fn all(&self) -> &[Bracket] {
        &self.all
    }

    /// Those that are open.
    pub fn open(&self) -> impl Iterator<Item = &Bracket> {
        self.all.iter().filter(|bracket| bracket.closed.is_none())
    }

    /// What has changed since this was asked last.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// An action is about to begin.
    pub(super) fn begin(&mut self, by: u32, action: &Action, direction: Direction, at: Timestamp) {
        if let Some(name) = names(action, direction).opens
            && !self.open().any(|bracket| bracket.change == action.change && bracket.name == *name)
        {
            let bracket = Bracket { change: action.change, name: Arc::clone(name), by, opened: at, closed: None };
            self.news.push(News::Opened(bracket.clone()));
            self.all.push(bracket);
        }
    }

    /// Nothing was called after all: what its beginning at that time has opened was never open.
    pub(super) fn withdraw(&mut self, by: u32, began: Option<Timestamp>) {
        let own = |bracket: &Bracket| bracket.by == by && bracket.closed.is_none() && Some(bracket.opened) == began;
        if let Some(place) = self.all.iter().position(own) {
            let bracket = self.all.remove(place);
            self.news.push(News::Closed(Bracket { closed: Some(bracket.opened), ..bracket }));
        }
    }

    /// An action has ended well, or a person has said so.
    pub(super) fn succeed(&mut self, by: u32, action: &Action, direction: Direction, at: Timestamp) {
        self.begin(by, action, direction, at);
        let Some(name) = names(action, direction).closes else { return };
        for bracket in &mut self.all {
            if bracket.closed.is_none() && bracket.change == action.change && bracket.name == *name {
                bracket.closed = Some(at);
                self.news.push(News::Closed(bracket.clone()));
            }
        }
    }
}

/// The brackets of a run as the history has them.
#[must_use]
pub fn bracket_times(plan: &Plan, progress: &Progress) -> Vec<BracketTime> {
    let time = |bracket: &Bracket| {
        let change = plan.changes.get(bracket.change as usize)?;
        let (name, opened, closed) = (bracket.name.to_string(), bracket.opened, bracket.closed);
        Some(BracketTime { instance: change.instance.clone(), name, opened, closed })
    };
    progress.brackets.all().iter().filter_map(time).collect()
}

struct Names<'a> {
    opens: Option<&'a Arc<str>>,
    closes: Option<&'a Arc<str>>,
}

fn names(action: &Action, direction: Direction) -> Names<'_> {
    let (opens, closes) = match (direction, &action.undo) {
        (Direction::Forward, _) => (&action.opens, &action.closes),
        (Direction::Undo, ActionUndo::Call { opens, closes, .. }) => (opens, closes),
        (Direction::Undo, ActionUndo::Harmless | ActionUndo::Irreversible) => (&None, &None),
    };
    Names { opens: opens.as_ref(), closes: closes.as_ref() }
}
