//! `windlass show`: a saved plan, or what is recorded of an instance.

use std::path::Path;

use crate::cli::args::{PlanFormat, ShowArgs, TextOrJson};
use crate::cli::command::plan::plan_as;
use crate::cli::command::state::show_instance;
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::session::Place;
use crate::source::{Diagnostic, Diagnostics};
use crate::view::Previews;

/// Runs the command. What names a file is a plan, anything else an address.
pub(in crate::cli) async fn run(args: &ShowArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let path = place.root.join(Path::new(&args.what));
    if path.is_file() {
        let file = PlanFile::load(&path)?;
        let terminal = place.terminal;
        terminal.data(&plan_as(args.format, &args.page, (&file.plan, &file.report, &Previews::new()), terminal)?);
        return Ok(Exit::Done);
    }
    let format = match args.format {
        PlanFormat::Human => TextOrJson::Human,
        PlanFormat::Json => TextOrJson::Json,
        PlanFormat::Markdown | PlanFormat::Html => {
            return Err(Diagnostic::error("there is no such format")
                .detail(format!("`{}` is no saved plan, and only plans have Markdown and HTML", args.what))
                .help("leave out `--format`, or save a plan: `windlass plan --out PLAN`")
                .into());
        }
    };
    show_instance(&args.what, format, place).await
}
