//! Routes and releases: ways that lead nowhere, and what is missing.

use super::placed;
use crate::model::provider::{Movement, OnChange, Provider};
use crate::source::{Diagnostic, Diagnostics};

/// Checks routes, and that the catalogue can be trusted.
pub(super) fn check(provider: &Provider, problems: &mut Diagnostics) {
    unused_strategies(provider, problems);
    unmatched(provider, problems);
    missing(provider, problems);
    for release in provider.releases.iter().filter(|release| release.artifact.is_some() && release.sha256.is_none()) {
        let problem = Diagnostic::warning("artifact without a checksum")
            .detail(format!("release `{}` names an artifact, and nothing says what must be in it", release.version.text()))
            .help("add `sha256 = \"…\"`, as the vendor publishes it or as `sha256sum` prints it");
        problems.push(placed(problem, &[release.span]));
    }
}

fn unused_strategies(provider: &Provider, problems: &mut Diagnostics) {
    for strategy in provider.strategies.values() {
        if provider.routes.iter().any(|route| route.strategy == strategy.name) {
            continue;
        }
        let problem = Diagnostic::warning("strategy is never used")
            .detail(format!("no route leads by strategy `{}`; an instance can only ask for one that a route names", strategy.name))
            .help(format!("add `route \"{0}\" {{ strategy = \"{0}\" }}`, or remove the strategy", strategy.name));
        problems.push(placed(problem, &[strategy.span]));
    }
}

/// Routes to versions that the provider's own catalogue does not have. Where it has no catalogue, nothing is known.
fn unmatched(provider: &Provider, problems: &mut Diagnostics) {
    for route in provider.routes.iter().filter(|_| !provider.releases.is_empty()) {
        let Some(to) = &route.to else { continue };
        if provider.releases.iter().any(|release| to.matches(&release.version)) {
            continue;
        }
        let problem = Diagnostic::warning("route leads nowhere")
            .detail(format!("no release that the provider knows of is `{to}`, where route `{}` leads to", route.name))
            .help("correct `to`, or add the releases; leave it where configurations bring releases of their own");
        problems.push(placed(problem, &[route.span]));
    }
}

/// Movements without a route: not wrong, but then a person does it by hand.
fn missing(provider: &Provider, problems: &mut Diagnostics) {
    let reconfigures = provider.settings.values().any(|setting| setting.on_change == OnChange::Reconfigure);
    let movements = [
        (Movement::Install, "install", "an instance that is not deployed yet must be installed by hand", true),
        (Movement::Remove, "remove", "an instance that is no longer declared must be removed by hand", true),
        (Movement::Reconfigure, "reconfigure", "a changed setting is refused until a person has seen to it", reconfigures),
    ];
    for (movement, name, what, wanted) in movements {
        if wanted && !provider.routes.iter().any(|route| route.movement == movement) {
            problems.push(
                Diagnostic::warning("movement without a route")
                    .detail(format!("provider `{}` has no route to {name}: {what}", provider.name))
                    .help(format!("add a route with `movement = \"{name}\"`; leave it where that is meant")),
            );
        }
    }
}
