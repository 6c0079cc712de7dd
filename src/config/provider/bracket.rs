//! `opens` and `closes` of steps and undos: what a strategy opens it must close.

use std::sync::Arc;

use crate::config::fields::Fields;
use crate::model::provider::{Step, Strategy, Undo};
use crate::source::{Diagnostic, Diagnostics, Span};

/// The bracket that a step or undo opens, and the one that it closes.
pub(super) type Brackets = (Option<Arc<str>>, Option<Arc<str>>);

/// Reads both.
pub(super) fn brackets(fields: &mut Fields<'_>) -> Brackets {
    let mut read = |name: &str| {
        let text = fields.text(name)?;
        if text.trim().is_empty() {
            fields.wrong(name, "it is empty", "say in a few words what is opened: `opens = \"maintenance mode\"`");
        }
        Some(Arc::from(text.trim()))
    };
    let brackets = (read("opens"), read("closes"));
    if brackets != (None, None) && fields.has("for_each") {
        let (place, what) = (fields.header, fields.what);
        fields.problems.push(
            Diagnostic::error("bracket of many actions")
                .detail(format!("{what} has `for_each`: when all of its actions together open or close something cannot be told"))
                .help("give `opens` and `closes` to steps that are one action, or use `fan_out`")
                .at(place),
        );
    }
    brackets
}

/// What an undo does where it does not say: the opposite of its step.
pub(super) fn of_undo(own: Brackets, step: &Brackets) -> Brackets {
    match own {
        (None, None) => (step.1.clone(), step.0.clone()),
        own => own,
    }
}

/// Refuses a strategy that opens what it never closes, or closes what it never opened.
pub(super) fn check(strategy: &Strategy, problems: &mut Diagnostics) {
    let before = strategy.before();
    let precedes = |first: &Step, second: &Step| before.get(&second.name).is_some_and(|before| before.contains(&first.name));
    let place = |problem: Diagnostic, span: Option<Span>| match span {
        Some(span) => problem.at(span),
        None => problem,
    };
    for step in &strategy.steps {
        if let Some(name) = &step.opens
            && !strategy.steps.iter().any(|later| later.closes.as_ref() == Some(name) && precedes(step, later))
        {
            let detail =
                format!("step `{}` of strategy `{}` opens \"{name}\", and no step after it closes that", step.name, strategy.name);
            let help = format!("add `closes = \"{name}\"` to the step that ends it");
            problems.push(place(Diagnostic::error("bracket never closed").detail(detail).help(help), step.span));
        }
        if let Some(name) = &step.closes
            && !strategy.steps.iter().any(|earlier| earlier.opens.as_ref() == Some(name) && precedes(earlier, step))
        {
            let detail =
                format!("step `{}` of strategy `{}` closes \"{name}\", and no step before it opens that", step.name, strategy.name);
            let help = format!("add `opens = \"{name}\"` to the step that begins it, with the same words");
            problems.push(place(Diagnostic::error("bracket never opened").detail(detail).help(help), step.span));
        }
    }
}

/// Whether an undo leaves open what its step has opened.
pub(super) fn is_left_open(step: &Step) -> bool {
    let Some(name) = &step.opens else { return false };
    !matches!(&step.undo, Undo::Call { closes: Some(closes), .. } if closes == name)
}
