//! One instance's way, with everything on it: hops made into actions, preflight checks, notes.
//!
//! Takes where from and where to, gives a [`Journey`] or every obstacle. Never decides where to go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::lang::Env;
use crate::lock::AppliedHop;
use crate::model::name::{Digest, StrategyName};
use crate::model::provider::{Movement, Provider};
use crate::model::version::Version;

use super::blueprint::Blueprint;
use super::catalogue::Catalogue;
use super::change::{Hop, NoteText, PreflightOutcome, PreflightResult};
use super::decide::Desk;
use super::edge::{Accepted, Judge};
use super::input::PlanInput;
use super::instantiate::{HopDraft, Obstacle, Site, index, instantiate};
use super::redact::redacted;
use super::revert::{losses, revert};
use super::route::{Leg, RouteQuery, search};
use super::scope::Subject;
use super::{note, preflight};
use crate::model::scope::RecordedScope;

/// A way that can be gone.
#[derive(Default)]
pub(super) struct Journey {
    /// Its hops.
    pub(super) hops: Vec<HopDraft>,
    /// Why this way.
    pub(super) why: Vec<String>,
    /// The waivers that it relies on.
    pub(super) accepted: Vec<Arc<str>>,
    /// What a person should read.
    pub(super) notes: Vec<NoteText>,
    /// Checks that were made, none of which failed.
    pub(super) preflights: Vec<PreflightResult>,
}

impl Journey {
    /// Goes on with another.
    pub(super) fn extend(&mut self, further: Self) {
        let Self { hops, why, accepted, notes, preflights } = further;
        let before = index(self.hops.len());
        self.preflights.extend(preflights.into_iter().map(|result| PreflightResult { hop: result.hop + before, ..result }));
        self.hops.extend(hops);
        self.why.extend(why);
        self.accepted.extend(accepted);
        self.notes.extend(notes);
    }

    /// Takes note of what a waiver lets pass.
    fn accept(&mut self, accepted: Vec<Accepted>) {
        for Accepted { name, reason } in accepted {
            self.why.push(reason);
            if !self.accepted.contains(&name) {
                self.accepted.push(name);
            }
        }
    }
}

/// A strategy by the digest of its provider.
type Prepared<'a> = HashMap<(Digest, StrategyName), Result<Rc<Blueprint<'a>>, String>>;

/// Strategies prepared so far; each once for a plan.
pub(super) struct Blueprints<'a> {
    input: PlanInput<'a>,
    known: RefCell<Prepared<'a>>,
}

impl<'a> Blueprints<'a> {
    /// None yet.
    pub(super) fn new(input: PlanInput<'a>) -> Self {
        Self { input, known: RefCell::default() }
    }

    fn get(&self, provider: &'a Provider, name: &StrategyName) -> Result<Rc<Blueprint<'a>>, Obstacle> {
        let key = (provider.digest.clone(), name.clone());
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone().map_err(Obstacle::new);
        }
        let env = Env { files: provider, ..Env::pure(self.input.now) };
        let made = match provider.strategies.get(name) {
            None => Err(format!("provider {} has no strategy `{name}`", provider.name)),
            Some(strategy) => Blueprint::new(provider, strategy, self.input.durations, &env).map(Rc::new),
        };
        self.known.borrow_mut().insert(key, made.clone());
        made.map_err(Obstacle::new)
    }
}

/// Who goes.
pub(super) struct Traveller<'c, 'a> {
    desk: &'c Desk<'a>,
    subject: Subject<'a>,
    catalogue: Option<&'a Catalogue<'a>>,
    strategy: Option<&'a StrategyName>,
    /// How often each version was reached so far.
    reached: RefCell<HashMap<String, u32>>,
}

impl<'c, 'a> Traveller<'c, 'a> {
    /// Somebody who has not gone anywhere yet.
    pub(super) fn new(
        desk: &'c Desk<'a>,
        subject: Subject<'a>,
        catalogue: Option<&'a Catalogue<'a>>,
        strategy: Option<&'a StrategyName>,
    ) -> Self {
        Self { desk, subject, catalogue, strategy, reached: RefCell::default() }
    }

    /// What the ids of a hop's actions name after the `@`. A version that is reached twice, because it is reconfigured there, is
    /// counted the second time.
    fn label(&self, to: Option<&str>) -> String {
        let to = to.unwrap_or("removed");
        let mut reached = self.reached.borrow_mut();
        let times = reached.entry(to.to_owned()).and_modify(|times| *times += 1).or_insert(1);
        if *times == 1 { to.to_owned() } else { format!("{to}~{times}") }
    }

    /// Goes by the provider's routes.
    ///
    /// # Errors
    /// No route, or a check that fails, or something that cannot be evaluated.
    pub(super) fn travel(
        &self,
        movement: Movement,
        from: Option<&Version>,
        to: Option<&Version>,
    ) -> Result<Journey, Vec<Obstacle>> {
        // A strategy that the user insists on is one for going up.
        self.travel_by(movement, from, to, self.strategy.filter(|_| movement == Movement::Upgrade))
    }

    /// Goes by those of the provider's routes that go by this strategy; by all where there is none.
    ///
    /// # Errors
    /// No route, or a check that fails, or something that cannot be evaluated.
    pub(super) fn travel_by(
        &self,
        movement: Movement,
        from: Option<&Version>,
        to: Option<&Version>,
        strategy: Option<&StrategyName>,
    ) -> Result<Journey, Vec<Obstacle>> {
        let Some(catalogue) = self.catalogue else { return Err(vec![Obstacle::new("its provider has no catalogue")]) };
        let query = RouteQuery {
            subject: &self.subject,
            catalogue,
            movement,
            from,
            to,
            strategy,
            waivers: &self.desk.waivers,
            cache: &self.desk.routes,
        };
        let itinerary = search(&query).map_err(|reasons| reasons.into_iter().map(Obstacle::new).collect::<Vec<_>>())?;
        let mut journey = Journey { why: itinerary.why, ..Journey::default() };
        journey.accept(itinerary.waived);
        let mut obstacles = Vec::new();
        for (number, leg) in itinerary.legs.iter().enumerate() {
            match self.leg(catalogue, movement, index(number), leg, &mut journey) {
                Ok(draft) => journey.hops.push(draft),
                Err(mut problems) => obstacles.append(&mut problems),
            }
        }
        obstacles.extend(failed(&journey.preflights));
        if !obstacles.is_empty() {
            return Err(obstacles);
        }
        let whole = self.subject.hop(catalogue, from, to);
        journey.notes = note::gather(&whole, catalogue, movement, from, to);
        Ok(journey)
    }

    fn leg(
        &self,
        catalogue: &Catalogue<'a>,
        movement: Movement,
        number: u32,
        leg: &Leg,
        journey: &mut Journey,
    ) -> Result<HopDraft, Vec<Obstacle>> {
        let scope = self.subject.hop(catalogue, leg.from.as_ref(), leg.to.as_ref());
        journey.preflights.extend(preflight::evaluate(&scope, movement, number, &self.desk.waivers));
        journey.why.extend(leg.note.clone());
        let provider = self.subject.provider;
        let blueprint = self.desk.blueprints.get(provider, &leg.strategy).map_err(|problem| vec![problem])?;
        let hop = Hop {
            from: leg.from.as_ref().map(Version::shared_text),
            to: leg.to.as_ref().map(Version::shared_text),
            route: leg.route.clone(),
            strategy: leg.strategy.clone(),
            provider_digest: provider.digest.clone(),
            reverts: None,
            scope: redacted(&scope.captured(&blueprint.used)),
            actions: Vec::new(),
            point_of_no_return: None,
            keep: Vec::new(),
            downtime: leg.downtime,
            downtime_spread: None,
            risk: leg.risk,
        };
        let label = self.label(leg.to.as_ref().map(Version::text));
        let hosts = &self.desk.input.estate.hosts;
        let site = Site { instance: &self.subject.addr, label: &label, env: &self.subject.env, hosts, scope: &scope };
        instantiate(&site, &blueprint, hop)
    }

    /// Goes back by undoing applied hops, newest first.
    ///
    /// # Errors
    /// A provider that is not there as it was, a step that cannot be undone, or something that cannot be evaluated.
    pub(super) fn undo(&self, way: &[&AppliedHop]) -> Result<Journey, Vec<Obstacle>> {
        let mut journey = Journey::default();
        let mut obstacles = Vec::new();
        for (number, applied) in way.iter().enumerate() {
            match self.undo_one(applied, &self.label(applied.from.as_deref())) {
                Ok(draft) => {
                    journey.why.extend(losses(&draft, applied));
                    journey.hops.push(draft);
                }
                Err(mut problems) => obstacles.append(&mut problems),
            }
            if let Some(catalogue) = self.catalogue {
                let read = |text: &str| Version::parse(text, &self.subject.provider.scheme).ok();
                let (from, to) = (read(&applied.to), applied.from.as_deref().and_then(read));
                let query = RouteQuery {
                    subject: &self.subject,
                    catalogue,
                    movement: Movement::Downgrade,
                    from: from.as_ref(),
                    to: to.as_ref(),
                    strategy: None,
                    waivers: &self.desk.waivers,
                    cache: &self.desk.routes,
                };
                // What the product cannot do, undoing cannot do either; setting its own settings back is no move.
                if from != to {
                    let (refused, accepted) = Judge::new(&query).blocks(from.as_ref(), to.as_ref());
                    obstacles.extend(refused.into_iter().map(Obstacle::new));
                    journey.accept(accepted);
                }
                let scope = self.subject.hop(catalogue, from.as_ref(), to.as_ref());
                journey.preflights.extend(preflight::evaluate(&scope, Movement::Downgrade, index(number), &self.desk.waivers));
            }
        }
        obstacles.extend(failed(&journey.preflights));
        if let (Some(catalogue), Some(newest), Some(oldest)) = (self.catalogue, way.first(), way.last()) {
            let read = |text: &str| Version::parse(text, &self.subject.provider.scheme).ok();
            let (from, to) = (read(&newest.to), oldest.from.as_deref().and_then(read));
            let whole = self.subject.hop(catalogue, from.as_ref(), to.as_ref());
            journey.notes = note::gather(&whole, catalogue, Movement::Downgrade, from.as_ref(), to.as_ref());
        }
        if obstacles.is_empty() { Ok(journey) } else { Err(obstacles) }
    }

    fn undo_one(&self, applied: &AppliedHop, label: &str) -> Result<HopDraft, Vec<Obstacle>> {
        let Some(provider) = self.desk.input.applied_providers.get(&applied.provider) else {
            return Err(vec![Obstacle::new(format!(
                "the hop to {} was applied with provider {} at {}, which is not there any more: bring that version of the provider back",
                applied.to, self.subject.provider.name, applied.provider
            ))]);
        };
        let blueprint = self.desk.blueprints.get(provider, &applied.strategy).map_err(|problem| vec![problem])?;
        let env = Env { files: &**provider, ..self.subject.env };
        let scope = RecordedScope::new(&applied.scope, provider, &env);
        let hosts = &self.desk.input.estate.hosts;
        let site = Site { instance: &self.subject.addr, label, env: &env, hosts, scope: &scope };
        revert(&site, &blueprint, applied)
    }
}

/// Checks that stop the change.
fn failed(results: &[PreflightResult]) -> Vec<Obstacle> {
    results
        .iter()
        .filter(|result| result.outcome == PreflightOutcome::Fail)
        .map(|result| {
            let remedy = result.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            Obstacle::new(format!("check `{}` fails: {}{remedy}", result.name, result.message))
        })
        .collect()
}
