//! `environment "NAME" { … }`: gates, windows and rollout rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::fields::{Evaluate, Fields, Shape, check_shape, no_labels, suggestion};
use crate::lang::{Block, Value};
use crate::model::estate::{ApprovalRule, Environment, OnFailure, Rollout, Share, Window};
use crate::model::name::EnvironmentName;
use crate::source::{Diagnostic, Diagnostics};

/// How many actions run at once in an environment that does not say.
const CONCURRENCY: u32 = 10;

/// Reads an environment.
pub(super) fn decode(
    name: &str,
    block: &Block,
    evaluate: &dyn Evaluate,
    known: &IndexMap<Arc<str>, Block>,
    problems: &mut Diagnostics,
) -> Environment {
    let what = format!("environment `{name}`");
    let shape = Shape {
        what: &what,
        attributes: &["promote_from", "soak", "on_failure", "concurrency", "max_risk"],
        blocks: &["window", "rollout", "approval"],
    };
    check_shape(&block.body, &shape, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let promote_from = fields.text("promote_from");
    if let Some(from) = promote_from.as_deref().filter(|from| !known.contains_key(*from)) {
        let names: Vec<&str> = known.keys().map(|name| &**name).collect();
        fields.wrong("promote_from", format!("there is no environment `{from}`"), suggestion(from, &names));
    }
    let soak = fields.duration("soak");
    if soak.is_some() && !fields.has("promote_from") {
        fields.wrong(
            "soak",
            "it says how long a version must have been in another environment, and there is none",
            "add `promote_from = environment.NAME`",
        );
    }
    let on_failure = fields.word("on_failure", &[("rollback", OnFailure::Rollback), ("halt", OnFailure::Halt)]).unwrap_or_default();
    let concurrency = fields.number("concurrency", 1..=10_000).unwrap_or(CONCURRENCY);
    let rollout = fields.block("rollout").map(|inner| rollout(inner, &what, evaluate, fields.problems)).unwrap_or_default();
    let max_risk = fields.number("max_risk", 0..=100);
    let approval = fields.block("approval").map(|inner| approval(inner, &what, evaluate, fields.problems));
    let windows = block.body.blocks.iter().filter(|inner| &*inner.ident == "window");
    let windows = windows.filter_map(|inner| window(inner, &what, evaluate, problems)).collect();
    Environment {
        name: EnvironmentName::new(name),
        promote_from: promote_from.as_deref().map(EnvironmentName::new),
        soak,
        windows,
        approval,
        max_risk,
        rollout,
        on_failure,
        concurrency,
        span: Some(block.header_span()),
    }
}

fn approval(block: &Block, owner: &str, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> ApprovalRule {
    no_labels(block, problems);
    let what = format!("`approval` of {owner}");
    check_shape(&block.body, &Shape { what: &what, attributes: &["required", "from"], blocks: &[] }, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate, problems };
    let required = fields.number("required", 1..=20).unwrap_or(1);
    let mut from = fields.texts("from");
    from.sort();
    from.dedup();
    if fields.has("from") && from.len() < required as usize {
        let detail = format!("{} are asked for, and {} may approve", required, from.len());
        fields.wrong("from", detail, "name more people, or ask for fewer");
    }
    ApprovalRule { required, from }
}

fn rollout(block: &Block, owner: &str, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Rollout {
    let what = format!("`rollout` of {owner}");
    let shape = Shape { what: &what, attributes: &["canary", "batch", "max_unavailable", "soak", "healthy_within"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate, problems };
    Rollout {
        canary: fields.number("canary", 1..=100_000),
        batch: share(&mut fields, "batch"),
        max_unavailable: share(&mut fields, "max_unavailable"),
        soak: fields.duration("soak"),
        healthy_within: fields.duration("healthy_within"),
    }
}

/// `2` or `"25%"`.
fn share(fields: &mut Fields<'_>, name: &str) -> Option<Share> {
    match fields.value(name)? {
        Value::String(text) => {
            let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<u32>().ok());
            match percent.filter(|percent| (1..=100).contains(percent)) {
                Some(percent) => Some(Share::Percent(percent)),
                None => {
                    fields.wrong(
                        name,
                        format!("`{text}` is neither a number nor a share"),
                        "write a number such as `2`, or a share from \"1%\" to \"100%\"",
                    );
                    None
                }
            }
        }
        _ => fields.number(name, 1..=100_000).map(Share::Count),
    }
}

fn window(block: &Block, owner: &str, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<Window> {
    no_labels(block, problems);
    let what = format!("`window` of {owner}");
    check_shape(&block.body, &Shape { what: &what, attributes: &["cron", "duration", "timezone"], blocks: &[] }, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate, problems };
    let cron = fields.required_text("cron");
    if let Some(cron) = &cron {
        let form = "write five fields: minute, hour, day of month, month, day of week, such as \"0 22 * * FRI\"";
        if cron.split_whitespace().count() != 5 {
            fields.wrong("cron", format!("`{cron}` has not five fields"), form);
        } else if let Err(error) = cron.parse::<croner::Cron>() {
            fields.wrong("cron", format!("`{cron}` is no schedule: {error}"), form);
        }
    }
    let duration = fields.duration("duration");
    if !fields.has("duration") {
        fields.required_text("duration");
    }
    if duration.is_some_and(|duration| duration < Duration::from_secs(60)) {
        fields.wrong("duration", "a window is open for at least a minute", "write such as \"6h\"");
    }
    let timezone = fields.text("timezone").unwrap_or_else(|| "UTC".to_owned());
    if jiff::tz::TimeZone::get(&timezone).is_err() {
        fields.wrong(
            "timezone",
            format!("there is no time zone `{timezone}`"),
            "write an IANA name, such as \"Europe/Paris\" or \"UTC\"",
        );
    }
    Some(Window { cron: cron?, duration: duration?, timezone, span: Some(block.ident_span) })
}

/// Environments that are promoted from each other in a circle can never be applied to.
pub(super) fn check_promotion(environments: &BTreeMap<EnvironmentName, Environment>, problems: &mut Diagnostics) {
    let mut told = BTreeSet::new();
    for start in environments.values() {
        let mut path = vec![start];
        let mut here = start;
        while let Some(next) = here.promote_from.as_ref().and_then(|name| environments.get(name)) {
            if let Some(begin) = path.iter().position(|known| known.name == next.name) {
                let cycle = &path[begin..];
                if cycle.iter().all(|environment| told.insert(environment.name.clone())) {
                    let names: Vec<String> =
                        cycle.iter().chain([&next]).map(|environment| format!("`environment.{}`", environment.name)).collect();
                    let mut diagnostic = Diagnostic::error("dependency cycle")
                        .detail(names.join(" -> "))
                        .help("an environment cannot be promoted from itself: remove one `promote_from`");
                    for span in cycle.iter().filter_map(|environment| environment.span) {
                        diagnostic = diagnostic.at(span);
                    }
                    problems.push(diagnostic);
                }
                break;
            }
            path.push(next);
            here = next;
        }
    }
}
