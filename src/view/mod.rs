//! Showing: plans, runs, states and problems as text. Views decide nothing and read nothing; they turn values into text.
//!
//! Meaning survives without colour: every colour stands beside a word or a sign that says the same.

mod backup;
mod diff;
mod driver;
mod estimate;
mod fleet;
mod graph;
mod history;
mod lines;
mod locked;
mod pieces;
mod plan_json;
mod plan_markdown;
mod plan_text;
mod policy;
mod problem;
mod progress;
mod provider;
mod provider_json;
pub mod reference;
mod schedule;
mod status;
mod strategy;
mod style;
mod table;

pub use backup::{Kept, Whereabouts, backups_json, backups_text};
pub use driver::{driver_text, drivers_json, drivers_text};
pub use fleet::{Blocked, Fleet, fleet_html, fleet_json, fleet_text};
pub use graph::{Way, graph_dot, graph_mermaid};
pub use history::history_text;
pub use lines::Lines;
pub use locked::locked_text;
pub use plan_json::{Previews, plan_json, plan_schema};
pub use plan_markdown::{Page, plan_markdown};
pub use plan_text::plan_text;
pub use policy::{policies_text, rulings_text, trials_json, trials_text};
pub use problem::problems_text;
pub use progress::Progress;
pub use provider::{provider_text, providers_text};
pub use provider_json::provider_json;
pub use schedule::{Scheduled, schedule_cron, schedule_systemd};
pub use status::drift_text;
pub use style::{Palette, bytes, count, duration};
pub use table::Table;
