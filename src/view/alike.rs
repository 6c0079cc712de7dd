//! What is said of several instances is said once: gates that differ in nothing but the instance, and a few names for many.

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::plan::Gate;

/// Names that are given before the rest is counted.
const NAMED: usize = 8;

/// Gates that say the same, each with the instances that it is about; none where it is about the environment.
#[must_use]
pub fn alike<'a>(gates: impl IntoIterator<Item = &'a Gate>) -> Vec<(&'a Gate, Vec<&'a str>)> {
    let mut groups: IndexMap<_, (&Gate, Vec<&str>)> = IndexMap::new();
    for gate in gates {
        let Gate { environment, kind, open, message, opens, paste, waived, .. } = gate;
        let key = (environment, kind.as_str(), open, message, opens, paste, waived);
        let (_, about) = groups.entry(key).or_insert_with(|| (gate, Vec::new()));
        about.extend(gate.instance.as_ref().map(|instance| instance.as_str()));
    }
    groups.into_values().collect()
}

/// When a gate opens, where that is known and its message does not say it.
pub(crate) fn unsaid_opening(message: &str, opens: Option<Timestamp>) -> Option<Timestamp> {
    opens.filter(|opens| !message.contains(&opens.to_string()))
}

/// `a, b and 3 more`, each name written by `write`; empty where there is none.
pub(crate) fn named(names: &[&str], write: impl Fn(&str) -> String) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| write(name)).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::InstanceAddr;
    use crate::plan::GateKind;

    #[test]
    fn an_opening_is_said_once() {
        let opens = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(unsaid_opening("it must soak", opens), opens);
        assert_eq!(unsaid_opening("it opens at 1970-01-01T00:00:00Z", opens), None);
    }

    #[test]
    fn what_differs_in_nothing_but_the_instance_is_one() {
        let gate = |instance: &str, message: &str| Gate {
            environment: "production".into(),
            instance: Some(InstanceAddr::from_text(instance)),
            kind: GateKind::Promotion,
            open: false,
            message: message.to_owned(),
            opens: None,
            closes: None,
            paste: None,
            waived: None,
        };
        let gates = [gate("app.a", "first"), gate("app.b", "second"), gate("app.c", "first")];
        let about: Vec<Vec<&str>> = alike(&gates).into_iter().map(|(_, about)| about).collect();
        assert_eq!(about, [vec!["app.a", "app.c"], vec!["app.b"]]);
        assert_eq!(named(&["x"; 10], str::to_uppercase), "X, X, X, X, X, X, X, X and 2 more");
        assert_eq!(named(&[], str::to_uppercase), "");
    }
}
