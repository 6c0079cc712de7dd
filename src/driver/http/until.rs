//! Waiting for a state: which answers end the polling, which make it fail, and how the state is told on the way.

use std::collections::BTreeMap;

use super::client::Reply;
use super::json::from_json;
use super::request::Statuses;
use crate::driver::{Args, Context, Failure};
use crate::lang::Value;

/// What an answer must be like; everything that is given must hold.
pub(super) struct Condition {
    status: Option<Statuses>,
    /// Accepted values by JSON pointer.
    json: BTreeMap<String, Vec<Value>>,
    contains: Option<String>,
    not_contains: Option<String>,
}

impl Condition {
    /// Reads `until` or `fail_when`.
    pub(super) fn of(args: &Args<'_>, name: &str) -> Result<Option<Self>, Failure> {
        let Some(object) = args.object(name)? else { return Ok(None) };
        let mut json = BTreeMap::new();
        match object.value("json") {
            None => {}
            Some(Value::Object(pointers)) => {
                for (pointer, accepted) in pointers.iter() {
                    check_pointer(args, pointer)?;
                    let accepted = match accepted.unmark().0 {
                        Value::List(items) => items.iter().map(|item| item.unmark().0.clone()).collect(),
                        one => vec![one.clone()],
                    };
                    json.insert(pointer.to_string(), accepted);
                }
            }
            Some(_) => return Err(args.invalid(format_args!("`{name}.json` must be accepted values by JSON pointer"))),
        }
        let condition = Self {
            status: Statuses::of(&object, "status")?,
            json,
            contains: object.text("contains")?,
            not_contains: object.text("not_contains")?,
        };
        let Self { status, json, contains, not_contains } = &condition;
        if status.is_none() && json.is_empty() && contains.is_none() && not_contains.is_none() {
            let all = "`status`, `json`, `contains`, `not_contains`";
            return Err(args.invalid(format_args!("`{name}` says nothing: give one of {all}")));
        }
        Ok(Some(condition))
    }

    /// Whether the answer is so.
    pub(super) fn holds(&self, reply: &Reply, default: Option<&Statuses>, ctx: &Context) -> bool {
        let Self { status, json, contains, not_contains } = self;
        status.as_ref().or(default).is_none_or(|status| status.allow(reply.status))
            && json.iter().all(|(pointer, accepted)| {
                let found = reply.json.as_ref().and_then(|json| json.pointer(pointer));
                found.is_some_and(|found| accepted.contains(&from_json(found, ctx)))
            })
            && contains.as_ref().is_none_or(|text| reply.body.contains(text.as_str()))
            && not_contains.as_ref().is_none_or(|text| !reply.body.contains(text.as_str()))
    }

    /// The answer's state as far as it matters here: `status 200, /state = "RUNNING"`.
    pub(super) fn state(&self, reply: &Reply, ctx: &Context) -> String {
        let mut state = format!("status {}", reply.status);
        for pointer in self.json.keys() {
            let found = reply.json.as_ref().and_then(|json| json.pointer(pointer));
            let found = found.map_or_else(|| "absent".to_owned(), ToString::to_string);
            let short: String = found.chars().take(100).collect();
            state = format!("{state}, {pointer} = {short}");
        }
        ctx.redact.apply(&state).into_owned()
    }
}

/// A JSON pointer is empty or begins with `/`.
pub(super) fn check_pointer(args: &Args<'_>, pointer: &str) -> Result<(), Failure> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    Err(args
        .invalid(format_args!("`{}` is not a JSON pointer", pointer.escape_debug()))
        .help("a JSON pointer begins with `/`: `/data/0/id` is the `id` of the first item of `data`"))
}
