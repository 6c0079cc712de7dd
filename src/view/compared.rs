//! A plan beside another: what a change of the configuration alters, and what a plan adds to the one that was approved.
//!
//! Goes with the views of the plan itself, which show the altered part alone.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::plan_markdown::{code, escape};
use super::{Palette, count};
use crate::model::name::Digest;
use crate::plan::{Addition, Alteration, Altered, Delta, Pending};

/// What a plan was compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Compared {
    /// The configuration without a change (`--base`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
    /// An approved plan (`--against`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// What a plan adds to an approved one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Against {
    /// The digest of the approved plan.
    pub approved: Digest,
    /// What is added; nothing where the approval holds.
    pub additions: Vec<Addition>,
}

impl Compared {
    /// Whether nothing was compared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delta.is_none() && self.against.is_none()
    }
}

/// For a terminal; follows the plan.
#[must_use]
pub fn compared_text(compared: &Compared, palette: Palette) -> String {
    let mut text = String::new();
    if let Some(delta) = &compared.delta {
        let _ = writeln!(text, "{} {}", palette.strong("This change:"), head(delta));
        for altered in &delta.altered {
            let (sign, word) = match altered.alteration {
                Alteration::New => (palette.good("+"), palette.good(word(altered))),
                Alteration::Other => (palette.warn("~"), palette.warn(word(altered))),
                Alteration::Dropped => (palette.faint("·"), word(altered).to_owned()),
                Alteration::Stuck => (palette.bad("✗"), palette.bad(word(altered))),
            };
            let place = palette.faint(&format!("({})", altered.environment));
            let _ = writeln!(text, "  {sign} {} {word}  {place}", palette.strong(altered.instance.as_str()));
            for difference in &altered.differences {
                let _ = writeln!(text, "      {difference}");
            }
        }
        let _ = writeln!(text, "{} {}", palette.strong("Pending before this change:"), delta.pending.len());
        for Pending { instance, environment, what, .. } in &delta.pending {
            let _ = writeln!(text, "    {instance} {what}  {}", palette.faint(&format!("({environment})")));
        }
    }
    if let Some(against) = &compared.against {
        let approved = against.approved.short();
        if against.additions.is_empty() {
            let _ = writeln!(text, "{} This plan adds nothing to the approved plan {approved}.", palette.good("✓"));
        } else {
            let number = count(against.additions.len(), "thing");
            let _ = writeln!(text, "{} This plan adds {number} to the approved plan {approved}:", palette.bad("✗"));
        }
        for addition in &against.additions {
            let _ = writeln!(text, "    {}", line(addition));
        }
    }
    text
}

/// For a comment on a pull request, in at most so many bytes; follows the plan.
#[must_use]
pub fn compared_markdown(compared: &Compared, limit: usize) -> String {
    let mut text = String::new();
    if let Some(delta) = &compared.delta {
        let _ = writeln!(text, "\n**This change:** {}", escape(&head(delta)));
        let lines = delta.altered.iter().map(|altered| {
            let told: String = altered.differences.iter().map(|difference| format!("; {}", escape(difference))).collect();
            format!("- {} ({}) {}{told}", code(altered.instance.as_str()), escape(altered.environment.as_str()), word(altered))
        });
        push_within(&mut text, lines, limit / 2);
        let _ = writeln!(text, "\n**Pending before this change:** {}", delta.pending.len());
        if !delta.pending.is_empty() {
            text.push_str("\n<details><summary>What is pending</summary>\n\n");
            let lines = delta.pending.iter().map(|pending| {
                let Pending { instance, environment, what, .. } = pending;
                format!("- {} ({}) {}", code(instance.as_str()), escape(environment.as_str()), escape(what))
            });
            push_within(&mut text, lines, limit * 3 / 4);
            text.push_str("\n</details>\n");
        }
    }
    if let Some(against) = &compared.against {
        let approved = code(against.approved.short());
        let told = if against.additions.is_empty() { "adds nothing to" } else { "**is not covered by**" };
        let _ = writeln!(text, "\nThis plan {told} the approved plan {approved}.\n");
        push_within(&mut text, against.additions.iter().map(|addition| format!("- {}", escape(&line(addition)))), limit);
    }
    text
}

/// Lines as long as the whole stays within a limit; how many more there are, where it would not.
fn push_within(text: &mut String, lines: impl ExactSizeIterator<Item = String>, limit: usize) {
    const CLOSING: usize = 80;
    let all = lines.len();
    for (number, line) in lines.enumerate() {
        if text.len() + line.len() + CLOSING > limit {
            let _ = writeln!(text, "- … and {} more, which `windlass plan` shows", all - number);
            return;
        }
        text.push_str(&line);
        text.push('\n');
    }
}

pub(super) fn head(delta: &Delta) -> String {
    let commit = delta.base.commit.get(..12).unwrap_or(&delta.base.commit);
    let altered = match delta.altered.len() {
        0 => "alters nothing".to_owned(),
        number => format!("alters {}", count(number, "instance")),
    };
    let against = format!("{altered}, compared with {} ({commit})", delta.base.revision);
    match &delta.base.unusable {
        Some(why) => format!("{against}; nothing could be planned there, so everything counts as altered: {why}"),
        None => against,
    }
}

pub(super) fn word(altered: &Altered) -> &'static str {
    match altered.alteration {
        Alteration::New => "changes because of this",
        Alteration::Other => "changes otherwise than before",
        Alteration::Dropped => "does not change any more",
        Alteration::Stuck => "is stuck because of this",
    }
}

pub(super) fn line(addition: &Addition) -> String {
    match &addition.instance {
        Some(instance) => format!("{instance}: {}", addition.what),
        None => addition.what.clone(),
    }
}

#[cfg(test)]
pub(super) use tests::compared as sample;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Revision;

    pub(in crate::view) fn compared(number: usize) -> Compared {
        let instance = |index: usize| crate::model::name::InstanceAddr::from_text(format!("app.i{index}"));
        let altered = |index| Altered {
            instance: instance(index),
            environment: "test".into(),
            alteration: Alteration::Other,
            differences: vec!["tell @everyone <b>".to_owned()],
        };
        let pending = |index| Pending {
            instance: instance(index + number),
            environment: "test".into(),
            what: "upgrade 1 → 2".into(),
            stuck: false,
        };
        let base = Revision { revision: "main".into(), commit: "0123456789abcdef".into(), unusable: None };
        let delta = Delta { base, altered: (0..number).map(altered).collect(), pending: (0..number).map(pending).collect() };
        let additions = (0..number).map(|index| Addition { instance: Some(instance(index)), what: "it was not to change".into() });
        Compared { delta: Some(delta), against: Some(Against { approved: Digest::of(b"x"), additions: additions.collect() }) }
    }

    #[test]
    fn what_is_altered_stands_apart_from_what_is_pending() {
        let text = compared_text(&compared(1), Palette { colour: false });
        let wanted = "This change: alters 1 instance, compared with main (0123456789ab)\n  ~ app.i0 changes otherwise than before  (test)\n      \
                      tell @everyone <b>\nPending before this change: 1\n    app.i1 upgrade 1 → 2  (test)\n";
        assert!(text.starts_with(wanted), "{text}");
        assert!(text.contains("adds 1 thing to the approved plan 2d711642b726:\n    app.i0: it was not to change\n"), "{text}");
    }

    #[test]
    fn markdown_escapes_and_stays_within_its_limit() {
        let text = compared_markdown(&compared(1), 4000);
        assert!(!text.contains("@everyone") && !text.contains("<b>"), "{text}");
        for limit in [1500, 4000, 60_000] {
            let text = compared_markdown(&compared(5000), limit);
            assert!(text.len() <= limit, "{} bytes of {limit}", text.len());
            assert!(text.contains("more, which `windlass plan` shows"), "{text}");
        }
    }
}
