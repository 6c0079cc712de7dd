//! Every driver call of a provider, and what it belongs to.

use crate::lang::{Expr, Value};
use crate::model::provider::{CallTemplate, Provider, Step, Undo};

/// A call and its owner.
pub(super) struct Site<'a> {
    /// In words: `` `undo` of step `stop` of strategy `in_place` ``.
    pub(super) what: String,
    /// The call.
    pub(super) call: &'a CallTemplate,
}

/// All calls, in the order written.
pub(super) fn sites(provider: &Provider) -> Vec<Site<'_>> {
    let mut sites = Vec::new();
    for (name, fact) in &provider.facts {
        sites.extend(fact.call.iter().map(|call| Site { what: format!("fact `{name}`"), call }));
    }
    for strategy in provider.strategies.values() {
        for step in &strategy.steps {
            let what = format!("step `{}` of strategy `{}`", step.name, strategy.name);
            if let Some(check) = &step.check {
                sites.push(Site { what: format!("`check` of {what}"), call: &check.call });
            }
            if let Undo::Call { call, .. } = &step.undo {
                sites.push(Site { what: format!("`undo` of {what}"), call });
            }
            sites.push(Site { what, call: &step.call });
        }
    }
    sites
}

/// The argument `action`, where it is written out.
pub(super) fn action(call: &CallTemplate) -> Option<&str> {
    call.args.get("action").and_then(Expr::as_literal).and_then(Value::as_str)
}

/// Whether a step makes a backup: by its driver, or by what it is called where a product's own command does it.
pub(super) fn backs_up(step: &Step) -> bool {
    let action = action(&step.call);
    match step.call.driver.as_str() {
        "backup" => action == Some("create"),
        "postgres" => action == Some("dump"),
        "file" => action == Some("copy"),
        "exec" if step.call.args.get("parse").and_then(Expr::as_literal).and_then(Value::as_str) == Some("backup") => true,
        "exec" | "http" | "manual" | "kubernetes" => {
            let letters = step.name.as_str().chars().filter(char::is_ascii_alphabetic);
            let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
            ["backup", "snapshot", "dump"].iter().any(|word| plain.contains(word))
        }
        _ => false,
    }
}
