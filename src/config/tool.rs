//! `windlass { … }`: the version that is asked for, the backend, and where providers come from.

use std::collections::BTreeMap;

use super::LoadOptions;
use super::declare::duplicate;
use super::fields::{Constants, Fields, Shape, check_name, check_shape, labels, no_labels, suggestion};
use super::files::Folder;
use super::provider::Declared;
use crate::lang::{Block, Env};
use crate::model::estate::PolicyRules;
use crate::model::name::ProviderName;
use crate::model::version::{Version, VersionReq, VersionScheme};
use crate::source::{Diagnostic, Diagnostics, Fault};

/// Backends that there are, with their attributes.
const BACKENDS: &[(&str, &[&str])] = &[
    ("local", &["path"]),
    ("postgres", &["url", "host", "port", "user", "database", "schema", "ca_file", "client_certificate", "client_key"]),
    ("s3", &["bucket", "prefix", "region", "endpoint", "ca_file"]),
];

/// Reads the `windlass` blocks. The backend's attributes are evaluated with everything else.
pub(super) fn decode(blocks: &[Block], root: &Folder, options: &LoadOptions<'_>, problems: &mut Diagnostics) -> Tool {
    let env = Env { files: root, ..Env::pure(options.now) };
    let constants = Constants(&env);
    let mut providers = BTreeMap::new();
    let mut policy: Option<PolicyRules> = None;
    if let [first, .., again] = blocks {
        problems.push(
            Diagnostic::error("declared twice")
                .detail("there is more than one `windlass` block")
                .help("put everything in one of them")
                .label(again.ident_span, "again here")
                .label(first.ident_span, "first here"),
        );
    }
    let mut backend: Option<&Block> = None;
    for block in blocks {
        let shape = Shape { what: "`windlass`", attributes: &["required_version"], blocks: &["backend", "provider", "policy"] };
        check_shape(&block.body, &shape, problems);
        let mut fields = Fields { body: &block.body, what: "`windlass`", header: block.ident_span, evaluate: &constants, problems };
        check_version(&mut fields, &options.tool_version);
        for inner in &block.body.blocks {
            match &*inner.ident {
                "backend" => {
                    let Some([(kind, span)]) = labels(inner, ["KIND"], problems) else { continue };
                    if let Some((_, attributes)) = BACKENDS.iter().find(|(known, _)| known == &&**kind) {
                        let what = format!("backend `{kind}`");
                        check_shape(&inner.body, &Shape { what: &what, attributes, blocks: &[] }, problems);
                    } else {
                        let known: Vec<&str> = BACKENDS.iter().map(|(kind, _)| *kind).collect();
                        problems.push(
                            Diagnostic::error("unknown backend")
                                .detail(format!("there is no backend `{kind}`"))
                                .help(suggestion(kind, &known))
                                .at(*span),
                        );
                    }
                    if let Some(first) = backend {
                        problems.push(duplicate("backend", kind, inner.header_span(), first.header_span()));
                    }
                    backend = Some(inner);
                }
                "policy" => {
                    no_labels(inner, problems);
                    if let Some(first) = policy.as_ref().and_then(|first| first.span) {
                        problems.push(duplicate("block", "policy", inner.header_span(), first));
                    }
                    policy = Some(policy_rules(inner, &constants, problems));
                }
                "provider" => provider(inner, &constants, &mut providers, problems),
                _ => {}
            }
        }
    }
    Tool { providers, policy: policy.unwrap_or_default() }
}

/// What `windlass` blocks say that must be known before anything is evaluated.
pub(super) struct Tool {
    /// Where providers come from.
    pub(super) providers: BTreeMap<ProviderName, Declared>,
    /// Where policies are.
    pub(super) policy: PolicyRules,
}

fn policy_rules(block: &Block, constants: &Constants<'_>, problems: &mut Diagnostics) -> PolicyRules {
    check_shape(&block.body, &Shape { what: "`policy`", attributes: &["path", "starter", "settings"], blocks: &[] }, problems);
    let mut fields = Fields { body: &block.body, what: "`policy`", header: block.ident_span, evaluate: constants, problems };
    let path = fields.text("path");
    let starter = fields.texts("starter");
    let settings = fields.value("settings").unwrap_or_default();
    if fields.has("settings") && settings.as_object().is_none() {
        fields.wrong("settings", "it must be an object", "write `{ name = value }`");
    }
    PolicyRules { path, starter, settings, span: Some(block.header_span()) }
}

fn check_version(fields: &mut Fields<'_>, running: &str) {
    let Some(text) = fields.text("required_version") else { return };
    let span = fields.span("required_version");
    let wanted =
        VersionReq::parse(&text, &VersionScheme::Semver).map_err(|error| error.diagnostic("invalid version constraint", span));
    let Some(wanted) = fields.problems.take(wanted) else { return };
    let fits = Version::parse(running, &VersionScheme::Semver).is_ok_and(|running| wanted.matches(&running));
    if !fits {
        fields.problems.push(
            Diagnostic::error("wrong version of Windlass")
                .detail(format!("this configuration asks for Windlass {text}, and this is {running}"))
                .fault(Fault::User)
                .help("install a version that fits, or change `required_version`")
                .at(span),
        );
    }
}

fn provider(
    block: &Block,
    constants: &Constants<'_>,
    providers: &mut BTreeMap<ProviderName, Declared>,
    problems: &mut Diagnostics,
) {
    let Some([(name, span)]) = labels(block, ["NAME"], problems) else { return };
    if !check_name(name, *span, "a provider", problems) {
        return;
    }
    let what = format!("provider `{name}`");
    check_shape(&block.body, &Shape { what: &what, attributes: &["source", "digest"], blocks: &[] }, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate: constants, problems };
    let source = fields.text("source").map(|source| (source, fields.span("source")));
    let digest = fields.text("digest").map(|digest| (digest, fields.span("digest")));
    let name = ProviderName::new(&**name);
    if providers.contains_key(&name) {
        problems.push(duplicate("provider", name.as_str(), block.header_span(), block.header_span()));
        return;
    }
    providers.insert(name, Declared { source, digest });
}
