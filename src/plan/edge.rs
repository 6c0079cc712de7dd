//! Whether a provider lets an instance go from one version to another in one hop, and by which of its routes.
//!
//! Takes one pair of versions, gives every [`Way`] or every reason against it. What cannot be evaluated is decided for caution:
//! a route's condition does not hold, a block and a risk do.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::route::RouteQuery;
use super::scope::{HopScope, Used};
use super::waiver::Standing;
use crate::lang::Expr;
use crate::model::provider::{Movement, Provider, Route, Strategy};
use crate::model::version::{Version, VersionReq};

/// What a downtime step counts whose length nobody knows: unknown is not nothing.
const UNKNOWN_STEP: Duration = Duration::from_secs(60);

/// One hop by one route.
#[derive(Debug, Clone)]
pub(super) struct Way<'a> {
    pub(super) route: &'a Route,
    /// Downtime to expect, where the provider says anything about it.
    pub(super) downtime: Option<Duration>,
    /// Downtime to choose by.
    pub(super) weight: Duration,
    /// Blocks and risks that a waiver lets pass.
    pub(super) waived: Vec<Accepted>,
}

/// A block or a risk that a waiver lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The waiver's name.
    pub(crate) name: Arc<str>,
    /// What speaks against the move, and why it is let pass.
    pub(crate) reason: String,
}

/// Judges hops for one query.
pub(super) struct Judge<'q> {
    pub(super) query: &'q RouteQuery<'q>,
    pub(super) provider: &'q Provider,
    pub(super) catalogue: &'q Catalogue<'q>,
    /// Routes of the movement, with their downtime: expected, to choose by.
    routes: Vec<(&'q Route, Option<Duration>, Duration)>,
}

impl<'q> Judge<'q> {
    pub(super) fn new(query: &'q RouteQuery<'q>) -> Self {
        let provider = query.catalogue.provider();
        let routes = provider
            .routes
            .iter()
            .filter(|route| route.movement == query.movement)
            .map(|route| {
                let (downtime, weight) = downtime(route, provider.strategies.get(&route.strategy));
                (route, downtime, weight)
            })
            .collect();
        Self { query, provider, catalogue: query.catalogue, routes }
    }

    /// Constraints on versions in the provider's routes and stops: which versions can matter to a search.
    pub(super) fn constraints(&self) -> impl Iterator<Item = &VersionReq> {
        self.routes.iter().flat_map(|(route, ..)| route.from.iter().chain(&route.to)).chain(self.catalogue.stops().constraints())
    }

    /// Every way from a version to another in one hop, best first.
    pub(super) fn ways(&self, from: Option<&Version>, to: Option<&Version>) -> Vec<Way<'q>> {
        self.judge(from, to, &mut None)
    }

    /// Everything that speaks against the hop.
    pub(super) fn reasons(&self, from: Option<&Version>, to: Option<&Version>) -> Vec<String> {
        let mut reasons = Some(Vec::new());
        self.judge(from, to, &mut reasons);
        reasons.unwrap_or_default()
    }

    fn judge(&self, from: Option<&Version>, to: Option<&Version>, reasons: &mut Option<Vec<String>>) -> Vec<Way<'q>> {
        // Without anybody to listen, cheap refusals come first and end the matter.
        let explain = reasons.is_some();
        let mut tell = |reason: &dyn Fn() -> String| {
            if let Some(reasons) = reasons {
                reasons.push(reason());
            }
        };
        if self.routes.is_empty() {
            tell(&|| format!("provider {} has no route for {}", self.provider.name, article(self.query.movement)));
            return Vec::new();
        }
        let mut ways: Vec<Way<'q>> = Vec::new();
        let mut lazily = None;
        let scope = &mut lazily;
        for (route, downtime, weight) in &self.routes {
            if let Err(reason) = self.lets(route, from, to, scope) {
                tell(&reason);
                continue;
            }
            ways.push(Way { route, downtime: *downtime, weight: *weight, waived: Vec::new() });
        }
        if ways.is_empty() && !explain {
            return ways;
        }
        let mut refused = false;
        let mut waived = Vec::new();
        if let (Some(from), Some(to)) = (from, to) {
            for stop in self.catalogue.stops().passed(from, to) {
                refused = true;
                tell(&|| format!("`{}` may not be passed without a stop: {}", stop.version, stop.reason));
            }
        }
        if refused && !explain {
            return Vec::new();
        }
        if !matches!(self.query.movement, Movement::Reconfigure | Movement::Remove | Movement::Backup | Movement::Restore) {
            for objection in self.objections(from, to, scope) {
                match objection {
                    Objection::Refused(reason) | Objection::Feared(reason) => {
                        refused = true;
                        tell(&|| reason.clone());
                    }
                    Objection::Waived(reason) => waived.push(reason),
                }
            }
        }
        if refused {
            return Vec::new();
        }
        for way in &mut ways {
            way.waived.clone_from(&waived);
        }
        ways.sort_by_key(|way| (way.weight, way.route.risk));
        ways
    }

    /// Whether a route leads from a version to another; else why not.
    fn lets<'r>(
        &'r self,
        route: &'r Route,
        from: Option<&'r Version>,
        to: Option<&'r Version>,
        scope: &mut Option<HopScope<'q>>,
    ) -> Result<(), impl Fn() -> String + use<'r, 'q>> {
        let refusal = if !fits(route.from.as_ref(), from) {
            Some(Refusal::From)
        } else if !fits(route.to.as_ref(), to) {
            Some(Refusal::To)
        } else if !self.provider.strategies.contains_key(&route.strategy) {
            Some(Refusal::NoStrategy)
        } else if self.query.strategy.is_some_and(|wanted| *wanted != route.strategy) {
            Some(Refusal::OtherStrategy)
        } else {
            match route.when.as_ref().map(|when| self.scope(from, to, scope).holds(when)) {
                None | Some(Ok(true)) => None,
                Some(Ok(false)) => Some(Refusal::When(None)),
                Some(Err(why)) => Some(Refusal::When(Some(why))),
            }
        };
        let Some(refusal) = refusal else { return Ok(()) };
        let (name, strategy) = (&route.name, &route.strategy);
        let text = |req: Option<&VersionReq>| req.map(|req| req.text().to_owned()).unwrap_or_default();
        Err(move || match &refusal {
            Refusal::From => format!("route \"{name}\" starts from `{}`", text(route.from.as_ref())),
            Refusal::To => format!("route \"{name}\" leads to `{}`", text(route.to.as_ref())),
            Refusal::NoStrategy => format!("route \"{name}\" names strategy \"{strategy}\", which there is not"),
            Refusal::OtherStrategy => {
                let wanted = self.query.strategy.map(ToString::to_string).unwrap_or_default();
                format!("route \"{name}\" goes by strategy \"{strategy}\", and \"{wanted}\" is asked for")
            }
            Refusal::When(why) => {
                let when = route.when.as_ref().map(Expr::text).unwrap_or_default();
                match why {
                    None => format!("route \"{name}\" needs {when}"),
                    Some(why) => format!("route \"{name}\" needs {when}, which cannot be evaluated: {why}"),
                }
            }
        })
    }

    /// The blocks that apply to a hop however it is done, also to the undo of one: refusals, and what a waiver lets pass.
    pub(super) fn blocks(&self, from: Option<&Version>, to: Option<&Version>) -> (Vec<String>, Vec<Accepted>) {
        let (mut refused, mut accepted) = (Vec::new(), Vec::new());
        for objection in self.blocked(from, to, &mut None) {
            match objection {
                Objection::Refused(reason) | Objection::Feared(reason) => refused.push(reason),
                Objection::Waived(waived) => accepted.push(waived),
            }
        }
        (refused, accepted)
    }

    /// The blocks of which it is known that they apply to a hop, and that nobody has waived.
    pub(super) fn known_blocks(&self, from: Option<&Version>, to: Option<&Version>) -> Vec<String> {
        let refused = |objection| if let Objection::Refused(reason) = objection { Some(reason) } else { None };
        self.blocked(from, to, &mut None).into_iter().filter_map(refused).collect()
    }

    /// Blocks and risks that apply to the hop.
    fn objections(&self, from: Option<&Version>, to: Option<&Version>, scope: &mut Option<HopScope<'q>>) -> Vec<Objection> {
        let mut found = self.blocked(from, to, scope);
        self.risks(from, to, scope, &mut found);
        found
    }

    fn blocked(&self, from: Option<&Version>, to: Option<&Version>, scope: &mut Option<HopScope<'q>>) -> Vec<Objection> {
        let mut found = Vec::new();
        for block in &self.provider.blocked {
            if !fits(block.from.as_ref(), from) || !fits(block.to.as_ref(), to) {
                continue;
            }
            let doubt = match block.when.as_ref().map(|when| self.applies(when, from, to, scope)) {
                Some(Ok(false)) => continue,
                None | Some(Ok(true)) => String::new(),
                Some(Err(why)) => format!(" (whether it applies cannot be evaluated: {why})"),
            };
            let reason = format!("the move is blocked (\"{}\"): {}{}{doubt}", block.name, block.reason, link(block.url.as_ref()));
            found.push(match self.unless_waived(&block.name, reason) {
                Objection::Refused(reason) if !doubt.is_empty() => Objection::Feared(reason),
                objection => objection,
            });
        }
        found
    }

    fn risks(&self, from: Option<&Version>, to: Option<&Version>, scope: &mut Option<HopScope<'q>>, found: &mut Vec<Objection>) {
        for risk in &self.provider.risks {
            if !fits(risk.from.as_ref(), from) || !fits(risk.to.as_ref(), to) {
                continue;
            }
            let doubt = match self.applies(&risk.rule, from, to, scope) {
                Ok(false) => continue,
                Ok(true) => String::new(),
                Err(why) => format!(" (whether it applies cannot be evaluated: {why})"),
            };
            let reason =
                format!("the move is not recommended (\"{}\"): {}{}{doubt}", risk.name, risk.message, link(risk.url.as_ref()));
            found.push(self.unless_waived(&risk.name, reason));
        }
    }

    /// A condition about where the move starts does not apply where nothing is there yet.
    fn applies(
        &self,
        rule: &Expr,
        from: Option<&Version>,
        to: Option<&Version>,
        scope: &mut Option<HopScope<'q>>,
    ) -> Result<bool, String> {
        if from.is_none() && Used::of([rule]).expanded(self.provider).has("from") {
            return Ok(false);
        }
        self.scope(from, to, scope).holds(rule)
    }

    fn unless_waived(&self, name: &Arc<str>, reason: String) -> Objection {
        let subject = self.query.subject;
        match self.query.waivers.standing(name, Some(&subject.addr), &subject.environment) {
            Standing::Waived(why) => {
                Objection::Waived(Accepted { name: Arc::clone(name), reason: format!("{reason}; waived: {why}") })
            }
            Standing::Expired(expiry) => Objection::Refused(format!("{reason}; {expiry}")),
            Standing::None => Objection::Refused(format!("{reason}; a waiver \"{name}\" lets it pass")),
        }
    }

    fn scope<'s>(&self, from: Option<&Version>, to: Option<&Version>, scope: &'s mut Option<HopScope<'q>>) -> &'s HopScope<'q> {
        scope.get_or_insert_with(|| self.query.subject.hop(self.catalogue, from, to))
    }
}

enum Objection {
    Refused(String),
    /// Refused, because whether it applies cannot be told.
    Feared(String),
    Waived(Accepted),
}

enum Refusal {
    From,
    To,
    NoStrategy,
    OtherStrategy,
    When(Option<String>),
}

/// A constraint on nothing at all fits only where there is no constraint.
fn fits(req: Option<&VersionReq>, version: Option<&Version>) -> bool {
    req.is_none_or(|req| version.is_some_and(|version| req.matches(version)))
}

fn link(url: Option<&String>) -> String {
    url.map(|url| format!(" ({url})")).unwrap_or_default()
}

fn article(movement: Movement) -> &'static str {
    match movement {
        Movement::Install => "an install",
        Movement::Upgrade => "an upgrade",
        Movement::Downgrade => "a downgrade",
        Movement::Reconfigure => "a reconfiguration",
        Movement::Remove => "a removal",
        Movement::Backup => "a backup",
        Movement::Restore => "a restore",
    }
}

/// A route's downtime: as it says, else what its strategy's steps say together. Expected, and to choose by.
fn downtime(route: &Route, strategy: Option<&Strategy>) -> (Option<Duration>, Duration) {
    if let Some(downtime) = route.downtime {
        return (Some(downtime), downtime);
    }
    let steps = strategy.into_iter().flat_map(|strategy| &strategy.steps).filter(|step| step.downtime);
    let (mut known, mut weight, mut missing) = (Duration::ZERO, Duration::ZERO, false);
    for step in steps {
        known = known.saturating_add(step.estimate.unwrap_or_default());
        weight = weight.saturating_add(step.estimate.unwrap_or(UNKNOWN_STEP));
        missing |= step.estimate.is_none();
    }
    (Some(known).filter(|known| !missing || !known.is_zero()), weight)
}

/// What of an instance the conditions on a provider's hops look at: instances that agree in it have the same ways.
pub(super) fn looked_at(provider: &Provider) -> Used {
    let whens = provider.routes.iter().filter_map(|route| route.when.as_ref());
    let blocks = provider.blocked.iter().filter_map(|block| block.when.as_ref());
    let rules = provider.risks.iter().map(|risk| &risk.rule);
    Used::of(whens.chain(blocks).chain(rules)).expanded(provider).only(&["self", "fact", "instance", "host", "backup"])
}
