//! A plan for programs: one JSON document, and the schema that describes it.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::compared::Compared;
use crate::model::driver::Diff;
use crate::model::name::ActionId;
use crate::plan::{Plan, Report};

/// What documents would change, by the action that changes them.
pub type Previews = BTreeMap<ActionId, Vec<Diff>>;

/// What `windlass plan --format json` prints: a plan, why it is as it is, and what documents it would change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlanDocument")]
struct Document<'a> {
    /// What to do, in full.
    plan: &'a Plan,
    /// What was thought of every instance, also of those that do not change.
    report: &'a Report,
    /// What documents would change, by the id of the action that changes them, as far as it could be seen. Not part of the plan: a
    /// saved plan has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    previews: &'a Previews,
    /// What the plan was compared with, where it was (`--base`, `--against`).
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<&'a Compared>,
}

/// The JSON document, on one line.
///
/// # Errors
/// A value that JSON cannot hold; none that a plan can have is known.
pub fn plan_json(plan: &Plan, report: &Report, previews: &Previews) -> Result<String, serde_json::Error> {
    plan_json_beside(plan, report, previews, &Compared::default())
}

/// The same, with what the plan was compared with.
///
/// # Errors
/// As [`plan_json`].
pub fn plan_json_beside(
    plan: &Plan,
    report: &Report,
    previews: &Previews,
    compared: &Compared,
) -> Result<String, serde_json::Error> {
    let compared = Some(compared).filter(|compared| !compared.is_empty());
    serde_json::to_string(&Document { plan, report, previews, compared }).map(|text| text + "\n")
}

/// The JSON Schema (2020-12) of what [`plan_json`] writes, for `docs/reference/plan.schema.json`.
///
/// # Errors
/// None that is known: a schema is JSON.
pub fn plan_schema() -> Result<String, serde_json::Error> {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(unwrap_description));
    let schema = settings.into_generator().into_root_schema_for::<Document<'static>>();
    serde_json::to_string_pretty(&schema).map(|text| text + "\n")
}

/// Comments are broken into lines where the source is narrow.
fn unwrap_description(schema: &mut Schema) {
    if let Some(serde_json::Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}
