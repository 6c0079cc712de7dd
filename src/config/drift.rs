//! `drift { … }`: what drift means here, what is accepted for a while, and whom to tell.

use std::sync::Arc;
use std::time::Duration;

use super::fields::{Evaluate, Fields, Shape, check_shape, labels, suggestion};
use super::waiver::moment;
use crate::lang::Block;
use crate::model::drift::{Address, DriftClass, DriftIgnore, DriftRules, Severity, Webhook};
use crate::model::estate::Estate;
use crate::model::name::EnvironmentName;
use crate::source::{Diagnostic, Diagnostics};

/// The shortest interval: shorter ones are slips of the hand and a burden on what is looked at.
const SHORTEST: Duration = Duration::from_secs(1);

fn classes() -> [(&'static str, DriftClass); 7] {
    DriftClass::ALL.map(|class| (class.word(), class))
}

fn severities() -> [(&'static str, Severity); 3] {
    Severity::ALL.map(|severity| (severity.word(), severity))
}

/// Reads the block.
pub(super) fn decode(block: &Block, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> DriftRules {
    let what = "`drift`";
    let shape = Shape { what, attributes: &["backup_max_age", "interval"], blocks: &["severity", "ignore", "webhook"] };
    check_shape(&block.body, &shape, problems);
    let mut rules = DriftRules::default();
    let mut fields = Fields { body: &block.body, what, header: block.ident_span, evaluate, problems };
    rules.backup_max_age = fields.duration("backup_max_age");
    rules.interval = fields.duration("interval");
    if rules.interval.is_some_and(|interval| interval < SHORTEST) {
        fields.wrong("interval", "it is shorter than a second", "write how often to look, such as \"1h\"");
    }
    if let Some(severity) = fields.block("severity") {
        let what = "`severity` of `drift`";
        let names = DriftClass::ALL.map(DriftClass::word);
        check_shape(&severity.body, &Shape { what, attributes: &names, blocks: &[] }, fields.problems);
        let mut fields = fields.nested(severity, what);
        for (name, class) in classes() {
            rules.severities.extend(fields.word(name, &severities()).map(|severity| (class, severity)));
        }
    }
    for inner in &block.body.blocks {
        match &*inner.ident {
            "ignore" => rules.ignores.extend(ignore(inner, &rules.ignores, evaluate, problems)),
            "webhook" => rules.webhooks.extend(webhook(inner, &rules.webhooks, evaluate, problems)),
            _ => {}
        }
    }
    rules
}

fn ignore(block: &Block, before: &[DriftIgnore], evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<DriftIgnore> {
    let [(name, _)] = labels(block, ["NAME"], problems)?;
    let what = format!("ignore `{name}`");
    let attributes = &["class", "fact", "instance", "environment", "reason", "owner", "until"];
    check_shape(&block.body, &Shape { what: &what, attributes, blocks: &[] }, problems);
    let count = problems.len();
    if before.iter().any(|other| other.name == *name) {
        problems.push(twice(&what, block));
    }
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let (class, fact, instance) = (fields.word("class", &classes()), fields.text("fact"), fields.text("instance"));
    let environment = fields.text("environment").map(EnvironmentName::new);
    let (reason, owner) = (fields.required_text("reason"), fields.text("owner"));
    let until = fields.text("until").and_then(|text| {
        let found = moment(&text);
        if found.is_none() {
            let help = "write a day such as \"2027-01-31\", or a time such as \"2027-01-31T18:00:00Z\"";
            fields.wrong("until", format!("`{text}` is no date"), help);
        }
        found
    });
    if !["class", "fact", "instance", "environment"].iter().any(|name| fields.has(name)) {
        problems.push(
            Diagnostic::error("exception from everything")
                .detail(format!("{what} says of nothing in particular that it is no drift, and would hide all"))
                .help("give it `class`, `fact`, `instance` or `environment`")
                .at(block.header_span()),
        );
    }
    // One that says less than was meant would hide more than was meant.
    if problems.len() > count {
        return None;
    }
    let (name, span) = (Arc::clone(name), Some(block.header_span()));
    Some(DriftIgnore { name, class, fact, instance, environment, reason: reason?, owner, until, span })
}

fn webhook(block: &Block, before: &[Webhook], evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<Webhook> {
    let [(name, _)] = labels(block, ["NAME"], problems)?;
    let what = format!("webhook `{name}`");
    let shape = Shape { what: &what, attributes: &["url", "url_env", "secret_env", "severity"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    if before.iter().any(|other| other.name == *name) {
        problems.push(twice(&what, block));
        return None;
    }
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let secret_env = fields.required_text("secret_env");
    let severity = fields.word("severity", &severities()).unwrap_or(Severity::Info);
    let url = match (fields.has("url"), fields.has("url_env")) {
        (true, false) => fields.required_text("url").and_then(|url| {
            if Address::is_safe(&url) {
                return Some(Address::Url(url));
            }
            let help = "write an address that begins with https://; http:// is only for this machine (localhost, 127.0.0.1)";
            fields.wrong("url", "messages would go over the network without encryption", help);
            None
        }),
        (false, true) => fields.required_text("url_env").map(Address::Variable),
        _ => {
            let problem = Diagnostic::error("webhook without an address").detail(format!("{what} needs `url` or `url_env`"));
            let help = "give one of the two: the address, or the environment variable that holds it";
            fields.problems.push(problem.help(help).at(block.header_span()));
            None
        }
    };
    Some(Webhook { name: Arc::clone(name), url: url?, secret_env: secret_env?, severity })
}

fn twice(what: &str, block: &Block) -> Diagnostic {
    Diagnostic::error("declared twice")
        .detail(format!("{what} is declared twice"))
        .help("rename or remove one of the two")
        .at(block.header_span())
}

/// What an exception names must be there.
pub(super) fn check(estate: &Estate, problems: &mut Diagnostics) {
    for rule in &estate.drift.ignores {
        if let Some(environment) = rule.environment.as_ref().filter(|name| !estate.environments.contains_key(*name)) {
            let known: Vec<&str> = estate.environments.keys().map(EnvironmentName::as_str).collect();
            let problem = Diagnostic::error("exception for nothing")
                .detail(format!("ignore `{}`: there is no environment `{environment}`", rule.name))
                .help(suggestion(environment.as_str(), &known));
            problems.push(match rule.span {
                Some(span) => problem.at(span),
                None => problem,
            });
        }
    }
}
