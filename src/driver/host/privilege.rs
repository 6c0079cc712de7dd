//! Running as somebody else: checks that it may be done, and puts `setpriv` in front of the command.
//!
//! `setpriv` (util-linux) and not a `setuid` of our own, because only it also sets the user's supplementary groups.

use super::{Command, Host};
use crate::driver::{Context, Failure, FailureKind};

/// The command as its `user`, if it names one that is not the host's own.
pub(crate) async fn as_user(host: &dyn Host, command: &Command, ctx: &Context) -> Result<Command, Failure> {
    let mut command = command.clone();
    let Some(name) = command.user.take() else { return Ok(command) };
    let Some(user) = host.user(&name).await? else {
        return Err(Failure::new(FailureKind::Invalid, format!("there is no user `{name}` on {}", host.name())));
    };
    let own = host.uid().await?;
    if own == user.uid {
        return Ok(command);
    }
    if own != 0 {
        return Err(Failure::new(FailureKind::Invalid, format!("running `{}` as `{name}` needs root", command.program()))
            .help(format!("run Windlass (or log in to {}) as root or as `{name}`", host.name())));
    }
    if !ctx.privileged {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("running `{}` as `{name}` needs root, and the step may not use it", command.program()),
        )
        .help("write `privileged = true` in the step"));
    }
    let mut argv = vec![
        "setpriv".to_owned(),
        format!("--reuid={}", user.uid),
        format!("--regid={}", user.gid),
        "--init-groups".to_owned(),
        "--".to_owned(),
    ];
    argv.append(&mut command.argv);
    command.argv = argv;
    for (variable, value) in [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)] {
        command.env.entry(variable.to_owned()).or_insert_with(|| value.clone());
    }
    Ok(command)
}
