//! What is to become of one instance: desired against recorded against observed.
//!
//! Takes a candidate, gives its [`Course`] with every reason. What is observed is the truth; where the lockfile says otherwise that is
//! said, and planned from what is there. Never looks at another instance, except at the version that was settled on for this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lang::Value;
use crate::lock::Locked;
use crate::model::estate::Instance;
use crate::model::inventory::Observed;
use crate::model::name::{HostName, InstanceAddr, ProviderName};
use crate::model::provider::{Movement, OnChange, Provider};
use crate::model::version::{Version, VersionScheme};

use super::candidate::{Candidate, Course, Draft, Origin};
use super::catalogue::{Catalogue, Resolved};
use super::change::{Change, Decision, SettingDiff};
use super::input::PlanInput;
use super::instantiate::Obstacle;
use super::journey::{Blueprints, Journey, Traveller};
use super::order::Direction;
use super::purpose::{Purpose, Restored};
use super::redact::{redacted, same};
use super::route::RouteCache;
use super::scope::Subject;
use super::waiver::Waivers;

/// What all decisions of a plan share.
pub(super) struct Desk<'a> {
    pub(super) input: PlanInput<'a>,
    pub(super) catalogues: &'a BTreeMap<ProviderName, Catalogue<'a>>,
    pub(super) waivers: Waivers<'a>,
    pub(super) routes: RouteCache,
    pub(super) blueprints: Blueprints<'a>,
    /// The version that each declared instance should have.
    pub(super) settled: BTreeMap<InstanceAddr, Result<Resolved, Vec<String>>>,
}

impl<'a> Desk<'a> {
    /// The desk for an input.
    pub(super) fn new(
        input: PlanInput<'a>,
        catalogues: &'a BTreeMap<ProviderName, Catalogue<'a>>,
        settled: BTreeMap<InstanceAddr, Result<Resolved, Vec<String>>>,
    ) -> Self {
        Self {
            input,
            catalogues,
            waivers: Waivers::new(&input.estate.waivers, input.now),
            routes: RouteCache::default(),
            blueprints: Blueprints::new(input),
            settled,
        }
    }
}

/// The version that an instance has, as far as that is known.
pub(super) enum Current {
    /// This one, or nothing.
    Known(Option<Version>),
    /// It could not be seen, and why.
    Unseen(String),
}

/// The version that is there: what was observed; where nobody looked, what is recorded.
pub(super) fn current(input: &PlanInput<'_>, addr: &InstanceAddr, provider: &ProviderName, locked: Option<&Locked>) -> Current {
    let recorded = locked.map(|locked| &*locked.version);
    let Some(scheme) = input.providers.get(provider).map(|provider| &provider.scheme) else {
        return Current::Unseen(format!("there is no provider {provider}"));
    };
    let read = |text: &str| match Version::parse(text, scheme) {
        Ok(version) => Current::Known(Some(version)),
        Err(error) => Current::Unseen(format!("the version that was observed cannot be read: {error}; {}", error.help)),
    };
    let Some(observation) = input.inventory.instances.get(addr) else {
        return recorded.map_or_else(|| Current::Unseen("it was not looked at, and nothing is recorded of it".to_owned()), read);
    };
    match observation.facts.get("version") {
        None => Current::Unseen("its provider observes no fact `version`".to_owned()),
        Some(Observed::Unseen(why)) => Current::Unseen(format!("its version could not be seen: {why}")),
        Some(Observed::Value(value)) => match value.unmark().0 {
            Value::Null => Current::Known(None),
            // As the lockfile writes it, where it is the same.
            Value::String(text) => match (read(text), recorded.map(|recorded| Version::parse(recorded, scheme))) {
                (Current::Known(Some(seen)), Some(Ok(recorded))) if seen == recorded => Current::Known(Some(recorded)),
                (seen, _) => seen,
            },
            Value::Number(number) => read(&number.to_string()),
            other => Current::Unseen(format!("its fact `version` is a {} and no text", other.kind())),
        },
    }
}

/// What is to become of a candidate.
pub(super) fn decide<'a>(desk: &Desk<'a>, candidate: &Candidate<'a>) -> Course {
    if let Course::Blocked(why, direction) = &candidate.course {
        return Course::Blocked(why.clone(), *direction);
    }
    let Some(provider) = desk.input.providers.get(candidate.provider) else {
        return Course::blocked(match candidate.declared() {
            Some(_) => format!("there is no provider {}", candidate.provider),
            None => format!(
                "it is declared no longer, and neither is its provider {}, which would know how to remove it: keep the provider until it \
                 is removed, or forget the instance with `windlass state rm {}`",
                candidate.provider, candidate.addr
            ),
        });
    };
    let now = match &candidate.now {
        Current::Known(now) => now.clone(),
        Current::Unseen(why) => return Course::Unobserved(vec![why.clone()]),
    };
    let case = Case { desk, candidate, provider, now };
    match (&desk.input.options.purpose, candidate.origin) {
        (Purpose::Backup, _) => case.backup(),
        (Purpose::Restore(restored), _) => case.restore(restored),
        (Purpose::Declared, Origin::Declared(declared, locked)) => case.declared(declared, locked),
        (Purpose::Declared, Origin::Orphan(locked)) => case.undeclared(locked),
    }
}

/// One decision.
struct Case<'c, 'a> {
    desk: &'c Desk<'a>,
    candidate: &'c Candidate<'a>,
    provider: &'a Provider,
    /// What is there.
    now: Option<Version>,
}

impl<'a> Case<'_, 'a> {
    fn declared(&self, declared: &'a Instance, locked: Option<&'a Locked>) -> Course {
        let settled = match self.desk.settled.get(self.candidate.addr) {
            Some(Ok(settled)) => settled,
            Some(Err(reasons)) => {
                let obstacle = |reason: &String| Obstacle { text: reason.clone(), span: declared.version_span };
                return Course::Blocked(reasons.iter().map(obstacle).collect(), Direction::Up);
            }
            None => return Course::blocked("no version was settled on for it"),
        };
        let wanted = &settled.version;
        let mut why: Vec<String> = settled.why.iter().chain(&settled.warnings).cloned().collect();
        why.extend(self.drift());
        let settings = self.changed_settings();
        // A setting that the provider did not have before has not changed.
        let had = |name: &str| locked.and_then(|locked| locked.settings.as_object()).is_some_and(|all| all.contains_key(name));
        let stays = self.now.as_ref().is_none_or(|now| wanted == now);
        let refuses = |diff: &SettingDiff| match self.on_change(&diff.name) {
            OnChange::Refuse => true,
            OnChange::WithVersion => stays,
            OnChange::Reconfigure | OnChange::Ignore => false,
        };
        let refused: Vec<Obstacle> =
            settings.iter().filter(|diff| had(&diff.name) && refuses(diff)).map(|diff| self.refusal(diff)).collect();
        let moves = locked.is_some_and(|locked| locked.host != declared.host);
        let Some(now) = &self.now else {
            // Where such a setting says where to look, nothing is seen there, and what it was before would be left behind.
            if locked.is_some() && !moves && !refused.is_empty() {
                return Course::Blocked(refused, Direction::Up);
            }
            match locked {
                Some(locked) if moves => why.push(format!(
                    "it moves from {} to {}: it is installed there, and what is on the old host stays until somebody removes it",
                    host(locked.host.as_ref()),
                    host(declared.host.as_ref())
                )),
                Some(locked) => why.push(format!("{} is recorded and nothing is there: it is installed again", locked.version)),
                None => why.push(format!("it is declared and nothing is there: {wanted} is installed")),
            }
            return self.travel(Decision::Install, Movement::Install, None, Some(wanted), why, Vec::new());
        };
        if !refused.is_empty() {
            return Course::Blocked(refused, Direction::Up);
        }
        if locked.is_none() {
            why.push(format!("{now} is there and in no lockfile: it is taken into care"));
        }
        match wanted.cmp(now) {
            std::cmp::Ordering::Equal => self.same_version(declared, locked, now, why, settings),
            std::cmp::Ordering::Greater => {
                why.push(format!("{now} is there and {wanted} is declared"));
                self.travel(Decision::Upgrade, Movement::Upgrade, Some(now), Some(wanted), why, settings)
            }
            std::cmp::Ordering::Less => {
                why.push(format!("{now} is there and {wanted} is declared, which is lower"));
                self.back(now, wanted, why, settings)
            }
        }
    }

    fn same_version(
        &self,
        declared: &Instance,
        locked: Option<&Locked>,
        now: &Version,
        mut why: Vec<String>,
        settings: Vec<SettingDiff>,
    ) -> Course {
        let Some(locked) = locked else {
            return self.settle(Decision::Adopt, Some(now), Some(now), why, settings);
        };
        let reconfigures = settings.iter().any(|diff| self.on_change(&diff.name) == OnChange::Reconfigure);
        if reconfigures {
            let names: Vec<String> = settings.iter().map(|diff| format!("`{}`", diff.name)).collect();
            why.push(format!("{now} stays and {} changed", names.join(", ")));
            return self.travel(Decision::Reconfigure, Movement::Reconfigure, Some(now), Some(now), why, settings);
        }
        if let Some(facts) = self.desk.input.options.bring_back.get(self.candidate.addr).filter(|facts| !facts.is_empty()) {
            let names: Vec<&str> = facts.iter().map(|fact| &**fact).collect();
            why.push(format!("{now} stays, and what is not as it was recorded is brought back: {}", names.join(", ")));
            return self.travel(Decision::Reconfigure, Movement::Reconfigure, Some(now), Some(now), why, settings);
        }
        if same_text(&locked.version, now, &self.provider.scheme)
            && locked.settings_digest == declared.settings_digest
            && settings.is_empty()
        {
            why.insert(0, format!("{now} is there, as declared"));
            return Course::Nothing(why);
        }
        if locked.settings_digest != declared.settings_digest || !settings.is_empty() {
            let names: Vec<String> = settings.iter().map(|diff| format!("`{}`", diff.name)).collect();
            why.push(match (names.is_empty(), locked.host == declared.host) {
                (false, _) => format!("{} changed, which asks for no action: it is only recorded", names.join(", ")),
                (true, false) => format!("it is on {} now: that is only recorded", host(declared.host.as_ref())),
                (true, true) => "its settings are recorded anew".to_owned(),
            });
        }
        self.settle(Decision::Adopt, Some(now), Some(now), why, settings)
    }

    /// To a lower version: by undoing what was applied, where that leads there; else by a way of the provider's own.
    fn back(&self, now: &Version, wanted: &Version, mut why: Vec<String>, settings: Vec<SettingDiff>) -> Course {
        let hops = self.candidate.locked().map_or(&[][..], |locked| &locked.hops);
        let traveller = self.traveller();
        let scheme = &self.provider.scheme;
        // Who names a strategy means it on the way down too, where the provider has a way down by it.
        if let Some(strategy) = self.candidate.declared().and_then(|declared| declared.strategy.as_ref())
            && self.provider.routes.iter().any(|route| route.movement == Movement::Downgrade && route.strategy == *strategy)
        {
            match self.traveller().travel_by(Movement::Downgrade, Some(now), Some(wanted), Some(strategy)) {
                Ok(journey) => {
                    why.push(format!("strategy \"{strategy}\" is asked for, which goes before undoing what was applied"));
                    return self.changes(Decision::Rollback, Some(now), Some(wanted), why, settings, journey);
                }
                Err(obstacles) => why.extend(
                    obstacles
                        .into_iter()
                        .map(|obstacle| format!("not by strategy \"{strategy}\", which is asked for: {}", obstacle.text)),
                ),
            }
        }
        let undone =
            match super::revert::way_back(hops, |text| same_text(text, now, scheme), |text| same_text(text, wanted, scheme)) {
                None => {
                    why.push("no applied hops lead back to it, so the provider's own way down is taken".to_owned());
                    return self.travel(Decision::Rollback, Movement::Downgrade, Some(now), Some(wanted), why, settings);
                }
                Some(way) => way.map_err(|stuck| vec![stuck]).and_then(|way| {
                    let journey = traveller.undo(&way)?;
                    Ok((way, journey))
                }),
            };
        let (way, mut journey) = match undone {
            Ok(undone) => undone,
            Err(mut obstacles) => {
                // The provider may know a way down that undoing is not.
                let other = traveller.travel(Movement::Downgrade, Some(now), Some(wanted));
                return match other {
                    Ok(journey) => {
                        why.extend(obstacles.into_iter().map(|obstacle| format!("not by undoing: {}", obstacle.text)));
                        self.changes(Decision::Rollback, Some(now), Some(wanted), why, settings, journey)
                    }
                    Err(mut others) => {
                        others.retain(|other| !obstacles.contains(other));
                        obstacles.append(&mut others);
                        Course::Blocked(obstacles, Direction::Down)
                    }
                };
            }
        };
        why.push(format!(
            "the applied hops lead back to it: {} undone, newest first",
            if way.len() == 1 { "one is".to_owned() } else { format!("{} are", way.len()) }
        ));
        let reconfigured = way.iter().any(|hop| hop.from.as_ref() == Some(&hop.to));
        if reconfigured || settings.iter().any(|diff| self.on_change(&diff.name) == OnChange::Reconfigure) {
            match traveller.travel(Movement::Reconfigure, Some(wanted), Some(wanted)) {
                Ok(further) => {
                    journey.why.push("undoing brings older settings back, so it is reconfigured afterwards".to_owned());
                    journey.extend(further);
                }
                Err(_) => journey.why.push(
                    "undoing brings older settings back, and the provider has no way to reconfigure: look at its settings afterwards".to_owned(),
                ),
            }
        }
        self.changes(Decision::Rollback, Some(now), Some(wanted), why, settings, journey)
    }

    fn backup(&self) -> Course {
        let Some(now) = &self.now else { return Course::blocked("nothing is there to be backed up") };
        if self.candidate.locked().is_none() {
            return Course::blocked("it is in no lockfile, which keeps the account of backups: apply it first");
        }
        let why = vec![format!("a backup of {now} is asked for")];
        self.travel(Decision::Backup, Movement::Backup, Some(now), Some(now), why, Vec::new())
    }

    /// Data of an older version may be brought forward by the provider's route; never data of a newer one back.
    fn restore(&self, restored: &Restored) -> Course {
        let Some(now) = &self.now else {
            return Course::blocked("nothing is there to restore into: apply installs it, then restore");
        };
        if self.candidate.locked().is_none() {
            return Course::blocked("it is in no lockfile, which keeps the account of backups: apply it first");
        }
        let Some(first) = restored.backups.first() else { return Course::blocked("there is no backup to restore") };
        let held = match Version::parse(&first.version, &self.provider.scheme) {
            Ok(held) => held,
            Err(error) => return Course::blocked(format!("the backup's version cannot be read: {error}; {}", error.help)),
        };
        if held > *now {
            return Course::blocked(format!(
                "the backup {} holds {held}, and {now} is there: data of a newer version cannot be restored onto an older one; bring the \
                 instance to {held} first",
                first.id
            ));
        }
        let mut why = vec![format!("the backup {} of {held} ({}) is restored", first.id, first.at)];
        let mut missing: Vec<&str> = restored.backups.iter().flat_map(|backup| &backup.excluded).map(String::as_str).collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            why.push(format!("it does not hold: {}", missing.join(", ")));
        }
        why.push(match &restored.to {
            Some(to) => format!("it goes to {to}; the instance itself is not touched"),
            None => format!("what was written since {} is lost", first.at),
        });
        self.travel(Decision::Restore, Movement::Restore, Some(&held), Some(now), why, Vec::new())
    }

    fn undeclared(&self, locked: &Locked) -> Course {
        let mut why = vec!["it is declared no longer".to_owned()];
        why.extend(self.drift());
        match &self.now {
            None => {
                why.push("nothing is there any more, so it is only forgotten".to_owned());
                self.settle(Decision::Forget, None, None, why, Vec::new())
            }
            Some(now) => match self.traveller().travel(Movement::Remove, Some(now), None) {
                Ok(journey) => self.changes(Decision::Remove, Some(now), None, why, Vec::new(), journey),
                Err(mut obstacles) => {
                    let addr = self.candidate.addr;
                    let text = format!(
                        "it is declared no longer and {} cannot be removed by its provider: declare it again, or remove it by hand and \
                         forget it with `windlass state rm {addr}`",
                        locked.version
                    );
                    obstacles.insert(0, Obstacle::new(text));
                    Course::Blocked(obstacles, Direction::Down)
                }
            },
        }
    }

    /// Where the lockfile does not say what is there.
    fn drift(&self) -> Option<String> {
        let locked = self.candidate.locked()?;
        let now = self.now.as_ref()?;
        if !self.desk.input.inventory.instances.contains_key(self.candidate.addr) {
            return Some(format!("nobody looked, so that {now} is there is taken from the lockfile"));
        }
        (!same_text(&locked.version, now, &self.provider.scheme))
            .then(|| format!("the lockfile has {} and {now} is there: it was changed behind Windlass's back", locked.version))
    }

    fn on_change(&self, name: &str) -> OnChange {
        match name {
            // Only read when a backup is made.
            "backup" => OnChange::Ignore,
            _ => self.provider.settings.get(name).map_or(OnChange::Reconfigure, |setting| setting.on_change),
        }
    }

    fn refusal(&self, diff: &SettingDiff) -> Obstacle {
        let shown = |value: &Value| serde_json::to_string(value).unwrap_or_else(|_| value.kind().to_owned());
        let lasts = match self.on_change(&diff.name) {
            OnChange::WithVersion => "while the version stays",
            _ => "while the instance lives",
        };
        let text = if diff.before == diff.after {
            format!("setting `{}` cannot change {lasts}: put its old value back", diff.name)
        } else {
            let (before, after) = (shown(&diff.before), shown(&diff.after));
            format!("setting `{}` cannot change from {before} to {after} {lasts}: put {before} back", diff.name)
        };
        Obstacle { text, span: self.candidate.span() }
    }

    /// Settings that differ from what is recorded; what is sensitive is compared by keyed digests.
    fn changed_settings(&self) -> Vec<SettingDiff> {
        let Origin::Declared(declared, Some(locked)) = self.candidate.origin else { return Vec::new() };
        let rotated = |name: &str| match (locked.seals.get(name), declared.seals.get(name)) {
            (Some(before), Some(after)) => was_rotated(before, after),
            _ => false,
        };
        if declared.settings_digest == locked.settings_digest && !declared.seals.keys().any(|name| rotated(name)) {
            return Vec::new();
        }
        let null = Value::Null;
        let nothing = crate::lang::Object::new();
        let before = locked.settings.as_object().unwrap_or(&nothing);
        let after = recorded(declared);
        let after = after.as_object().unwrap_or(&nothing);
        let mut names: Vec<&Arc<str>> = before.keys().chain(after.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| {
                let (before, after) = (before.get(name).unwrap_or(&null), after.get(name).unwrap_or(&null));
                (!same(before, after) || rotated(name)).then(|| SettingDiff {
                    name: name.clone(),
                    before: redacted(before),
                    after: redacted(after),
                })
            })
            .collect()
    }

    fn subject(&self) -> Subject<'a> {
        let Candidate { addr, environment, .. } = *self.candidate;
        let estate = self.desk.input.estate;
        let env = crate::lang::Env { files: self.provider, ..crate::lang::Env::pure(self.desk.input.now) };
        let observation = self.desk.input.inventory.instances.get(addr);
        let host = self.host().and_then(|host| estate.hosts.get(host));
        let mut subject = match self.candidate.origin {
            Origin::Declared(declared, _) => Subject::declared(self.provider, declared, host, observation, env),
            Origin::Orphan(locked) => Subject::locked(self.provider, addr, environment, locked, host, observation, env),
        };
        subject.restore = self.desk.input.options.purpose.value();
        subject
    }

    /// Where it lives; for a restore elsewhere, where that goes.
    fn host(&self) -> Option<&'a HostName> {
        let own = match self.candidate.origin {
            Origin::Declared(declared, _) => declared.host.as_ref(),
            Origin::Orphan(locked) => locked.host.as_ref(),
        };
        match &self.desk.input.options.purpose {
            Purpose::Restore(restored) => restored.host.as_ref().or(own),
            _ => own,
        }
    }

    fn traveller(&self) -> Traveller<'_, 'a> {
        let strategy = self.candidate.declared().and_then(|declared| declared.strategy.as_ref());
        Traveller::new(self.desk, self.subject(), self.desk.catalogues.get(self.candidate.provider), strategy)
    }

    fn travel(
        &self,
        decision: Decision,
        movement: Movement,
        from: Option<&Version>,
        to: Option<&Version>,
        why: Vec<String>,
        settings: Vec<SettingDiff>,
    ) -> Course {
        match self.traveller().travel(movement, from, to) {
            Ok(journey) => self.changes(decision, from, to, why, settings, journey),
            Err(obstacles) => Course::Blocked(obstacles, direction(decision)),
        }
    }

    fn settle(
        &self,
        decision: Decision,
        from: Option<&Version>,
        to: Option<&Version>,
        why: Vec<String>,
        settings: Vec<SettingDiff>,
    ) -> Course {
        self.changes(decision, from, to, why, settings, Journey::default())
    }

    fn changes(
        &self,
        decision: Decision,
        from: Option<&Version>,
        to: Option<&Version>,
        mut why: Vec<String>,
        settings: Vec<SettingDiff>,
        journey: Journey,
    ) -> Course {
        let Candidate { addr, environment, provider, .. } = *self.candidate;
        let Journey { hops, why: further, accepted, notes, preflights } = journey;
        why.extend(further);
        let (recorded, settings_digest, seals) = match self.candidate.origin {
            Origin::Declared(declared, _) => (redacted(&recorded(declared)), &declared.settings_digest, &declared.seals),
            Origin::Orphan(locked) => (redacted(&locked.settings), &locked.settings_digest, &locked.seals),
        };
        let change = Change {
            instance: addr.clone(),
            provider: provider.clone(),
            environment: environment.clone(),
            host: self.host().cloned(),
            decision,
            from: from.map(Version::shared_text),
            to: to.map(Version::shared_text),
            why,
            hops: Vec::new(),
            settings,
            recorded,
            settings_digest: settings_digest.clone(),
            seals: seals.clone(),
            accepted,
            notes,
            preflights,
        };
        Course::Change(Box::new(Draft { change, hops, direction: direction(decision) }))
    }
}

/// Whether a keyed digest is of another value. Of another key it tells nothing.
fn was_rotated(before: &str, after: &str) -> bool {
    match (before.split_once(':'), after.split_once(':')) {
        (Some((key, before)), Some((other, after))) => key == other && before != after,
        _ => false,
    }
}

/// Which way a decision moves an instance.
fn direction(decision: Decision) -> Direction {
    match decision {
        Decision::Rollback | Decision::Remove | Decision::Forget => Direction::Down,
        Decision::Install | Decision::Upgrade | Decision::Reconfigure | Decision::Adopt | Decision::Backup | Decision::Restore => {
            Direction::Up
        }
    }
}

/// Settings as a lockfile keeps them: the backup block is one of them.
fn recorded(declared: &Instance) -> Value {
    if declared.backup.is_null() {
        return Value::Object(declared.settings.clone());
    }
    let mut settings = crate::lang::Object::clone(&declared.settings);
    settings.insert("backup".into(), declared.backup.clone());
    Value::Object(settings.into())
}

fn same_text(text: &str, version: &Version, scheme: &VersionScheme) -> bool {
    text == version.text() || Version::parse(text, scheme).is_ok_and(|other| other == *version)
}

fn host(name: Option<&HostName>) -> String {
    name.map_or_else(|| "this machine".to_owned(), |name| format!("host {name}"))
}
