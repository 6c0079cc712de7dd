//! What `backup` takes and gives.

use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

pub(super) const SCHEMA: DriverSchema = DriverSchema {
    name: "backup",
    summary: "Backs a folder or some files up into a repository, reads backups back, restores and prunes them, on the instance's host: over SSH by the tools that are there (GNU tar, zstd), with `method = \"tar\"` only. Files are copied as they lie: stop what writes them first. Permissions, owners (as root), times, links and holes are kept; extended attributes and ACLs are not.",
    args: &[
        ArgSchema {
            name: "action",
            ty: "string",
            required: true,
            summary: "\"create\", \"verify\", \"restore\", \"list\", \"prune\" or \"remove\".",
        },
        ArgSchema {
            name: "repository",
            ty: "string",
            required: true,
            summary: "The folder that holds the backups, made where it is not there. Several instances may share one: tell them apart by `labels`.",
        },
        ArgSchema {
            name: "path",
            ty: "string",
            required: false,
            summary: "The folder (or single file) that is backed up or restored. Needed for create and restore; list and prune then look at its backups only.",
        },
        ArgSchema {
            name: "files",
            ty: "list(string)",
            required: false,
            summary: "Create: only these files of the folder. For a database in a file (SQLite) its `-wal`, `-shm` and `-journal` are kept with it, and it must be stopped. A restore then replaces these files only.",
        },
        ArgSchema {
            name: "exclude",
            ty: "list(string)",
            required: false,
            summary: "Create: patterns of what is left out, relative to the folder (`logs` is its own folder `logs`, `**/*.tmp` all such files); `*` stays within a name.",
        },
        ArgSchema {
            name: "method",
            ty: "string",
            required: false,
            summary: "How backups are kept: \"tar\" (where not given): one `data.tar.zst` each, restorable by `tar --zstd -xpf`. \"restic\": an encrypted repository of restic, which stores only what is new and reads only what changed; `restic` itself restores from it. \"snapshot\": the snapshot that `snapshot` makes is kept as it is.",
        },
        ArgSchema {
            name: "password",
            ty: "string",
            required: false,
            summary: "Restic: what opens the repository. Declare the setting that it comes from as sensitive.",
        },
        ArgSchema {
            name: "password_file",
            ty: "string",
            required: false,
            summary: "Restic: a file whose first line is the password. The first backup makes it where it is not there, readable for its owner only; keep a copy elsewhere.",
        },
        ArgSchema {
            name: "exclude_sets",
            ty: "map(list(string))",
            required: false,
            summary: "Create: more patterns of what is left out, by the name of the set that they are of. The names stand on the backup.",
        },
        ArgSchema {
            name: "running",
            ty: "bool",
            required: false,
            summary: "Create: whether what writes there runs meanwhile. The backup is then possibly inconsistent (`consistent = false`), whatever was seen, and no restore takes it unless its id is given. A good first pass: the next one, made while all stands still, reads only what changed since.",
        },
        ArgSchema {
            name: "set",
            ty: "any",
            required: false,
            summary: "Create: the matched set that the backup is a part of: a name, or an object with `part` (which this is), `parts` (all that there must be) and `name`; the first part leaves `name` out, and its id names the set.",
        },
        ArgSchema {
            name: "snapshot",
            ty: "object({ create = list(string), mount = list(string), path = string, unmount = list(string), delete = list(string), verify = list(string), atomic = bool })",
            required: false,
            summary: "Create: commands that make a snapshot, so that what runs is backed up as of one moment. The snapshot is mounted, read at `path`, unmounted and deleted, also after a failure. In all of them `{name}` is a fresh name, `{path}` what is backed up, `{reference}` the last line that `create` wrote. With `atomic = false` the backup is possibly inconsistent all the same. Method \"snapshot\" needs `create` only; `verify` tells whether what is kept is complete, `delete` serves prune and remove.",
        },
        ArgSchema {
            name: "labels",
            ty: "map(string)",
            required: false,
            summary: "Create: what is written on the backup. Else: only backups that bear all of these.",
        },
        ArgSchema {
            name: "id",
            ty: "string",
            required: false,
            summary: "Verify, restore, remove: which backup; \"latest\" is the newest verified and consistent one of this `path` and these `labels` (for verify: the newest).",
        },
        ArgSchema {
            name: "compression",
            ty: "number",
            required: false,
            summary: "Create: Zstandard's level, 1 to 19; 3 where not given. It works on all processors (at most eight).",
        },
        ArgSchema {
            name: "verify",
            ty: "bool",
            required: false,
            summary: "Create: whether the backup is read back and compared; true where not given. Restic reads back what no earlier verified backup of the same path has. One that is not right is removed, and that is a failure.",
        },
        ArgSchema {
            name: "allow_inconsistent",
            ty: "bool",
            required: false,
            summary: "Create: whether a source that changed meanwhile is no failure but `consistent = false`; false where not given.",
        },
        ArgSchema {
            name: "check_space",
            ty: "bool",
            required: false,
            summary: "Create: whether the repository must have room for the source uncompressed; true where not given.",
        },
        ArgSchema {
            name: "keep_previous",
            ty: "bool",
            required: false,
            summary: "Restore: whether the content before stays beside the path, as `PATH.before-restore-ID`; false where not given. What the backup leaves out by `exclude` is taken over from it in any case.",
        },
        ArgSchema {
            name: "keep_last",
            ty: "number",
            required: false,
            summary: "Prune: so many of the newest stay. The newest verified and consistent one always stays, and a set goes only as a whole.",
        },
        ArgSchema { name: "keep_within", ty: "string", required: false, summary: "Prune: those that are no older than this stay." },
        ArgSchema {
            name: "keep_daily",
            ty: "number",
            required: false,
            summary: "Prune: the newest of each of so many days stays (UTC).",
        },
        ArgSchema {
            name: "keep_weekly",
            ty: "number",
            required: false,
            summary: "Prune: the newest of each of so many weeks stays (from Monday).",
        },
        ArgSchema {
            name: "keep_monthly",
            ty: "number",
            required: false,
            summary: "Prune: the newest of each of so many months stays.",
        },
        ArgSchema { name: "keep_ids", ty: "list(string)", required: false, summary: "Prune: these stay in any case." },
    ],
    results: &[
        ResultSchema {
            name: "backup",
            ty: "object({ id = string, location = string, method = string, size = number, verified = bool, path = string, at = string, bytes = number, entries = number, consistent = bool, labels = map(string), set = object({ name = string, part = string, parts = list(string) }), exclude = list(string), excluded = map(list(string)), snapshot = string, reference = string })",
            summary: "The backup that was made, verified or restored (else null): its id and repository, its stored size (restic: what it added) and that of its files, whether it was read back and found right, and what was left out (`exclude` all patterns, `excluded` those of sets by name).",
        },
        ResultSchema { name: "path", ty: "string", summary: "What was backed up or restored, else null." },
        ResultSchema {
            name: "changed",
            ty: "list(string)",
            summary: "Create: what changed meanwhile (the first hundred), else null.",
        },
        ResultSchema {
            name: "skipped",
            ty: "list(string)",
            summary: "Create: sockets, pipes and devices, which are not kept, else null.",
        },
        ResultSchema { name: "previous", ty: "list(string)", summary: "Restore: where the content before still lies, else null." },
        ResultSchema {
            name: "carried",
            ty: "number",
            summary: "Restore: how many things that the backup leaves out were taken over, else null.",
        },
        ResultSchema {
            name: "backups",
            ty: "list(any)",
            summary: "List, prune: the backups that there are, oldest first, each as `backup` is; else null.",
        },
        ResultSchema { name: "removed", ty: "list(string)", summary: "Prune, remove: the ids of what was removed, else null." },
    ],
    observes: false,
};
