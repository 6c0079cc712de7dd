//! `windlass show`: a saved plan, or what is recorded of an instance.

use std::path::Path;

use crate::cli::args::{ShowArgs, TextOrJson};
use crate::cli::command::plan::plan_json;
use crate::cli::command::state::show_instance;
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::session::Place;
use crate::source::Diagnostics;
use crate::view::{Previews, plan_text};

/// Runs the command. What names a file is a plan, anything else an address.
pub(in crate::cli) async fn run(args: &ShowArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let path = place.root.join(Path::new(&args.what));
    if path.is_file() {
        let file = PlanFile::load(&path)?;
        let terminal = place.terminal;
        match args.format {
            TextOrJson::Human => terminal.data(&plan_text(&file.plan, &file.report, &Previews::new(), terminal.out)),
            TextOrJson::Json => terminal.data(&plan_json(&file.plan, &file.report, &Previews::new())?),
        }
        return Ok(Exit::Done);
    }
    show_instance(&args.what, args.format, place).await
}
