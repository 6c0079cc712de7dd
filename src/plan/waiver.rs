//! Which exceptions stand: declared waivers, found by name for one instance at one time.
//!
//! Takes the estate's waivers, gives the standing of a name. Never decides what a waiver lets pass: who asks knows that.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::model::estate::Waiver;
use crate::model::name::{EnvironmentName, InstanceAddr};

/// Every declared waiver, by name and instance, so that ten thousand instances can each ask for theirs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waivers<'a> {
    by_name: HashMap<(&'a str, Option<&'a str>), Vec<&'a Waiver>>,
    now: Timestamp,
}

/// What became of the question whether something is waived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody declared a waiver for it.
    None,
    /// It is waived, for this reason.
    Waived(String),
    /// It was waived, until then.
    Expired(String),
}

impl Standing {
    /// The reason, where it is waived.
    pub(crate) fn waived(self) -> Option<String> {
        match self {
            Self::Waived(reason) => Some(reason),
            Self::None | Self::Expired(_) => None,
        }
    }
}

impl<'a> Waivers<'a> {
    /// Those of an estate, as they stand at `now`.
    pub(crate) fn new(waivers: &'a [Waiver], now: Timestamp) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for waiver in waivers {
            let key = (&*waiver.name, waiver.instance.as_ref().map(InstanceAddr::as_str));
            by_name.entry(key).or_default().push(waiver);
        }
        Self { by_name, now }
    }

    /// Whether anything is waived under `name`, for any instance.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How `name` stands for an instance (`None`: for all of the environment).
    pub(crate) fn standing(&self, name: &str, instance: Option<&InstanceAddr>, environment: &EnvironmentName) -> Standing {
        let mut expired: Option<&Waiver> = None;
        for waiver in self.of(name, instance) {
            if waiver.environment.as_ref().is_some_and(|of| of != environment) {
                continue;
            }
            match waiver.until {
                Some(until) if until <= self.now => {
                    if expired.is_none_or(|other| other.until < waiver.until) {
                        expired = Some(waiver);
                    }
                }
                _ => return Standing::Waived(waiver.reason.clone()),
            }
        }
        match expired.and_then(|waiver| waiver.until) {
            Some(until) => Standing::Expired(format!("the waiver `{name}` expired at {until}")),
            None => Standing::None,
        }
    }

    /// Waivers of one name that mean the instance: its own first.
    fn of<'s>(&'s self, name: &'s str, instance: Option<&'s InstanceAddr>) -> impl Iterator<Item = &'s Waiver> {
        let own = instance.and_then(|addr| self.by_name.get(&(name, Some(addr.as_str()))));
        let all = self.by_name.get(&(name, None));
        own.into_iter().chain(all).flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing, Waivers};
    use crate::model::estate::Waiver;
    use crate::model::name::InstanceAddr;

    fn waiver(name: &str, instance: Option<&str>, environment: Option<&str>, until: Option<&str>) -> Waiver {
        Waiver {
            name: name.into(),
            instance: instance.map(InstanceAddr::from_text),
            environment: environment.map(Into::into),
            reason: format!("because of {name}"),
            owner: None,
            until: until.map(|text| text.parse().unwrap()),
            span: None,
        }
    }

    #[test]
    fn a_waiver_holds_for_its_instance_and_environment_only() {
        let all = [waiver("backup", Some("a.b"), None, None), waiver("soak", None, Some("test"), None)];
        let waivers = Waivers::new(&all, "2026-06-01T00:00:00Z".parse().unwrap());
        let addr = |text| InstanceAddr::from_text(text);
        let waived = |name: &str| Standing::Waived(format!("because of {name}"));
        assert_eq!(waivers.standing("backup", Some(&addr("a.b")), &"test".into()), waived("backup"));
        assert_eq!(waivers.standing("backup", Some(&addr("a.c")), &"test".into()), Standing::None);
        assert_eq!(waivers.standing("backup", None, &"test".into()), Standing::None);
        assert_eq!(waivers.standing("soak", Some(&addr("a.c")), &"test".into()), waived("soak"));
        assert_eq!(waivers.standing("soak", Some(&addr("a.c")), &"production".into()), Standing::None);
    }

    #[test]
    fn a_waiver_ends_at_its_date_and_the_latest_expiry_is_named() {
        let all = [
            waiver("w", None, None, Some("2026-01-01T00:00:00Z")),
            waiver("w", None, None, Some("2026-03-01T00:00:00Z")),
            waiver("w", Some("a.b"), None, Some("2026-02-01T00:00:00Z")),
        ];
        let addr = InstanceAddr::from_text("a.b");
        let at = |text: &str| Waivers::new(&all, text.parse().unwrap()).standing("w", Some(&addr), &"test".into());
        assert!(matches!(at("2026-02-28T23:59:59Z"), Standing::Waived(_)));
        assert_eq!(at("2026-03-01T00:00:00Z"), Standing::Expired("the waiver `w` expired at 2026-03-01T00:00:00Z".to_owned()));
    }
}
