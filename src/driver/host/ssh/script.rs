//! The shell scripts that travel: how they are wrapped, quoted and understood.
//!
//! A script comes as lines on standard input up to a mark, the command's own input after it. On standard error it says, with the same
//! mark, that it has begun and how it ended: so an exit status of the command and a failure of ssh are never mixed up.

use crate::driver::host::Command;
use crate::driver::{Failure, FailureKind};
use crate::lang::function::shell_quoted;

/// What ssh is told to run, the same for every call. The shell's `read` takes no byte beyond its line, so the rest of the input stays
/// for the command. A script cut short is not begun.
pub(super) const BOOTSTRAP: &str = r#"exec /bin/sh -c 'IFS= read -r mark || exit 255
script= whole=
while IFS= read -r line; do
if [ "$line" = "$mark" ]; then whole=1; break; fi
script="$script$line
"
done
[ -n "$whole" ] || exit 255
echo "$mark begun $$" >&2
(eval "$script")
echo "$mark ended $?" >&2'"#;

/// Ends the process group of a session: SIGTERM, then SIGKILL.
pub(super) const END_GROUP: &str = r#"[ "$1" -gt 1 ] || exit 1
kill -s TERM -- "-$1"
n=0
while kill -0 "-$1" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
kill -s KILL -- "-$1""#;

/// A tool is missing.
pub(super) const MISSING: i32 = 45;

pub(super) const ACCEPTS: &str = r#"if command -v bash >/dev/null; then
exec timeout "$3" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
elif command -v nc >/dev/null; then exec nc -z -w "$3" "$1" "$2"
else exit 45; fi"#;

/// A script as it travels.
pub(super) fn envelope(mark: &str, script: &str) -> String {
    format!("{mark}\n{script}\n{mark}\n")
}

/// Environment, directory and command as a script.
pub(super) fn command(command: &Command) -> Result<String, Failure> {
    let mut script = String::new();
    for (name, value) in &command.env {
        let mut chars = name.chars();
        let named = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named {
            let message =
                format!("the environment variable `{}` cannot be set over SSH: its name is no shell name", name.escape_debug());
            return Err(Failure::new(FailureKind::Invalid, message));
        }
        script.push_str(&format!("export {name}={}\n", shell_quoted(value)));
    }
    if let Some(dir) = &command.dir {
        script.push_str(&format!("cd -- {} || exit 126\n", shell_quoted(dir)));
    }
    if command.argv.is_empty() {
        return Err(Failure::new(FailureKind::Invalid, "there is no command to run"));
    }
    script.push_str("exec");
    for arg in &command.argv {
        script.push(' ');
        script.push_str(&shell_quoted(arg));
    }
    Ok(script)
}

/// What a script said of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// Its process (group), once it has begun.
    pub(super) pid: Option<i32>,
    /// How it ended, where the connection lasted until then.
    pub(super) code: Option<i32>,
    /// The command's own standard error.
    pub(super) stderr: Vec<u8>,
}

/// Takes the script's own lines out of standard error.
pub(super) fn unmark(stderr: &[u8], mark: &str) -> Ran {
    let mut ran = Ran { pid: None, code: None, stderr: Vec::with_capacity(stderr.len()) };
    for line in stderr.split_inclusive(|byte| *byte == b'\n') {
        let found = line.windows(mark.len()).position(|window| window == mark.as_bytes());
        let Some(at) = found else {
            ran.stderr.extend_from_slice(line);
            continue;
        };
        // A command whose last line has no end shares it with the mark.
        ran.stderr.extend_from_slice(&line[..at]);
        let text = String::from_utf8_lossy(&line[at + mark.len()..]);
        match text.trim().split_once(' ') {
            Some(("begun", pid)) => ran.pid = pid.parse().ok().filter(|pid| *pid > 1),
            Some(("ended", code)) => ran.code = code.parse().ok(),
            _ => {}
        }
    }
    ran
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_words_of_a_script_are_taken_out() {
        let ran = unmark(b"banner\nM begun 42\nwarn\nno end of lineM ended 7\n", "M");
        assert_eq!(ran, Ran { pid: Some(42), code: Some(7), stderr: b"banner\nwarn\nno end of line".to_vec() });
        assert_eq!(unmark(b"lost", "M").code, None);
        assert_eq!(unmark(b"M begun 1\n", "M").pid, None);
    }

    #[test]
    fn names_that_no_shell_knows_are_refused() {
        for name in ["", "1A", "A-B", "A B", "A;reboot"] {
            let mut wrong = Command::new(["true"]);
            wrong.env.insert(name.to_owned(), String::new());
            assert!(command(&wrong).is_err(), "{name}");
        }
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(shell_quoted("it's $x\n"), "'it'\\''s $x\n'");
    }
}
