//! What `process` takes and gives.

use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

pub(super) const SCHEMA: DriverSchema = DriverSchema {
    name: "process",
    summary: "Starts, stops or restarts a service that outlives Windlass, or tells whether it runs.",
    args: &[
        ArgSchema {
            name: "action",
            ty: "string",
            required: true,
            summary: "\"start\", \"stop\", \"restart\" or \"status\" (the only one for facts). Starting what runs with the same command and stopping what does not run are fine.",
        },
        ArgSchema {
            name: "pid_file",
            ty: "string",
            required: true,
            summary: "Absolute path of the file that says which process it is. Written by this driver.",
        },
        ArgSchema {
            name: "command",
            ty: "list(string)",
            required: false,
            summary: "Program and arguments; it must stay in the foreground. Needed to start.",
        },
        ArgSchema {
            name: "shell",
            ty: "string",
            required: false,
            summary: "A script for `/bin/sh -eu` instead of `command`; it should end in `exec`.",
        },
        ArgSchema {
            name: "environment",
            ty: "map(string)",
            required: false,
            summary: "Environment variables on top of the inherited ones, which are those of `exec`.",
        },
        ArgSchema {
            name: "secrets",
            ty: "map(string)",
            required: false,
            summary: "More environment variables, whose values are hidden in everything that is shown or kept.",
        },
        ArgSchema { name: "inherit_environment", ty: "bool", required: false, summary: "As in `exec`." },
        ArgSchema { name: "directory", ty: "string", required: false, summary: "Working directory; `/` where not given." },
        ArgSchema { name: "user", ty: "string", required: false, summary: "As in `exec`." },
        ArgSchema {
            name: "log_file",
            ty: "string",
            required: false,
            summary: "Absolute path of the file to which its output is appended; needed to start. Rotating it (by copying and truncating) is up to the host.",
        },
        ArgSchema {
            name: "ready",
            ty: "object({tcp = string, after = string, timeout = string})",
            required: false,
            summary: "When it counts as started: once the address `tcp` (host:port) accepts connections, within `timeout` (60 s where not given); and after it has run for `after` (500 ms where not given).",
        },
        ArgSchema {
            name: "stop_signal",
            ty: "string",
            required: false,
            summary: "TERM (where not given), INT, QUIT, HUP, USR1, USR2 or KILL; sent to the whole process group.",
        },
        ArgSchema {
            name: "stop_timeout",
            ty: "string",
            required: false,
            summary: "After this duration whoever is left in the group is killed; 30 s where not given.",
        },
    ],
    results: &[
        ResultSchema { name: "running", ty: "bool", summary: "Whether it runs." },
        ResultSchema { name: "pid", ty: "number", summary: "Its process id; null where it does not run." },
        ResultSchema { name: "since", ty: "string", summary: "When it was started (RFC 3339); null where it does not run." },
        ResultSchema { name: "changed", ty: "bool", summary: "Whether it was started or stopped by this call." },
        ResultSchema { name: "killed", ty: "bool", summary: "Whether it had to be killed because it did not stop in time." },
    ],
    observes: true,
};
