//! What must hold before anything is touched: a provider's checks, evaluated for one hop.
//!
//! Takes the provider's checks and a scope, gives an outcome each. A check that cannot be evaluated does not hold.

use super::change::{PreflightOutcome, PreflightResult};
use super::scope::HopScope;
use super::waiver::{Standing, Waivers};
use crate::model::provider::{Movement, Preflight};

/// Evaluates every check that is asked for this movement, for the hop with this index; in the order declared.
pub(crate) fn evaluate(scope: &HopScope<'_>, movement: Movement, hop: u32, waivers: &Waivers<'_>) -> Vec<PreflightResult> {
    let preflights = &scope.subject.provider.preflights;
    let asked = preflights.iter().filter(|check| check.movements.is_empty() || check.movements.contains(&movement));
    asked.filter_map(|check| judge(scope, check, hop, waivers)).collect()
}

/// One check; `None` where it is not asked.
fn judge(scope: &HopScope<'_>, check: &Preflight, hop: u32, waivers: &Waivers<'_>) -> Option<PreflightResult> {
    let result = |outcome, message, remedy| Some(PreflightResult { name: check.name.clone(), hop, outcome, message, remedy });
    let message = match check.when.as_ref().map(|when| scope.holds(when)) {
        Some(Ok(false)) => return None,
        Some(Err(why)) => format!("whether it is to be checked cannot be said: {why}"),
        Some(Ok(true)) | None => match scope.holds(&check.pass) {
            Ok(true) => return result(PreflightOutcome::Pass, String::new(), None),
            Ok(false) => scope
                .text(&check.message)
                .unwrap_or_else(|why| format!("`{}` does not hold (its message cannot be rendered: {why})", check.pass.text())),
            Err(why) => format!("it cannot be checked: {why}"),
        },
    };
    let remedy = check.remedy.as_ref().and_then(|remedy| scope.text(remedy).ok());
    if check.warn_only {
        return result(PreflightOutcome::Warn, message, remedy);
    }
    let subject = scope.subject;
    match waivers.standing(&check.name, Some(&subject.addr), &subject.environment) {
        Standing::Waived(reason) if check.waivable => result(PreflightOutcome::Waived { reason }, message, remedy),
        Standing::Waived(_) => result(PreflightOutcome::Fail, format!("{message} (`{}` cannot be waived)", check.name), remedy),
        Standing::Expired(expiry) => result(PreflightOutcome::Fail, format!("{message} ({expiry})"), remedy),
        Standing::None => result(PreflightOutcome::Fail, message, remedy),
    }
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
