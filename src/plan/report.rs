//! Why things are as they are: one verdict for every instance, changed or not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::source::Span;

use super::candidate::{Candidate, Course, Draft};
use super::change::Decision;
use super::gate::Gate;
use super::ruling::Ruling;

/// What the planner thought of everything. Goes with a [`Plan`](super::Plan); apply does not need it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "What the planner thought of everything. Goes with a plan; apply does not need it.")]
pub struct Report {
    /// In address order.
    pub verdicts: Vec<Verdict>,
    /// What the policies of the configuration object to, as they saw it when the plan was made; apply asks them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rulings: Vec<Ruling>,
}

/// What the planner thought of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// What it came to.
    pub kind: VerdictKind,
    /// Why, in sentences; for a blocked one every reason, with its remedy.
    pub why: Vec<String>,
    /// What does not fit together although nothing is done about it: what it requires of others and does not get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Where the reason is written.
    #[serde(skip)]
    pub span: Option<Span>,
}

/// What a verdict came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// It is as declared.
    Nothing,
    /// It changes.
    Change(Decision),
    /// It should change and cannot: the plan is not applicable for this instance and what depends on it.
    Blocked,
    /// Its version could not be seen, so nothing is planned for it.
    Unobserved,
    /// A gate of its environment is closed: planned, and apply will refuse until it opens.
    Waiting,
}

/// One verdict for every candidate that was asked about, and what changes.
pub(super) fn told(candidates: Vec<Candidate<'_>>) -> (Report, Vec<Draft>) {
    let mut report = Report::default();
    let mut drafts = Vec::new();
    for candidate in candidates {
        let mut span = candidate.span();
        let (kind, why) = match candidate.course {
            Course::Undecided | Course::Aside => continue,
            Course::Nothing(why) => (VerdictKind::Nothing, why),
            Course::Unobserved(why) => (VerdictKind::Unobserved, why),
            Course::Blocked(obstacles, _) => {
                span = obstacles.iter().find_map(|obstacle| obstacle.span).or(span);
                (VerdictKind::Blocked, obstacles.into_iter().map(|obstacle| obstacle.text).collect())
            }
            Course::Change(draft) => {
                let told = (VerdictKind::Change(draft.change.decision), draft.change.why.clone());
                drafts.push(*draft);
                told
            }
        };
        let (instance, environment) = (candidate.addr.clone(), candidate.environment.clone());
        report.verdicts.push(Verdict { instance, environment, kind, why, warnings: candidate.warnings, span });
    }
    (report, drafts)
}

impl Report {
    /// Says which changes wait for a gate.
    pub(super) fn waiting(mut self, gates: &[Gate]) -> Self {
        let closed: Vec<&Gate> = gates.iter().filter(|gate| !gate.open).collect();
        if closed.is_empty() {
            return self;
        }
        let of_all: std::collections::HashSet<&EnvironmentName> =
            closed.iter().filter(|gate| gate.instance.is_none()).map(|gate| &gate.environment).collect();
        let of_one: std::collections::HashSet<&InstanceAddr> = closed.iter().filter_map(|gate| gate.instance.as_ref()).collect();
        for verdict in &mut self.verdicts {
            // What is only recorded or forgotten waits for no gate of the whole environment.
            let touches = !matches!(verdict.kind, VerdictKind::Change(Decision::Adopt | Decision::Forget));
            let waits = of_one.contains(&verdict.instance) || touches && of_all.contains(&verdict.environment);
            if waits && matches!(verdict.kind, VerdictKind::Change(_)) {
                verdict.kind = VerdictKind::Waiting;
                let mine = |gate: &&&Gate| {
                    gate.instance.as_ref().map_or(gate.environment == verdict.environment, |of| *of == verdict.instance)
                };
                verdict.why.extend(closed.iter().filter(mine).map(|gate| gate.message.clone()));
            }
        }
        self
    }
}
