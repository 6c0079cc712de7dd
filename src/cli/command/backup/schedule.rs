//! `windlass backup schedule`: the declared schedules as systemd units and cron lines. Prints only: installing them is a person's act.

use super::account::policy;
use crate::cli::args::{BackupScheduleArgs, ScheduleFormat};
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::source::{Diagnostic, Diagnostics};
use crate::view::{Scheduled, schedule_cron, schedule_systemd};

/// Runs the command.
pub(super) fn run(args: &BackupScheduleArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let environments = session.environments(&args.which.scope())?;
    let instances = session.estate.instances.values().filter(|instance| environments.contains(&instance.environment));
    let asked = |addr: &crate::model::name::InstanceAddr| {
        args.which.instances.is_empty() || args.which.instances.iter().any(|asked| addr.is_within(asked))
    };
    let program = std::env::current_exe().unwrap_or_else(|_| "windlass".into());
    let root = session.place.root.canonicalize().unwrap_or_else(|_| session.place.root.clone());
    let scheduled: Vec<Scheduled> = instances
        .filter(|instance| asked(&instance.addr))
        .filter_map(|instance| {
            Some(Scheduled {
                instance: instance.addr.clone(),
                cron: policy(session, &instance.addr).schedule?,
                program: program.display().to_string(),
                root: root.display().to_string(),
            })
        })
        .collect();
    if scheduled.is_empty() {
        return Err(Diagnostic::error("nothing is scheduled")
            .detail("none of these instances has a `schedule` in its `backup`")
            .help("declare `backup { schedule = \"15 6 * * MON-FRI\" }`")
            .into());
    }
    let text = match args.format {
        ScheduleFormat::Systemd => schedule_systemd(&scheduled),
        ScheduleFormat::Cron => schedule_cron(&scheduled),
    };
    session.place.terminal.data(&text);
    Ok(Exit::Done)
}
