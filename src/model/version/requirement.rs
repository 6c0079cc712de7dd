//! Constraints over versions: `"13.4.1"`, `"~> 13.4"`, `">= 3.3, < 4"`, `"!= 1.2"`, `"1.8.x"`, `"*"`, alternatives with `||`.
//!
//! Takes the text and the product's scheme, gives a [`VersionReq`] that answers which versions fit. Never picks one: the planner
//! does, by [`VersionReq::selects`] over the catalogue.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Version, VersionError, VersionScheme};

/// A constraint: comparisons joined by `,` (all must hold), such lists joined by `||` (one must hold).
///
/// | written | fits |
/// |---|---|
/// | `13.4.1`, `= 13.4.1` | what is equal under the scheme: also `V13.4.1.0` |
/// | `!= 1.2`, `> 1.2`, `>= 1.2`, `< 1.2`, `<= 1.2` | by the order of the scheme |
/// | `~> 13.4`, `~> 13.4.1` | `>= 13.4` below 14, `>= 13.4.1` below 13.5: the last number may grow |
/// | `1.8.x`, `1.8.*`, `!= 1.8.x` | what begins with these release numbers, or does not |
/// | `*` | anything |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionReq {
    text: Arc<str>,
    /// One must hold.
    alternatives: Vec<Vec<Comparison>>,
}

/// One comparison, `>= 3.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Comparison {
    Any,
    Order(Operator, Version),
    /// `~>`: not below the version, and all but its last number the same.
    Pessimistic(Version),
    /// `1.8.x`: begins with the numbers of the version, or, where `false`, does not.
    Prefix(Version, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl VersionReq {
    /// The longest text of a constraint, in bytes.
    pub const MAX_LEN: usize = 1024;
    /// How many comparisons a constraint may have.
    pub const MAX_COMPARISONS: usize = 64;

    /// Reads a constraint. Under `regex:` a version may be written as the product writes it (`>= KAP 2.5`) or as what the pattern
    /// captures (`>= 2.5`).
    ///
    /// # Errors
    /// A token is no comparison of versions under the scheme; the error has its place in `text`.
    pub fn parse(text: &str, scheme: &VersionScheme) -> Result<Self, VersionError> {
        if text.trim().is_empty() {
            return Err(VersionError::whole(text, "is an empty constraint", "write a version such as `1.2.3`, or `*` for any"));
        }
        if text.len() > Self::MAX_LEN {
            return Err(VersionError::whole(text, format!("is longer than {} bytes", Self::MAX_LEN), "write a shorter constraint"));
        }
        let mut count = 0;
        let mut alternatives = Vec::new();
        for alternative in pieces(text, 0..text.len(), "||") {
            let mut comparisons = Vec::new();
            for piece in pieces(text, alternative, ",") {
                count += 1;
                if count > Self::MAX_COMPARISONS {
                    let problem = format!("has more than {} comparisons", Self::MAX_COMPARISONS);
                    return Err(VersionError::whole(text, problem, "write a range, such as `>= 1.2, < 2`"));
                }
                let token = text.get(piece.clone()).unwrap_or_default();
                if token.is_empty() {
                    let help = "write a comparison on both sides of each `,` and `||`: `>= 3.3, < 4 || 5.1`";
                    return Err(VersionError::whole(text, "has a `,` or `||` with nothing beside it", help));
                }
                comparisons.push(comparison(token, scheme).map_err(|error| error.within(piece.start))?);
            }
            alternatives.push(comparisons);
        }
        Ok(Self { text: Arc::from(text.trim()), alternatives })
    }

    /// Whether a version fits, by the order alone: `< 14` holds for `14.0-rc1`. For judging what is installed.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|comparisons| fits(comparisons, version))
    }

    /// Whether the constraint would choose a version by itself: as [`matches`](Self::matches), but a prerelease fits only where the
    /// same alternative names a prerelease of the same release. `>= 1.8` never chooses `1.9.0-rc1`; `>= 1.9.0-beta1` and
    /// `1.9.0-rc1` do. For "the newest release that fits".
    #[must_use]
    pub fn selects(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|comparisons| {
            fits(comparisons, version)
                && (!version.is_prerelease() || comparisons.iter().any(|comparison| comparison.names_prerelease_of(version)))
        })
    }

    /// The version, where the constraint is one exact version and nothing else.
    #[must_use]
    pub fn is_exact(&self) -> Option<&Version> {
        match self.alternatives.as_slice() {
            [comparisons] => match comparisons.as_slice() {
                [Comparison::Order(Operator::Equal, version)] => Some(version),
                _ => None,
            },
            _ => None,
        }
    }

    /// The versions that it names and that fit it, `3.4` of `~> 3.4`: whoever passes one of them passes what the constraint means,
    /// whether or not a catalogue has it.
    pub fn named(&self) -> impl Iterator<Item = &Version> {
        self.alternatives
            .iter()
            .flat_map(|comparisons| comparisons.iter().filter_map(Comparison::bound).filter(|version| fits(comparisons, version)))
    }

    /// Each alternative (`||`) as a constraint of its own; all keep the whole text.
    pub fn alternatives(&self) -> impl Iterator<Item = Self> {
        self.alternatives.iter().map(|comparisons| Self { text: Arc::clone(&self.text), alternatives: vec![comparisons.clone()] })
    }

    /// The constraint as written (without white space around it).
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for VersionReq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for VersionReq {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn fits(comparisons: &[Comparison], version: &Version) -> bool {
    comparisons.iter().all(|comparison| comparison.holds(version))
}

impl Comparison {
    fn bound(&self) -> Option<&Version> {
        match self {
            Self::Any => None,
            Self::Order(_, bound) | Self::Pessimistic(bound) | Self::Prefix(bound, _) => Some(bound),
        }
    }

    fn holds(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Order(operator, bound) => match operator {
                Operator::Equal => version == bound,
                Operator::NotEqual => version != bound,
                Operator::Greater => version > bound,
                Operator::GreaterOrEqual => version >= bound,
                Operator::Less => version < bound,
                Operator::LessOrEqual => version <= bound,
            },
            Self::Pessimistic(bound) => version >= bound && same_numbers(version, bound, bound.component_count().saturating_sub(1)),
            Self::Prefix(bound, wanted) => same_numbers(version, bound, bound.component_count()) == *wanted,
        }
    }

    fn names_prerelease_of(&self, version: &Version) -> bool {
        match self {
            Self::Any | Self::Prefix(..) | Self::Order(Operator::NotEqual, _) => false,
            Self::Order(_, bound) | Self::Pessimistic(bound) => {
                bound.is_prerelease() && same_numbers(version, bound, bound.component_count().max(version.component_count()))
            }
        }
    }
}

/// Whether two versions agree in epoch and in their first `count` release numbers; absent ones are zero.
fn same_numbers(left: &Version, right: &Version, count: usize) -> bool {
    // `Some(None)` is a number beyond 64 bits. The constraint's own are checked when it is read, so it equals none of them.
    let number = |version: &Version, index: usize| version.facts().numbers.get(index).copied().unwrap_or(Some(0));
    left.facts().epoch == right.facts().epoch && (0..count).all(|index| number(left, index) == number(right, index))
}

/// The trimmed parts of a range of the text between separators.
fn pieces<'t>(text: &'t str, range: Range<usize>, separator: &'static str) -> impl Iterator<Item = Range<usize>> + 't {
    let mut start = range.start;
    text.get(range).unwrap_or_default().split(separator).map(move |piece| {
        let lead = start + (piece.len() - piece.trim_start().len());
        start += piece.len() + separator.len();
        lead..lead + piece.trim().len()
    })
}

fn comparison(token: &str, scheme: &VersionScheme) -> Result<Comparison, VersionError> {
    let end = token.find(|character| !"=<>!~^".contains(character)).unwrap_or(token.len());
    let (sign, behind) = token.split_at_checked(end).unwrap_or((token, ""));
    let operand = behind.trim();
    let at = token.len() - behind.trim_start().len();
    let operator = match sign {
        "" | "=" | "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        "~>" => return pessimistic(token, operand, scheme).map_err(|error| error.within(at)),
        _ => {
            let instead = match sign {
                "=>" => ">=",
                "=<" => "<=",
                "<>" | "!" => "!=",
                "~" | "^" | "~=" => "~>",
                _ => return Err(VersionError::whole(sign, "is no operator", "write one of `=`, `!=`, `>`, `>=`, `<`, `<=`, `~>`")),
            };
            return Err(VersionError::whole(sign, "is no operator", format!("write `{instead} {operand}`")));
        }
    };
    if operand.is_empty() {
        return Err(VersionError::whole(token, "has no version", format!("write a version behind it: `{sign} 1.2`")));
    }
    check_operand(operand, scheme).map_err(|error| error.within(at))?;
    let Some(prefix) = before_wildcard(operand) else {
        return version(operand, scheme).map(|bound| Comparison::Order(operator, bound)).map_err(|error| error.within(at));
    };
    let wanted = match operator {
        Operator::Equal => true,
        Operator::NotEqual => false,
        _ => {
            let help = format!("write the number: `{sign} {}`", if prefix.is_empty() { "1.2" } else { prefix });
            return Err(VersionError::whole(token, "compares with a wildcard", help));
        }
    };
    match (prefix, wanted) {
        ("", true) => Ok(Comparison::Any),
        ("", false) => Err(VersionError::whole(token, "fits no version", "write the version to leave out: `!= 1.2`")),
        (prefix, wanted) => {
            let bound = version(prefix, scheme).map_err(|error| error.within(at))?;
            check_numbers(&bound, operand, bound.component_count()).map_err(|error| error.within(at))?;
            if !bound.facts().plain {
                let help = "put a wildcard behind release numbers only: `1.8.x`";
                return Err(VersionError::whole(operand, "has a wildcard behind more than numbers", help).within(at));
            }
            Ok(Comparison::Prefix(bound, wanted))
        }
    }
}

fn pessimistic(token: &str, operand: &str, scheme: &VersionScheme) -> Result<Comparison, VersionError> {
    if operand.is_empty() {
        return Err(VersionError::whole(token, "has no version", "write a version behind it: `~> 1.2`"));
    }
    check_operand(operand, scheme)?;
    if let Some(prefix) = before_wildcard(operand) {
        let help =
            if prefix.is_empty() { "write `*` alone".to_owned() } else { format!("write `{prefix}.x` alone, or `~> {prefix}.0`") };
        return Err(VersionError::whole(operand, "is a wildcard behind `~>`", help));
    }
    let bound = version(operand, scheme)?;
    if bound.component_count() < 2 {
        let help = format!("write `~> {operand}.0` to stay below the next number, or `>= {operand}` for anything newer");
        return Err(VersionError::whole(operand, "is one number only, which `~>` would let grow without end", help));
    }
    check_numbers(&bound, operand, bound.component_count() - 1)?;
    Ok(Comparison::Pessimistic(bound))
}

/// What would be read as one odd version, but is meant as two comparisons.
fn check_operand(operand: &str, scheme: &VersionScheme) -> Result<(), VersionError> {
    let found = operand
        .find(['<', '>', '=', '^', '|', '&'])
        .map(|at| if operand.get(..at).is_some_and(|lead| lead.ends_with(['~', '!'])) { at - 1 } else { at });
    if let Some(at) = found {
        let rest = operand.get(at..).unwrap_or_default();
        let help =
            if rest.starts_with('|') { "alternatives are joined by `||`" } else { "comparisons are joined by `,`: `>= 3.3, < 4`" };
        return Err(VersionError::whole(rest, "follows a version without a separator", help).within(at));
    }
    if let Some((from, to)) =
        operand.split_once(" - ").filter(|(_, to)| to.trim_start_matches(['v', 'V', ' ']).starts_with(|c: char| c.is_ascii_digit()))
        && !matches!(scheme, VersionScheme::Regex(_))
    {
        return Err(VersionError::whole(operand, "is a range with a dash", format!("write `>= {from}, <= {to}`")));
    }
    Ok(())
}

/// What stands before a wildcard at the end: `1.8` of `1.8.x`, nothing of `*`.
fn before_wildcard(operand: &str) -> Option<&str> {
    let mut rest = operand;
    while let Some(shorter) = rest.strip_suffix(".x").or_else(|| rest.strip_suffix(".X")).or_else(|| rest.strip_suffix(".*")) {
        rest = shorter;
    }
    if matches!(rest, "x" | "X" | "*") {
        return Some("");
    }
    (rest.len() < operand.len()).then_some(rest)
}

fn version(operand: &str, scheme: &VersionScheme) -> Result<Version, VersionError> {
    if operand.split('.').any(|part| matches!(part, "*" | "x" | "X")) {
        return Err(VersionError::whole(operand, "has a wildcard before its end", "put the wildcard last: `1.8.x`"));
    }
    Version::parse(operand, scheme).or_else(|error| match scheme {
        VersionScheme::Regex(_) => Version::parse(operand, &VersionScheme::Dotted).map_err(|_| error),
        _ => Err(error),
    })
}

/// Numbers that are compared one by one must fit.
fn check_numbers(bound: &Version, operand: &str, count: usize) -> Result<(), VersionError> {
    if (0..count).all(|index| bound.component(index).is_some()) {
        return Ok(());
    }
    Err(VersionError::whole(operand, "has a number beyond 64 bits", "compare with `>=` and `<` instead"))
}

#[cfg(test)]
#[path = "requirement_tests.rs"]
mod tests;
