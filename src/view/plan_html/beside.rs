//! What the plan of a page was compared with: the configuration without a change, and an approved plan.

use serde::Serialize;

use super::super::compared::{Compared, head, line, word};
use crate::plan::{Altered, Pending};

/// The section of the page; empty where nothing was compared.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    delta: Option<Change>,
    against: Option<Approved>,
}

/// What a change of the configuration alters.
#[derive(Debug, Serialize)]
struct Change {
    head: String,
    /// Whether it alters anything.
    alters: bool,
    altered: Vec<Row>,
    pending: Vec<Row>,
}

/// An instance, where it is, what is said of it, and more of it.
#[derive(Debug, Serialize)]
struct Row {
    instance: String,
    environment: String,
    what: String,
    more: Vec<String>,
}

/// What a plan adds to the approved one.
#[derive(Debug, Serialize)]
struct Approved {
    digest: String,
    additions: Vec<String>,
}

impl Beside {
    pub(super) fn of(compared: &Compared) -> Self {
        let delta = compared.delta.as_ref().map(|delta| Change {
            head: head(delta),
            alters: !delta.altered.is_empty(),
            altered: delta.altered.iter().map(altered).collect(),
            pending: delta.pending.iter().map(pending).collect(),
        });
        let against = compared.against.as_ref().map(|against| Approved {
            digest: against.approved.to_string(),
            additions: against.additions.iter().map(line).collect(),
        });
        Self { delta, against }
    }

    /// Whether the plan is shown for a change that alters nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.delta.as_ref().is_some_and(|delta| !delta.alters)
    }
}

fn altered(altered: &Altered) -> Row {
    let Altered { instance, environment, differences, .. } = altered;
    Row {
        instance: instance.to_string(),
        environment: environment.to_string(),
        what: word(altered).to_owned(),
        more: differences.clone(),
    }
}

fn pending(Pending { instance, environment, what, .. }: &Pending) -> Row {
    Row { instance: instance.to_string(), environment: environment.to_string(), what: what.clone(), more: Vec::new() }
}
