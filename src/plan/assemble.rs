//! Hops put into one list of actions.
//!
//! Takes hop drafts and a [`Schedule`], gives the plan's actions in their final order with every need as an index. A hop's actions
//! stand together; of several possible orders it is the one with the smallest addresses first.

use std::time::Duration;

use super::action::{Action, ActionKind, ActionUndo};
use super::change::Hop;
use super::instantiate::{HopDraft, JOIN_ABOVE, index, landmark};
use super::rollout::{Schedule, emission};
use crate::model::name::{ActionId, InstanceAddr};

/// A hop draft with its place in the plan.
pub(super) struct Slot {
    /// Index into the plan's changes.
    pub(super) change: usize,
    /// Index into the change's hops.
    pub(super) hop: usize,
    /// The draft.
    pub(super) draft: HopDraft,
    /// Where the hop takes turns and its provider knows the fact `healthy`: whose it is asked for, and how long that may take.
    pub(super) verify: Option<Verify>,
}

/// Who must be healthy.
#[derive(Debug, Clone)]
pub(super) struct Verify {
    /// The instance.
    pub(super) instance: InstanceAddr,
    /// How long it may take to become so.
    pub(super) within: Duration,
    /// Whether the hop is the last of its change: then nothing is recorded before.
    pub(super) before_record: bool,
}

/// Joins the hops. Gives the actions, and the finished hops in the order of the slots.
///
/// The schedule comes from dependencies without a circle, so that there is an order; were there none, the hops would stand as given
/// and the checker would refuse the plan.
pub(super) fn assemble(slots: Vec<Slot>, schedule: &Schedule) -> (Vec<Action>, Vec<Hop>) {
    let emission = emission(schedule).unwrap_or_else(|| (0..slots.len()).collect());
    let mut owned: Vec<Vec<usize>> = vec![Vec::new(); slots.len()];
    let mut held: Vec<Vec<usize>> = vec![Vec::new(); slots.len()];
    for (number, barrier) in schedule.barriers.iter().enumerate() {
        owned[barrier.owner].push(number);
        for &hop in &barrier.holds {
            held[hop].push(number);
        }
    }
    let verifies: Vec<Option<Verify>> = slots.iter().map(|slot| slot.verify.clone()).collect();
    let mut slots: Vec<Option<Slot>> = slots.into_iter().map(Some).collect();
    let mut hops: Vec<Option<Hop>> = std::iter::repeat_with(|| None).take(slots.len()).collect();
    let mut records: Vec<u32> = vec![0; slots.len()];
    let mut points: Vec<u32> = vec![0; schedule.barriers.len()];
    let mut actions: Vec<Action> =
        Vec::with_capacity(slots.iter().flatten().map(|slot| slot.draft.actions.len()).sum::<usize>() + schedule.barriers.len());
    for place in emission {
        let Some(Slot { change, hop: number, draft: HopDraft { mut hop, actions: own }, verify }) = slots[place].take() else {
            continue;
        };
        let begin = actions.len();
        let name = name(&own);
        for &barrier in &owned[place] {
            let needs = schedule.barriers[barrier].waits.iter().map(|&wait| records[wait]).collect();
            let pause = schedule.barriers[barrier].pause;
            let title = if pause.is_zero() { "Wait for the portion before" } else { "Let the portion before prove itself" };
            actions.push(point(&name, "(turn)", ActionKind::Pause(pause), sorted(needs), title));
            let before: Vec<&Verify> =
                schedule.barriers[barrier].waits.iter().filter_map(|&wait| verifies[wait].as_ref()).collect();
            if let Some(within) = before.iter().map(|verify| verify.within).max() {
                let mut instances: Vec<InstanceAddr> = before.iter().map(|verify| verify.instance.clone()).collect();
                instances.sort();
                let (kind, turn) = (ActionKind::Verify { instances, within }, index(actions.len() - 1));
                actions.push(point(&name, "(portion)", kind, vec![turn], "See that the portion before is healthy"));
            }
            points[barrier] = index(actions.len() - 1);
        }
        let mut needs: Vec<u32> = schedule.waits[place].iter().map(|&wait| records[wait]).collect();
        needs.extend(held[place].iter().map(|&barrier| points[barrier]));
        needs = sorted(needs);
        let roots = own.iter().filter(|action| action.needs.is_empty()).count();
        if needs.len() > 1 && needs.len() * roots > JOIN_ABOVE {
            let at = index(actions.len());
            let kind = ActionKind::Pause(std::time::Duration::ZERO);
            actions.push(point(&name, "(begin)", kind, std::mem::replace(&mut needs, vec![at]), "Wait for others"));
        }
        let offset = index(actions.len());
        for mut action in own {
            if action.needs.is_empty() {
                action.needs.clone_from(&needs);
            } else {
                action.needs.iter_mut().for_each(|need| *need += offset);
            }
            action.during.iter_mut().for_each(|watched| *watched += offset);
            if action.kind == ActionKind::Record
                && let Some(Verify { instance, within, .. }) = verify.as_ref().filter(|verify| verify.before_record)
            {
                let kind = ActionKind::Verify { instances: vec![instance.clone()], within: *within };
                let before = std::mem::replace(&mut action.needs, vec![index(actions.len())]);
                actions.push(point(&name, "(healthy)", kind, before, "See that it is healthy"));
            }
            actions.push(action);
        }
        for action in &mut actions[begin..] {
            action.change = index(change);
            action.hop = index(number);
        }
        records[place] = index(actions.len() - 1);
        hop.actions = (index(begin)..index(actions.len())).collect();
        hop.point_of_no_return = (begin..actions.len()).find(|&at| actions[at].undo == ActionUndo::Irreversible).map(index);
        hops[place] = Some(hop);
    }
    (actions, hops.into_iter().flatten().collect())
}

fn sorted(mut needs: Vec<u32>) -> Vec<u32> {
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// What the ids of a hop's actions begin with, as its record has it: `dss.design@13.4.1`.
fn name(actions: &[Action]) -> String {
    let record = actions.last().map_or("", |action| action.id.as_str());
    record.strip_suffix(":(record)").unwrap_or(record).to_owned()
}

fn point(name: &str, what: &str, kind: ActionKind, needs: Vec<u32>, title: &str) -> Action {
    let mut action = landmark(&InstanceAddr::from_text(""), "", what, kind, needs, title.to_owned());
    action.id = ActionId::from_text(format!("{name}:{what}"));
    action
}
