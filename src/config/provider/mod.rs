//! Providers: folders of HCL that teach Windlass one product, found, read and checked.
//!
//! Takes a folder's files (from disk, git, the binary, or bytes that were recorded when a hop was applied) and gives a
//! [`Provider`] in which every name is known to be right.

mod bracket;
mod call;
mod catalogue;
mod check;
mod embedded;
mod fact;
mod fan_out;
mod find;
mod group;
mod guard;
mod lint;
mod parse;
mod poll;
mod probe;
mod setting;
mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use embedded::embedded;
pub(super) use find::{Declared, Finder, load_all};
pub use lint::lint;
pub(super) use parse::{Parsed, parse};

use super::declare::duplicate;
use super::digest::files_digest;
use super::fields::{Constants, Fields, Shape, check_name, check_shape, labels};
use crate::lang::{Block, Env};
use crate::model::driver::DriverSchema;
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::model::version::{Version, VersionScheme};
use crate::source::{Diagnostics, Severity, SourceMap, Span};

use check::Known;

/// A provider's files by path: what its digest is over, and what is kept so that a recorded hop can be undone.
pub type ProviderFiles = BTreeMap<Arc<str>, Arc<[u8]>>;

/// Loads a provider from its files: `schemes` says how other providers order versions, for what this one requires of them.
///
/// # Errors
/// Every problem in its files.
pub fn provider_from_files(
    name: &ProviderName,
    files: ProviderFiles,
    schemes: &BTreeMap<ProviderName, VersionScheme>,
    drivers: &[DriverSchema],
    sources: &mut SourceMap,
) -> Result<(Provider, Diagnostics), Diagnostics> {
    let mut problems = Diagnostics::new();
    let parsed = parse(name, files, &format!("providers/{name}"), sources, &mut problems);
    let provider = parsed.and_then(|parsed| decode(&parsed, schemes, drivers, &mut problems));
    match provider {
        Some(provider) => problems.unless_errors(provider),
        None => Err(problems),
    }
}

/// What decoding a block needs.
pub(super) struct Context<'a> {
    /// Evaluates what must be a constant.
    constants: Constants<'a>,
    /// Names that expressions may use.
    known: &'a Known,
    /// Drivers by name.
    drivers: &'a [DriverSchema],
    /// The product's scheme.
    scheme: &'a VersionScheme,
    /// The provider's files.
    files: &'a ProviderFiles,
}

/// Makes a provider of its blocks. `None`: something is wrong, and told.
pub(super) fn decode(
    parsed: &Parsed,
    schemes: &BTreeMap<ProviderName, VersionScheme>,
    drivers: &[DriverSchema],
    problems: &mut Diagnostics,
) -> Option<Provider> {
    let before = problems.len();
    let env = Env::pure(jiff::Timestamp::UNIX_EPOCH);
    let known = Known::of(parsed, problems);
    let context = Context { constants: Constants(&env), known: &known, drivers, scheme: &parsed.scheme, files: &parsed.files };
    let header = parsed.header.as_ref()?;
    let what = format!("provider `{}`", parsed.name);
    let shape = Shape { what: &what, attributes: &["version", "title", "description", "version_scheme"], blocks: &[] };
    check_shape(&header.body, &shape, problems);
    let mut fields =
        Fields { body: &header.body, what: &what, header: header.header_span(), evaluate: &context.constants, problems };
    let version = fields.required_text("version").unwrap_or_default();
    if !version.is_empty()
        && let Err(error) = Version::parse(&version, &VersionScheme::Semver)
    {
        let span = fields.span("version");
        fields.problems.push(error.diagnostic("invalid version", span));
    }
    let title = fields.text("title").unwrap_or_else(|| parsed.name.to_string());
    let description = fields.text("description").unwrap_or_default();
    let mut releases = Vec::new();
    for block in parsed.of("release") {
        if let Some([(text, span)]) = labels(block, ["VERSION"], problems) {
            releases.extend(super::release::read(block, &parsed.name, &parsed.scheme, (text, *span), &context.constants, problems));
        }
    }
    super::release::check_duplicates(&releases, problems);
    let strategies = step::strategies(parsed.of("strategy"), parsed.of("step_group"), &context, problems);
    let provider = Provider {
        name: parsed.name.clone(),
        title,
        description,
        version,
        digest: files_digest(&parsed.files),
        scheme: parsed.scheme.clone(),
        settings: setting::settings(parsed.of("setting"), &context, problems),
        locals: parsed.locals.iter().map(|(name, (expr, _))| (Arc::clone(name), expr.clone())).collect(),
        facts: fact::facts(parsed.of("fact"), &context, header.header_span(), problems),
        releases,
        routes: catalogue::routes(parsed.of("route"), &strategies, &context, problems),
        required_stops: catalogue::required_stops(parsed.of("required_stop"), &context, problems),
        blocked: guard::blocked(parsed.of("blocked"), &context, problems),
        risks: guard::risks(parsed.of("risk"), &context, problems),
        preflights: guard::preflights(parsed.of("preflight"), &context, problems),
        requires: catalogue::requires(parsed.of("requires"), &context, schemes, problems),
        notes: catalogue::notes(parsed.of("note"), &context, problems),
        strategies,
        files: parsed.files.clone(),
    };
    let broken = problems.iter().skip(before).any(|problem| problem.severity == Severity::Error);
    (!broken && !parsed.broken).then_some(provider)
}

/// Blocks with one label, each name once.
fn named<'a>(blocks: &'a [Block], what: &str, problems: &mut Diagnostics) -> Vec<(&'a Arc<str>, &'a Block)> {
    let mut seen: BTreeMap<&Arc<str>, Span> = BTreeMap::new();
    let mut found = Vec::new();
    for block in blocks {
        let Some([(name, span)]) = labels(block, ["NAME"], problems) else { continue };
        if !check_name(name, *span, &format!("a {what}"), problems) {
            continue;
        }
        if let Some(first) = seen.get(name) {
            problems.push(duplicate(what, name, block.header_span(), *first));
            continue;
        }
        seen.insert(name, block.header_span());
        found.push((name, block));
    }
    found
}
