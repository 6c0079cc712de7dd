//! What a reviewer must know before anything else.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use super::super::estimate::risk;
use super::super::plan_markdown::{accepted, headline, is_stuck, points, waived, waived_checks};
use super::super::plan_text::total_downtime;
use super::super::{duration, unsaid_opening};
use crate::plan::{Effect, GateKind, NoteText, Plan, PreflightOutcome, Report, Ruling, VerdictKind};

/// The head of the page.
#[derive(Debug, Serialize)]
pub(super) struct Brief {
    headline: String,
    created: String,
    tool: String,
    digest: String,
    /// Name and value.
    facts: Vec<(&'static str, String)>,
    blocked: Vec<Blocked>,
    /// What must be thought about, each with a word for what it is.
    points: Vec<Remark>,
    notes: Vec<Remark>,
    /// Instances that are as declared.
    unchanged: usize,
}

#[derive(Debug, Serialize)]
struct Blocked {
    instance: String,
    environment: String,
    why: Vec<String>,
}

/// A sentence with its kind and whom it is about.
#[derive(Debug, PartialEq, Serialize)]
struct Remark {
    kind: &'static str,
    about: Vec<Subject>,
    text: String,
    /// A page to read; only where a browser may safely go there.
    url: Option<String>,
    /// What to write into the configuration.
    paste: Option<String>,
}

/// An instance or environment, and the action (index into `Plan::actions`) that is meant.
#[derive(Debug, PartialEq, Serialize)]
struct Subject {
    name: String,
    action: Option<u32>,
}

impl Remark {
    fn new(kind: &'static str, whose: impl ToString, text: impl Into<String>) -> Self {
        let about = vec![Subject { name: whose.to_string(), action: None }];
        Self { kind, about, text: text.into(), url: None, paste: None }
    }
}

impl Brief {
    /// `idle`: the plan is shown for a change of the configuration that alters nothing.
    pub(super) fn of(plan: &Plan, report: &Report, idle: bool) -> Self {
        let parts = headline(plan, report);
        let blocked = report.verdicts.iter().filter(|verdict| is_stuck(verdict.kind));
        Self {
            headline: match (parts.is_empty(), idle) {
                (true, true) => "Nothing changes because of this".to_owned(),
                (true, false) => "No changes".to_owned(),
                (false, _) => parts.join(", "),
            },
            created: plan.created.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            tool: plan.tool_version.clone(),
            digest: plan.digest().map(|digest| digest.to_string()).unwrap_or_default(),
            facts: facts(plan),
            blocked: blocked
                .map(|verdict| Blocked {
                    instance: verdict.instance.to_string(),
                    environment: verdict.environment.to_string(),
                    why: verdict.why.clone(),
                })
                .collect(),
            points: gathered(rulings(report).chain(remarks(plan)).collect()),
            notes: gathered(notes(plan)),
            unchanged: report.verdicts.iter().filter(|verdict| verdict.kind == VerdictKind::Nothing).count(),
        }
    }
}

fn facts(plan: &Plan) -> Vec<(&'static str, String)> {
    let downtime = match total_downtime(plan) {
        None => "unknown".to_owned(),
        Some(Duration::ZERO) => "none".to_owned(),
        Some(sum) => format!("about {}", duration(sum)),
    };
    let takes = match plan.duration() {
        Duration::ZERO => "not known".to_owned(),
        time => format!("about {}", duration(time)),
    };
    let number = |count: usize| if count == 0 { "none".to_owned() } else { count.to_string() };
    let waived = waived(plan);
    vec![
        ("Risk", risk(plan)),
        ("Downtime", downtime),
        ("Takes", takes),
        ("Points of no return", number(points(plan).count())),
        ("Gates closed", number(plan.gates.iter().filter(|gate| !gate.open).count())),
        ("Waivers", number(waived)),
        ("Actions", number(plan.actions.iter().filter(|action| action.kind.call().is_some()).count())),
    ]
}

/// What policies object to.
fn rulings(report: &Report) -> impl Iterator<Item = Remark> {
    report.rulings.iter().map(|Ruling { effect, id, message, help, instance, environment, waived }| {
        let whose = instance.as_ref().map(ToString::to_string).or_else(|| environment.as_ref().map(ToString::to_string));
        let (kind, more) = match (effect, waived) {
            (_, Some(waived)) => {
                let owner = waived.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
                let until = waived.until.map(|until| format!(", until {until}")).unwrap_or_default();
                ("Policy waived", Some(format!("waived: {}{owner}{until}", waived.reason)))
            }
            (Effect::Deny, None) => ("Denied by policy", help.clone()),
            (Effect::Warn, None) => ("Policy warning", help.clone()),
        };
        let more = more.map(|more| format!(" ({more})")).unwrap_or_default();
        Remark::new(kind, whose.unwrap_or_else(|| "the plan".to_owned()), format!("{id}: {message}{more}"))
    })
}

fn remarks(plan: &Plan) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for gate in plan.gates.iter().filter(|gate| !gate.open || gate.waived.is_some()) {
        let whose = gate.instance.as_ref().map_or_else(|| gate.environment.to_string(), |instance| instance.to_string());
        remarks.push(match &gate.waived {
            Some(reason) => Remark::new("Gate waived", whose, reason.clone()),
            None => {
                let opens = unsaid_opening(&gate.message, gate.opens).map(|opens| format!(" (opens {opens})")).unwrap_or_default();
                Remark { paste: gate.paste.clone(), ..Remark::new("Gate closed", whose, format!("{}{opens}", gate.message)) }
            }
        });
    }
    for (change, action) in points(plan) {
        let place = plan.actions.iter().position(|other| other.id == action.id).and_then(|place| u32::try_from(place).ok());
        let text = format!("{}: after it only a restore leads back", action.title);
        let about = vec![Subject { name: change.instance.to_string(), action: place }];
        remarks.push(Remark { about, ..Remark::new("Point of no return", "", text) });
    }
    for (change, name, reason) in waived_checks(plan) {
        remarks.push(Remark::new("Check waived", &change.instance, format!("{name}: {reason}")));
    }
    for (change, name) in accepted(plan) {
        remarks.push(Remark::new("Waiver relied on", &change.instance, name));
    }
    for change in &plan.changes {
        for check in change.preflights.iter().filter(|check| check.outcome == PreflightOutcome::Warn) {
            let remedy = check.remedy.as_ref().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
            remarks.push(Remark::new("Warning", &change.instance, format!("{}{remedy}", check.message)));
        }
    }
    let shown = [GateKind::Acknowledgement, GateKind::Approval, GateKind::Window];
    for gate in plan.gates.iter().filter(|gate| gate.open && gate.waived.is_none() && shown.contains(&gate.kind)) {
        let whose = gate.instance.as_ref().map_or_else(|| gate.environment.to_string(), |instance| instance.to_string());
        remarks.push(Remark::new("Gate open", whose, gate.message.clone()));
    }
    remarks
}

/// A remark without whom it is about: kind, text, address, what to paste.
type Said = (&'static str, String, Option<String>, Option<String>);

/// What is said of several is said once.
fn gathered(remarks: Vec<Remark>) -> Vec<Remark> {
    let mut gathered: IndexMap<Said, Vec<Subject>> = IndexMap::new();
    for Remark { kind, about, text, url, paste } in remarks {
        gathered.entry((kind, text, url, paste)).or_default().extend(about);
    }
    gathered.into_iter().map(|((kind, text, url, paste), about)| Remark { kind, about, text, url, paste }).collect()
}

fn notes(plan: &Plan) -> Vec<Remark> {
    let notes = plan.changes.iter().flat_map(|change| change.notes.iter().map(move |note| (change, note)));
    notes
        .map(|(change, NoteText { text, url, follow_up, acknowledge, .. })| {
            let kind = match (acknowledge, follow_up) {
                (true, _) => "Note to acknowledge",
                (false, true) => "Follow-up",
                (false, false) => "Note",
            };
            let (safe, other) = match url {
                Some(url) if url.starts_with("https://") || url.starts_with("http://") => (Some(url.clone()), String::new()),
                Some(url) => (None, format!(" ({url})")),
                None => (None, String::new()),
            };
            Remark { url: safe, ..Remark::new(kind, &change.instance, format!("{text}{other}")) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::NoteText;

    #[test]
    fn a_note_s_address_is_a_link_only_where_it_is_one_of_the_web() {
        let mut plan = super::super::sample::plan(&[vec![]]);
        let note = |url: &str| NoteText {
            name: "n".into(),
            text: "Read".to_owned(),
            url: Some(url.to_owned()),
            follow_up: true,
            acknowledge: false,
        };
        plan.changes[0].notes = vec![note("https://example.org/1"), note("javascript:alert(1)")];
        let brief = Brief::of(&plan, &Report::default(), false);
        assert_eq!(brief.notes[0].url.as_deref(), Some("https://example.org/1"));
        assert_eq!((brief.notes[1].url.as_deref(), &*brief.notes[1].text), (None, "Read (javascript:alert(1))"));
    }

    #[test]
    fn a_denial_stands_first_and_says_what_to_do() {
        let mut plan = super::super::sample::plan(&[vec![]]);
        plan.changes[0].hops[0].point_of_no_return = Some(0);
        let ruling = Ruling {
            effect: Effect::Deny,
            id: "no_friday".to_owned(),
            message: "today is Friday".to_owned(),
            help: Some("wait until Monday".to_owned()),
            instance: None,
            environment: Some("production".into()),
            waived: None,
        };
        let brief = Brief::of(&plan, &Report { rulings: vec![ruling], ..Report::default() }, false);
        let said: Vec<(&str, &str)> = brief.points.iter().map(|remark| (remark.kind, &*remark.text)).collect();
        assert_eq!(said[0], ("Denied by policy", "no_friday: today is Friday (wait until Monday)"));
        assert_eq!(said[1].0, "Point of no return");
    }

    #[test]
    fn what_is_said_of_several_instances_is_said_once() {
        let gathered =
            gathered(vec![Remark::new("Note", "a", "Read"), Remark::new("Note", "b", "Wait"), Remark::new("Note", "c", "Read")]);
        let about: Vec<Vec<&str>> =
            gathered.iter().map(|remark| remark.about.iter().map(|subject| &*subject.name).collect()).collect();
        assert_eq!(about, [vec!["a", "c"], vec!["b"]]);
    }
}
