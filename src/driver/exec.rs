//! `exec`: runs a command and gives what it printed.
//!
//! The command is an argument vector; a shell is used only where the provider says `shell`. In a step it runs under the supervisor
//! and outlives Windlass; for a fact it does not.

use async_trait::async_trait;

use super::{Args, Command, Context, Driver, Failure, FailureKind, Output};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Exec;

const SCHEMA: DriverSchema = DriverSchema {
    name: "exec",
    summary: "Runs a command on the instance's host and gives its exit status and output.",
    args: &[
        ArgSchema {
            name: "command",
            ty: "list(string)",
            required: false,
            summary: "Program and arguments, passed as they are. The program is an absolute path or found on the PATH. Exactly one of `command` and `shell`.",
        },
        ArgSchema {
            name: "shell",
            ty: "string",
            required: false,
            summary: "A script for `/bin/sh -eu`. Quote what you interpolate with the function `shquote`, or pass it through `environment`.",
        },
        ArgSchema {
            name: "environment",
            ty: "map(string)",
            required: false,
            summary: "Environment variables on top of the inherited ones. Inherited are PATH, HOME, USER, LOGNAME, SHELL, LANG, LC_*, TZ, TMPDIR, XDG_RUNTIME_DIR and DBUS_SESSION_BUS_ADDRESS.",
        },
        ArgSchema {
            name: "secrets",
            ty: "map(string)",
            required: false,
            summary: "More environment variables, whose values (of four characters and more) are hidden in everything that is shown or kept.",
        },
        ArgSchema {
            name: "inherit_environment",
            ty: "bool",
            required: false,
            summary: "Whether the whole environment of Windlass is inherited; false where not given. Over SSH it is always the one that the SSH server gives.",
        },
        ArgSchema {
            name: "directory",
            ty: "string",
            required: false,
            summary: "Working directory; that of Windlass (over SSH: the home directory) where not given.",
        },
        ArgSchema {
            name: "user",
            ty: "string",
            required: false,
            summary: "As which user to run it; needs root, and `privileged = true` in the step. The user of Windlass (over SSH: the login) where not given.",
        },
        ArgSchema {
            name: "stdin",
            ty: "string",
            required: false,
            summary: "What it reads from standard input; nothing where not given.",
        },
        ArgSchema {
            name: "success",
            ty: "any",
            required: false,
            summary: "The exit statuses that are no failure, as a list of numbers, or \"any\"; `[0]` where not given. A fact that asks for the exit status needs \"any\".",
        },
        ArgSchema {
            name: "parse",
            ty: "string",
            required: false,
            summary: "\"json\" reads standard output as JSON into `json` (it fails if it is none); \"lines\" gives its lines as `lines`; \"backup\" reads its last line as a JSON object `{\"id\": …, \"location\": …, \"method\": …}` (and `size`, `verified`): the backup that the command made, recorded in the lockfile.",
        },
    ],
    results: &[
        ResultSchema {
            name: "exit_code",
            ty: "number",
            summary: "Exit status; 128 and the signal's number where a signal ended it.",
        },
        ResultSchema { name: "stdout", ty: "string", summary: "Standard output, its last MiB." },
        ResultSchema { name: "stderr", ty: "string", summary: "Standard error, its last MiB." },
        ResultSchema { name: "truncated", ty: "bool", summary: "Whether something of an output is missing: its beginning, or what a full disk could not keep." },
        ResultSchema { name: "json", ty: "any", summary: "Standard output as a value, where `parse = \"json\"`; else null." },
        ResultSchema {
            name: "lines",
            ty: "list(string)",
            summary: "The lines of standard output, where `parse = \"lines\"`; else null.",
        },
        ResultSchema {
            name: "backup",
            ty: "object({ id = string, location = string, method = string, size = number, verified = bool })",
            summary: "The backup that the command made, where `parse = \"backup\"`; else null.",
        },
        ResultSchema { name: "duration", ty: "number", summary: "Seconds it took." },
    ],
    observes: true,
};

/// Which exit statuses are no failure.
enum Success {
    Any,
    These(Vec<u64>),
}

impl Success {
    fn of(args: &Args<'_>) -> Result<Self, Failure> {
        let wrong = || args.invalid("`success` must be \"any\" or a list of exit statuses (0 to 255)");
        match args.value("success") {
            None => Ok(Self::These(vec![0])),
            Some(Value::String(text)) if &**text == "any" => Ok(Self::Any),
            Some(Value::List(items)) if !items.is_empty() => items
                .iter()
                .map(|item| match item {
                    Value::Number(number) => number.to_string().parse().ok().filter(|code| *code <= 255).ok_or_else(wrong),
                    _ => Err(wrong()),
                })
                .collect::<Result<_, _>>()
                .map(Self::These),
            Some(_) => Err(wrong()),
        }
    }

    fn allows(&self, code: i32) -> bool {
        match self {
            Self::Any => true,
            Self::These(codes) => u64::try_from(code).is_ok_and(|code| codes.contains(&code)),
        }
    }
}

/// The command of `command` or `shell`.
pub(super) fn command(args: &Args<'_>) -> Result<Command, Failure> {
    let argv = match args.exactly_one(&["command", "shell"])? {
        "command" => args.texts("command")?,
        _ => vec!["/bin/sh".to_owned(), "-euc".to_owned(), args.needed_text("shell")?],
    };
    let program = argv.first().map_or("", String::as_str);
    if program.is_empty() {
        return Err(args.invalid("`command` is empty"));
    }
    if program.contains('/') && !program.starts_with('/') {
        return Err(args.invalid("the program must be an absolute path or a plain name that is on the PATH"));
    }
    if argv.iter().any(|arg| arg.contains('\0')) {
        return Err(args.invalid("an argument holds a NUL character, which no command can be given"));
    }
    let mut command = Command::new(argv);
    command.env = args.environment("environment")?;
    command.env.extend(args.environment("secrets")?);
    command.inherit = args.flag("inherit_environment")?;
    command.dir = args.path("directory")?;
    command.user = args.text("user")?;
    Ok(command)
}

#[async_trait]
impl Driver for Exec {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn is_one_command(&self) -> bool {
        true
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("exec", args);
        let mut command = command(&args)?;
        command.stdin = args.text("stdin")?.unwrap_or_default().into_bytes();
        command.stream = ctx.dir.is_some();
        let success = Success::of(&args)?;
        let parse = args.word("parse", &["json", "lines", "backup"])?;
        let ctx = Context { redact: ctx.redact.also(args.map("secrets")?.into_values()), ..ctx.clone() };
        let output = ctx.run(&command).await?;
        if !success.allows(output.ended.code()) {
            return Err(failed(&command, &output, &ctx));
        }
        let stdout = ctx.redact.apply(&output.stdout.text()).into_owned();
        let json = if parse == Some("json") { json(&stdout, &output, &command, &ctx)? } else { Value::Null };
        let lines = if parse == Some("lines") { Value::list(stdout.lines().map(Value::string)) } else { Value::Null };
        let backup = if parse == Some("backup") { backup(&stdout, &output, &command, &ctx)? } else { Value::Null };
        Ok(Value::object([
            ("exit_code", i64::from(output.ended.code()).into()),
            ("stdout", stdout.into()),
            ("stderr", Value::string(ctx.redact.apply(&output.stderr.text()))),
            ("truncated", output.truncated().into()),
            ("json", json),
            ("lines", lines),
            ("backup", backup),
            ("duration", seconds(output.duration)),
        ]))
    }
}

/// A duration in seconds, to the millisecond.
pub(super) fn seconds(duration: std::time::Duration) -> Value {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Value::Number(crate::lang::Number::new(millis, 3).normalize())
}

/// What may have made a command fail, and cut off what it said.
const CRAMPED: &str = "the disk that keeps its output was full when it ended: make room first";

/// The failure of a command that ended with a status it should not have.
pub(super) fn failed(command: &Command, output: &Output, ctx: &Context) -> Failure {
    let words = output.last_words();
    let said = if words.is_empty() { ", and it said nothing".to_owned() } else { format!(": {}", ctx.redact.apply(&words)) };
    let message = format!("`{}` ended with {}{said}", command.program(), output.ended);
    let failure = Failure::new(FailureKind::Failed, message).detail(details(output, ctx));
    if output.is_cramped { failure.help(CRAMPED) } else { failure }
}

fn details(output: &Output, ctx: &Context) -> Value {
    Value::object([
        ("exit_code", i64::from(output.ended.code()).into()),
        ("stdout", Value::string(ctx.redact.apply(&output.stdout.text()))),
        ("stderr", Value::string(ctx.redact.apply(&output.stderr.text()))),
    ])
}

/// The backup that the last line tells of. One that cannot be recorded would be no evidence, so that is a failure.
fn backup(stdout: &str, output: &Output, command: &Command, ctx: &Context) -> Result<Value, Failure> {
    let wrong = |what: &str| {
        let message = format!("`{}` did not say which backup it made: {what}", command.program());
        Failure::new(FailureKind::Failed, message).detail(details(output, ctx))
    };
    let line = stdout.lines().rev().find(|line| !line.trim().is_empty()).ok_or_else(|| wrong("it printed nothing"))?;
    let said: serde_json::Value = serde_json::from_str(line).map_err(|_| wrong("its last line is not JSON"))?;
    let text = |name: &str| said.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let needed = |name: &str| text(name).ok_or_else(|| wrong(&format!("its last line has no text `{name}`")));
    Ok(Value::object([
        ("id", Value::string(needed("id")?)),
        ("location", Value::string(needed("location")?)),
        ("method", Value::string(needed("method")?)),
        ("size", said.get("size").and_then(serde_json::Value::as_u64).map_or(Value::Null, Value::from)),
        ("verified", said.get("verified").and_then(serde_json::Value::as_bool).unwrap_or(false).into()),
    ]))
}

fn json(stdout: &str, output: &Output, command: &Command, ctx: &Context) -> Result<Value, Failure> {
    serde_json::from_str(stdout).map_err(|error| {
        let message = if output.stdout.truncated() {
            format!("`{}` printed more JSON than can be kept ({} bytes)", command.program(), output.stdout.total)
        } else if stdout.trim().is_empty() {
            format!("`{}` printed nothing, and JSON was expected", command.program())
        } else {
            format!("`{}` printed what is not JSON: {error}", command.program())
        };
        Failure::new(FailureKind::Failed, message).detail(details(output, ctx))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::testing::{applying, args, detail, observing};

    async fn exec(json: serde_json::Value) -> Result<Value, Failure> {
        Exec.run(&args(json), &observing()).await
    }

    #[tokio::test]
    async fn arguments_reach_the_program_as_they_are() {
        let result = exec(json!({"command": ["printf", "%s|", "a b", "$HOME", "*", "'", ""]})).await.unwrap();
        assert_eq!(result.get("stdout").unwrap().as_str(), Some("a b|$HOME|*|'||"));
    }

    #[tokio::test]
    async fn an_exit_status_that_is_not_allowed_is_a_failure_with_the_last_words() {
        let error = exec(json!({"shell": "echo out; echo why >&2; exit 3"})).await.unwrap_err();
        assert_eq!(error.message, "`/bin/sh` ended with exit status 3: why");
        assert_eq!(detail(&error, "exit_code"), &3i64.into());
        assert_eq!(detail(&error, "stdout").as_str(), Some("out\n"));
    }

    #[tokio::test]
    async fn other_exit_statuses_can_be_allowed() {
        for success in [json!("any"), json!([0, 3])] {
            let result = exec(json!({"shell": "exit 3", "success": success})).await.unwrap();
            assert_eq!(result.get("exit_code"), Some(&3i64.into()));
        }
        assert!(exec(json!({"shell": "exit 0", "success": [3]})).await.is_err());
        for wrong in [json!("all"), json!([]), json!([256]), json!(["x"]), json!(0)] {
            assert_eq!(exec(json!({"shell": "true", "success": wrong})).await.unwrap_err().kind, FailureKind::Invalid);
        }
    }

    #[tokio::test]
    async fn a_shell_stops_at_the_first_error_and_at_unset_variables() {
        assert!(exec(json!({"shell": "false; echo on"})).await.is_err());
        assert!(exec(json!({"shell": "echo $no_such_variable"})).await.is_err());
    }

    #[tokio::test]
    async fn json_is_read_and_rubbish_is_not() {
        let result = exec(json!({"command": ["echo", "{\"a\": [1, 2.5]}"], "parse": "json"})).await.unwrap();
        assert_eq!(result.get("json").unwrap().get("a").unwrap().as_list().unwrap().len(), 2);
        let error = exec(json!({"command": ["echo", "oops"], "parse": "json"})).await.unwrap_err();
        assert!(error.message.contains("not JSON"), "{error}");
        let deep = "[".repeat(100_000);
        assert!(exec(json!({"command": ["cat"], "stdin": deep, "parse": "json"})).await.is_err());
        assert!(exec(json!({"command": ["true"], "parse": "json"})).await.unwrap_err().message.contains("printed nothing"));
    }

    #[tokio::test]
    async fn a_command_tells_which_backup_it_made_or_fails() {
        let script = "echo working; echo '{\"id\": \"snap-1\", \"location\": \"cloud\", \"method\": \"snapshot\", \"size\": 7}'";
        let result = exec(json!({"shell": script, "parse": "backup"})).await.unwrap();
        let backup = result.get("backup").unwrap();
        assert_eq!(backup.get("id").unwrap().as_str(), Some("snap-1"));
        assert_eq!((backup.get("size"), backup.get("verified")), (Some(&7u64.into()), Some(&false.into())));
        for (script, why) in
            [("true", "printed nothing"), ("echo done", "not JSON"), ("echo '{\"id\": \"x\", \"location\": \"y\"}'", "`method`")]
        {
            let error = exec(json!({"shell": script, "parse": "backup"})).await.unwrap_err();
            assert!(error.message.contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_signal_is_named() {
        let error = exec(json!({"shell": "kill -9 $$"})).await.unwrap_err();
        assert!(error.message.contains("SIGKILL"), "{error}");
        assert_eq!(detail(&error, "exit_code"), &137i64.into());
    }

    #[tokio::test]
    async fn senseless_commands_are_refused() {
        for wrong in [
            json!({}),
            json!({"command": []}),
            json!({"command": [""]}),
            json!({"command": ["./x"]}),
            json!({"command": ["echo", "a\u{0}b"]}),
            json!({"command": ["true"], "shell": "true"}),
            json!({"command": ["true"], "directory": "relative"}),
            json!({"command": ["true"], "environment": {"A": ["list"]}}),
            json!({"command": ["true"], "parse": "xml"}),
        ] {
            assert_eq!(exec(wrong.clone()).await.unwrap_err().kind, FailureKind::Invalid, "{wrong}");
        }
    }

    #[tokio::test]
    async fn secrets_reach_the_process_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let object = args(json!({"shell": "echo $TOKEN; echo $TOKEN >&2; exit 1", "secrets": {"TOKEN": "t0ps3cret"}}));
        let error = Exec.run(&object, &applying(dir.path())).await.unwrap_err();
        assert!(!format!("{error:?}").contains("t0ps3cret"), "{error:?}");
        assert_eq!(detail(&error, "stdout").as_str(), Some("(sensitive)\n"));
    }

    #[tokio::test]
    async fn input_larger_than_a_pipe_is_passed_on() {
        let result = exec(json!({"command": ["wc", "-c"], "stdin": "x".repeat(300_000)})).await.unwrap();
        assert_eq!(result.get("stdout").unwrap().as_str().map(str::trim), Some("300000"));
        // And one that nobody reads is no failure.
        exec(json!({"command": ["true"], "stdin": "x".repeat(300_000)})).await.unwrap();
    }

    #[tokio::test]
    async fn a_fact_takes_no_longer_than_it_may() {
        let ctx = Context { timeout: Some(std::time::Duration::from_millis(100)), ..observing() };
        let error = Exec.run(&args(json!({"shell": "echo begun; sleep 60"})), &ctx).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::TimedOut);
        assert_eq!(detail(&error, "stdout").as_str(), Some("begun\n"));
    }
}
