//! Drivers as text for a terminal, and as JSON for programs: what they take and give.

use std::fmt::Write as _;

use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

use super::{Palette, Table};

/// One line a driver.
#[must_use]
pub fn drivers_text(schemas: &[DriverSchema], palette: Palette) -> String {
    let mut table = Table::new();
    table.row(["DRIVER", "FACTS", "WHAT IT DOES"].map(|title| palette.faint(title)));
    for schema in schemas {
        table.row([palette.strong(schema.name), if schema.observes { "yes" } else { "-" }.to_owned(), schema.summary.to_owned()]);
    }
    table.render("")
}

/// Everything about one driver.
#[must_use]
pub fn driver_text(schema: &DriverSchema, palette: Palette) -> String {
    let DriverSchema { name, summary, args, results, observes } = schema;
    let mut text = format!("{}  {summary}\n", palette.strong(name));
    let _ = writeln!(
        text,
        "  {}",
        palette.faint(if *observes { "for facts and steps" } else { "for steps only: it does more than look" })
    );
    if !args.is_empty() {
        let _ = writeln!(text, "\n{}", palette.strong("Arguments"));
        for ArgSchema { name, ty, required, summary } in *args {
            let required = if *required { palette.warn(" required") } else { String::new() };
            let _ = writeln!(text, "  {} {}{required}\n      {summary}", palette.mark(name), palette.faint(ty));
        }
    }
    if !results.is_empty() {
        let _ = writeln!(text, "\n{}", palette.strong("Result"));
        for ResultSchema { name, ty, summary } in *results {
            let _ = writeln!(text, "  {} {}\n      {summary}", palette.mark(name), palette.faint(ty));
        }
    }
    text
}

/// A list of drivers with all that is known of them.
#[must_use]
pub fn drivers_json(schemas: &[DriverSchema]) -> serde_json::Value {
    let arg = |ArgSchema { name, ty, required, summary }: &ArgSchema| serde_json::json!({ "name": name, "type": ty, "required": required, "summary": summary });
    let result =
        |ResultSchema { name, ty, summary }: &ResultSchema| serde_json::json!({ "name": name, "type": ty, "summary": summary });
    let driver = |DriverSchema { name, summary, args, results, observes }: &DriverSchema| {
        serde_json::json!({
            "name": name,
            "summary": summary,
            "observes": observes,
            "arguments": args.iter().map(arg).collect::<Vec<_>>(),
            "results": results.iter().map(result).collect::<Vec<_>>(),
        })
    };
    schemas.iter().map(driver).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: DriverSchema = DriverSchema {
        name: "ring",
        summary: "Rings a bell.",
        args: &[
            ArgSchema { name: "bell", ty: "string", required: true, summary: "Which one." },
            ArgSchema { name: "times", ty: "number", required: false, summary: "How often; once where not given." },
        ],
        results: &[ResultSchema { name: "heard", ty: "bool", summary: "Whether anybody did." }],
        observes: false,
    };

    #[test]
    fn a_driver_is_documented_whole() {
        insta::assert_snapshot!(driver_text(&SCHEMA, Palette::default()), @r#"
        ring  Rings a bell.
          for steps only: it does more than look

        Arguments
          bell string required
              Which one.
          times number
              How often; once where not given.

        Result
          heard bool
              Whether anybody did.
        "#);
    }

    #[test]
    fn drivers_are_listed_with_what_they_may_be_used_for() {
        let looks = DriverSchema { name: "look", summary: "Only looks.", observes: true, ..SCHEMA };
        insta::assert_snapshot!(drivers_text(&[looks, SCHEMA], Palette::default()), @r#"
        DRIVER  FACTS  WHAT IT DOES
        look    yes    Only looks.
        ring    -      Rings a bell.
        "#);
    }

    #[test]
    fn programs_get_every_field() {
        insta::assert_snapshot!(serde_json::to_string(&drivers_json(&[SCHEMA])).unwrap(), @r#"
        [{"name":"ring","summary":"Rings a bell.","observes":false,"arguments":[{"name":"bell","type":"string","required":true,"summary":"Which one."},{"name":"times","type":"number","required":false,"summary":"How often; once where not given."}],"results":[{"name":"heard","type":"bool","summary":"Whether anybody did."}]}]
        "#);
    }
}
