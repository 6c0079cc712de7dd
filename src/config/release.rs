//! `release "PROVIDER" "VERSION" { … }`: an entry of the catalogue, in the configuration and in providers alike.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::fields::{Evaluate, Fields};
use super::instance::plain_value;
use crate::lang::{Block, Object, Value};
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::model::release::Release;
use crate::model::version::{Version, VersionScheme};
use crate::source::{Diagnostic, Diagnostics};

/// Attributes with a meaning of their own.
const KNOWN: &[&str] = &["artifact", "sha256", "channels", "withdrawn", "notes"];

/// Reads a release of the configuration.
pub(super) fn decode(
    block: &Block,
    evaluate: &dyn Evaluate,
    providers: &BTreeMap<ProviderName, Arc<Provider>>,
    problems: &mut Diagnostics,
) -> Option<Release> {
    let [(provider, _), (version, span)] = block.labels.as_slice() else { return None };
    // A provider that could not be loaded was reported.
    let provider = providers.get(&**provider)?;
    read(block, &provider.name, &provider.scheme, (version, *span), evaluate, problems)
}

/// Reads a release under a version scheme.
pub(super) fn read(
    block: &Block,
    provider: &ProviderName,
    scheme: &VersionScheme,
    (text, span): (&str, crate::source::Span),
    evaluate: &dyn Evaluate,
    problems: &mut Diagnostics,
) -> Option<Release> {
    let what = format!("release `{text}`");
    let version = problems.take(Version::parse(text, scheme).map_err(|error| error.diagnostic("invalid version", span)));
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let artifact = fields.text("artifact");
    let sha256 = fields.text("sha256").map(|digest| digest.strip_prefix("sha256:").unwrap_or(&digest).to_ascii_lowercase());
    if sha256.as_deref().is_some_and(|digest| digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        fields.wrong("sha256", "it is not 64 hexadecimal digits", "copy the SHA-256 sum that the vendor publishes");
    }
    let channels = fields.texts("channels");
    let notes = fields.text("notes");
    let withdrawn = match fields.value("withdrawn") {
        Some(Value::Bool(true)) => Some("withdrawn".to_owned()),
        Some(Value::Bool(false)) | None => None,
        Some(_) => fields.text("withdrawn"),
    };
    let mut attributes = Object::new();
    for (name, attribute) in &block.body.attributes {
        if KNOWN.contains(&&**name) {
            continue;
        }
        let Some(value) = evaluate.value(&attribute.expr, problems) else { continue };
        if value.has_sensitive() {
            problems.push(
                Diagnostic::error("sensitive value")
                    .detail(format!("`{name}` of {what} may not be sensitive: plans show it"))
                    .help("make it a sensitive setting of the instance")
                    .at(attribute.name_span),
            );
            continue;
        }
        attributes.insert(Arc::clone(name), value);
    }
    for inner in &block.body.blocks {
        if let Some(value) = plain_value(inner, evaluate, problems) {
            attributes.insert(Arc::clone(&inner.ident), value);
        }
    }
    Some(Release {
        provider: provider.clone(),
        version: version?,
        artifact,
        sha256,
        channels,
        withdrawn,
        notes,
        attributes: Value::Object(Arc::new(attributes)),
        span: Some(block.header_span()),
    })
}

/// A version stands once in the catalogue of a provider.
pub(super) fn check_duplicates(releases: &[Release], problems: &mut Diagnostics) {
    let mut seen: HashMap<(&ProviderName, &Version), &Release> = HashMap::new();
    for release in releases {
        if let Some(first) = seen.get(&(&release.provider, &release.version)) {
            let name = format!("{} {}", release.provider, release.version);
            if let (Some(again), Some(first)) = (release.span, first.span) {
                problems.push(super::declare::duplicate("release", &name, again, first));
            }
            continue;
        }
        seen.insert((&release.provider, &release.version), release);
    }
}
