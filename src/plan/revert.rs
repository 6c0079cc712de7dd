//! The undo of a hop that an earlier run applied.
//!
//! Takes the hop as the lockfile has it and the provider as it was then, gives a [`HopDraft`] of reverts in the reverse order of the
//! strategy's graph, over the scope that was recorded. Never uses the provider as it is now, and never what is observed now.

use std::sync::Arc;

use crate::lang::{Scope, Value};
use crate::lock::AppliedHop;
use crate::model::name::ActionId;
use crate::model::provider::Undo;

use super::action::{Action, ActionKind, ActionUndo};
use super::blueprint::Blueprint;
use super::change::Hop;
use super::instantiate::{HopDraft, Item, JOIN_ABOVE, Maker, Obstacle, Presence, Site, View, index, joint, presence, record};

/// The applied hops that lead back from the version that is there to the one wanted, newest first; `None` where they do not.
/// Whether a recorded version is one of the two is asked of the caller, who knows how the product orders its versions.
pub(super) fn way_back(
    hops: &[AppliedHop],
    is_current: impl Fn(&str) -> bool,
    is_target: impl Fn(&str) -> bool,
) -> Option<Result<Vec<&AppliedHop>, Obstacle>> {
    let mut at: Option<&str> = None;
    let mut way: Vec<&AppliedHop> = Vec::new();
    for hop in hops.iter().rev() {
        let joins = at.map_or_else(|| is_current(&hop.to), |at| at == &*hop.to);
        if !joins {
            return None;
        }
        way.push(hop);
        let from = hop.from.as_deref()?;
        if is_target(from) {
            let stuck = way.iter().find_map(|hop| hop.irreversible.as_deref().map(|step| (*hop, step)));
            return Some(match stuck {
                None => Ok(way),
                Some((hop, step)) => Err(Obstacle::new(format!(
                    "step `{step}` of the hop from {} to {} cannot be undone: only a restore leads back (`windlass backup restore`)",
                    hop.from.as_deref().unwrap_or("nothing"),
                    hop.to
                ))),
            });
        }
        at = Some(from);
    }
    None
}

/// Makes the actions that undo an applied hop.
///
/// # Errors
/// Everything that cannot be evaluated, and every step that cannot be undone.
pub(super) fn revert(site: &Site<'_>, blueprint: &Blueprint<'_>, applied: &AppliedHop) -> Result<HopDraft, Vec<Obstacle>> {
    let presence = presence(site, blueprint, Some(site.scope))?;
    let count = blueprint.steps.len();
    let mut problems = Vec::new();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (place, print) in blueprint.steps.iter().enumerate() {
        for &before in &print.after {
            followers[before].push(place);
        }
    }
    let mut actions: Vec<Action> = Vec::new();
    let mut ends: Vec<Vec<u32>> = vec![Vec::new(); count];
    for place in (0..count).rev() {
        let print = &blueprint.steps[place];
        let mut needs: Vec<u32> = followers[place].iter().flat_map(|&follower| ends[follower].iter().copied()).collect();
        needs.sort_unstable();
        needs.dedup();
        let items: &[Item] = match &presence[place] {
            Presence::Dropped(_) => &[],
            Presence::Once => &[Item { key: None, each: None }],
            Presence::Each(items) => items,
        };
        let undo = match (&print.step.undo, &print.undo) {
            (Undo::Call { restores_data, downtime, retry, timeout, poll, fan_out, opens, closes, call: _ }, Some(call))
                if !items.is_empty() =>
            {
                Some((*restores_data, *downtime, *retry, *timeout, poll, fan_out, (opens, closes), call))
            }
            (Undo::Irreversible, _) if !items.is_empty() => {
                let name = &print.step.name;
                let text = format!("step `{name}` of strategy `{}` cannot be undone: only a restore leads back", applied.strategy);
                problems.push(Obstacle { text, span: print.step.span });
                None
            }
            _ => None,
        };
        let Some((restores_data, downtime, retry, timeout, poll, fan_out, (opens, closes), call)) = undo else {
            ends[place] = needs;
            continue;
        };
        if needs.len() > 1 && items.len() > 1 && needs.len() * items.len() > JOIN_ABOVE {
            let join = joint(site, &format!("undo:{}", print.step.name), needs);
            needs = vec![index(actions.len())];
            actions.push(join);
        }
        let title: Arc<str> = format!("Undo: {}", print.title).into();
        // Its items are recorded results: apply finds them again.
        let later = fan_out.as_ref().map(|_| Value::object([("key", Value::Unknown), ("value", Value::Unknown)]));
        for item in items {
            let each = later.as_ref().or(item.each.as_ref());
            let view = RevertScope { outer: site.scope, step: print.step.name.as_str(), each };
            let mut maker = Maker { view, env: site.env, hosts: site.hosts, problems: &mut problems };
            let Some(call) = maker.call(call) else { continue };
            ends[place].push(index(actions.len()));
            let step = print.step.name.clone();
            actions.push(Action {
                id: ActionId::new(site.instance, site.label, &format!("undo:{step}"), item.key.as_deref()),
                change: 0,
                hop: 0,
                kind: ActionKind::Revert { step, call, restores_data },
                needs: needs.clone(),
                title: title.clone(),
                each: item.each.clone(),
                check: None,
                // There is no undo of an undo: what has been begun is carried through, or a person restores.
                undo: ActionUndo::Irreversible,
                repeatable: print.step.repeatable,
                downtime,
                privileged: print.step.privileged,
                retry,
                timeout,
                tolerate: Vec::new(),
                poll: poll.clone(),
                probe: None,
                during: Vec::new(),
                fan_out: fan_out.clone(),
                opens: opens.clone(),
                closes: closes.clone(),
                progress: None,
                estimate: print.undo_spread.map(|spread| spread.typical),
                spread: print.undo_spread,
            });
        }
    }
    if !problems.is_empty() {
        problems.dedup();
        return Err(problems);
    }
    let record = record(site, &actions, applied.from.as_deref());
    actions.push(record);
    let hop = Hop {
        from: Some(applied.to.clone()),
        to: applied.from.clone(),
        route: applied.route.clone(),
        strategy: applied.strategy.clone(),
        provider_digest: applied.provider.clone(),
        reverts: Some(applied.run.clone()),
        scope: applied.scope.clone(),
        actions: Vec::new(),
        point_of_no_return: None,
        keep: Vec::new(),
        downtime: None,
        downtime_spread: None,
        risk: 0,
    };
    Ok(HopDraft { hop, actions })
}

/// What is lost by undoing a hop: a sentence for each step that puts back older data.
pub(super) fn losses(draft: &HopDraft, applied: &AppliedHop) -> Vec<String> {
    let restored: Vec<String> = draft
        .actions
        .iter()
        .filter_map(|action| match &action.kind {
            ActionKind::Revert { step, restores_data: true, .. } => Some(format!("`{step}`")),
            _ => None,
        })
        .collect();
    if restored.is_empty() {
        return Vec::new();
    }
    let from = applied.from.as_deref().unwrap_or("nothing");
    vec![format!(
        "undoing {} puts data back as it was before {from} became {} ({}): what was written since is lost",
        restored.join(", "),
        applied.to,
        applied.at
    )]
}

/// What the undo of one recorded step sees.
struct RevertScope<'a> {
    outer: &'a dyn Scope,
    step: &'a str,
    each: Option<&'a Value>,
}

impl Scope for RevertScope<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        match (root, self.each) {
            ("each", Some(each)) => Some(Ok((each.clone(), 0))),
            _ => self.outer.resolve(root, path),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.outer.names();
        names.extend(self.each.map(|_| "each".to_owned()));
        names
    }
}

impl View for RevertScope<'_> {
    fn step(&self) -> &str {
        self.step
    }

    fn after(&mut self) {}
}
