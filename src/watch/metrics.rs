//! What Prometheus is told. The page is made as a whole after each look, so that no scrape sees half of one.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::memory::Finding;
use crate::plan::DriftReport;

type Labels = Vec<(&'static str, String)>;
type Real = Gauge<f64, AtomicU64>;

/// The metrics of a watch.
pub struct Metrics {
    registry: Registry,
    page: Arc<Mutex<String>>,
    findings: Family<Labels, Gauge>,
    drifted: Family<Labels, Gauge>,
    instances: Family<Labels, Gauge>,
    ignored: Family<Labels, Gauge>,
    expired: Gauge,
    looks: Family<Labels, Counter>,
    last: Real,
    took: Real,
    configuration: Gauge,
    deliveries: Family<Labels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            page: Arc::default(),
            findings: Family::default(),
            drifted: Family::default(),
            instances: Family::default(),
            ignored: Family::default(),
            expired: Gauge::default(),
            looks: Family::default(),
            last: Real::default(),
            took: Real::default(),
            configuration: Gauge::default(),
            deliveries: Family::default(),
        };
        let Self {
            registry,
            page: _,
            findings,
            drifted,
            instances,
            ignored,
            expired,
            looks,
            last,
            took,
            configuration,
            deliveries,
        } = &mut metrics;
        registry.register("windlass_drift_findings", "Drift that counts, by environment, class and severity", findings.clone());
        registry.register("windlass_instance_drift", "1 for each drift of an instance; no line: none", drifted.clone());
        registry.register("windlass_instances", "Instances that were looked at, by environment", instances.clone());
        registry.register("windlass_drift_ignored", "Drift that a rule ignores, by environment", ignored.clone());
        registry.register("windlass_drift_rules_expired", "Rules that have run out", expired.clone());
        registry.register("windlass_drift_looks", "Looks, by result", looks.clone());
        registry.register("windlass_drift_last_look_timestamp_seconds", "When the last good look ended", last.clone());
        registry.register("windlass_drift_look_duration_seconds", "How long the last good look took", took.clone());
        registry.register("windlass_configuration_good", "1 where the configuration loads", configuration.clone());
        registry.register("windlass_drift_webhook_deliveries", "Messages, by webhook and result", deliveries.clone());
        metrics.configuration.set(1);
        metrics.publish();
        metrics
    }
}

impl Metrics {
    /// The page that is served.
    #[must_use]
    pub fn page(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.page)
    }

    /// A look that came to something. `known`: everything that is known to have drifted.
    pub fn looked<'a>(&self, report: &DriftReport, known: impl Iterator<Item = &'a Finding>, ended: Timestamp, took: Duration) {
        self.looks.get_or_create(&vec![("result", "good".to_owned())]).inc();
        for family in [&self.findings, &self.drifted, &self.instances, &self.ignored] {
            family.clear();
        }
        for state in &report.instances {
            let labels = vec![("environment", state.environment.to_string())];
            self.instances.get_or_create(&labels).inc();
            self.ignored.get_or_create(&labels).inc_by(i64::try_from(state.ignored.len()).unwrap_or(i64::MAX));
        }
        for finding in known {
            let mut labels = vec![
                ("environment", finding.environment.to_string()),
                ("class", finding.class.word().to_owned()),
                ("severity", finding.severity.word().to_owned()),
            ];
            self.findings.get_or_create(&labels).inc();
            labels.push(("instance", finding.instance.to_string()));
            self.drifted.get_or_create(&labels).set(1);
        }
        self.expired.set(i64::try_from(report.expired.len()).unwrap_or(i64::MAX));
        self.last.set(ended.as_duration().as_secs_f64());
        self.took.set(took.as_secs_f64());
    }

    /// A look that failed as a whole. What was known stays.
    pub fn failed(&self) {
        self.looks.get_or_create(&vec![("result", "failed".to_owned())]).inc();
    }

    /// Whether the configuration loads.
    pub fn configuration(&self, good: bool) {
        self.configuration.set(i64::from(good));
    }

    /// A message was delivered, or was not.
    pub fn delivered(&self, webhook: &str, good: bool) {
        let result = if good { "good" } else { "failed" };
        self.deliveries.get_or_create(&vec![("webhook", webhook.to_owned()), ("result", result.to_owned())]).inc();
    }

    /// Makes the page anew.
    pub fn publish(&self) {
        let mut text = String::new();
        // Writing to a text does not fail.
        if encode(&mut text, &self.registry).is_ok() {
            *self.page.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }
}
