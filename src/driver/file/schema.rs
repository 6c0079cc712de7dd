//! What `file` takes and gives.

use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

pub(super) const SCHEMA: DriverSchema = DriverSchema {
    name: "file",
    summary: "Reads, writes, copies, links, moves and removes files on the instance's host, and puts back what was there before.",
    args: &[
        ArgSchema {
            name: "action",
            ty: "string",
            required: false,
            summary: "What to do. Facts: \"read\" (where not given), \"stat\", \"list\". Steps: also \"write\", \"copy\", \"move\", \"symlink\", \"directory\", \"remove\", \"restore\".",
        },
        ArgSchema {
            name: "path",
            ty: "string",
            required: false,
            summary: "Absolute path of what is read, written, made or removed; where `copy` and `move` put it. Needed by all but \"restore\".",
        },
        ArgSchema { name: "content", ty: "string", required: false, summary: "\"write\": the new content." },
        ArgSchema {
            name: "source",
            ty: "string",
            required: false,
            summary: "\"copy\", \"move\": absolute path of what is copied (with all that is in it, modes, owners and times) or moved.",
        },
        ArgSchema {
            name: "target",
            ty: "string",
            required: false,
            summary: "\"symlink\": where the link leads; it may be relative to the link.",
        },
        ArgSchema {
            name: "mode",
            ty: "string",
            required: false,
            summary: "\"write\", \"directory\": permissions in octal, like \"0640\". Where not given, what is there keeps its own; new files get 0644, directories 0755.",
        },
        ArgSchema {
            name: "owner",
            ty: "string",
            required: false,
            summary: "\"write\", \"directory\": \"USER\" or \"USER:GROUP\". Where not given, what is there keeps its owner.",
        },
        ArgSchema { name: "recursive", ty: "bool", required: false, summary: "\"remove\": a directory with all that is in it." },
        ArgSchema {
            name: "keep",
            ty: "bool",
            required: false,
            summary: "Whether what is replaced or removed can be restored; true where not given, but for directories false. A directory is kept by moving it aside (`.NAME.windlass-KEY` beside it), so its room is not freed.",
        },
        ArgSchema {
            name: "saved",
            ty: "string",
            required: false,
            summary: "\"restore\": `result.saved` of the step that is undone. Restoring twice is fine.",
        },
        ArgSchema {
            name: "parse",
            ty: "string",
            required: false,
            summary: "\"read\": \"json\" gives the content as `json`, \"lines\" as `lines`, \"properties\" as `properties` (lines `name=value`, `#` begins a comment, `[section]` names become `section.name`).",
        },
        ArgSchema {
            name: "limit",
            ty: "any",
            required: false,
            summary: "\"read\": at most so many bytes, a number or a size like \"5MiB\"; 1 MiB where not given.",
        },
        ArgSchema {
            name: "required",
            ty: "bool",
            required: false,
            summary: "\"read\", \"stat\", \"list\": whether it is a failure that nothing is there.",
        },
        ArgSchema {
            name: "glob",
            ty: "string",
            required: false,
            summary: "\"list\": which names, like \"*.jar\"; all where not given.",
        },
        ArgSchema {
            name: "digest",
            ty: "bool",
            required: false,
            summary: "\"stat\": whether `sha256` is computed, over the whole file.",
        },
    ],
    results: &[
        ResultSchema { name: "exists", ty: "bool", summary: "\"read\", \"stat\", \"list\": whether something is there." },
        ResultSchema {
            name: "content",
            ty: "string",
            summary: "\"read\": the content; null where it is not UTF-8 or nothing is there.",
        },
        ResultSchema { name: "truncated", ty: "bool", summary: "\"read\": whether there is more than `limit`." },
        ResultSchema {
            name: "sha256",
            ty: "string",
            summary: "\"read\", \"write\": digest of the content; null where it was truncated. \"stat\": where asked for.",
        },
        ResultSchema { name: "json", ty: "any", summary: "\"read\" with `parse = \"json\"`." },
        ResultSchema { name: "lines", ty: "list(string)", summary: "\"read\" with `parse = \"lines\"`." },
        ResultSchema { name: "properties", ty: "map(string)", summary: "\"read\" with `parse = \"properties\"`." },
        ResultSchema {
            name: "kind",
            ty: "string",
            summary: "\"read\", \"stat\": \"file\", \"directory\", \"symlink\" or \"other\".",
        },
        ResultSchema { name: "size", ty: "number", summary: "\"read\", \"stat\": bytes." },
        ResultSchema { name: "mode", ty: "string", summary: "\"read\", \"stat\": permissions in octal." },
        ResultSchema { name: "uid", ty: "number", summary: "\"read\", \"stat\": owner." },
        ResultSchema { name: "gid", ty: "number", summary: "\"read\", \"stat\": group." },
        ResultSchema { name: "modified", ty: "string", summary: "\"read\", \"stat\": when the content last changed (RFC 3339)." },
        ResultSchema { name: "target", ty: "string", summary: "\"stat\": what a symbolic link says." },
        ResultSchema {
            name: "entries",
            ty: "list(object({name = string, kind = string, size = number, path = string}))",
            summary: "\"list\": what is there, sorted by name.",
        },
        ResultSchema { name: "path", ty: "string", summary: "The path." },
        ResultSchema { name: "changed", ty: "bool", summary: "Steps: whether anything had to be changed." },
        ResultSchema {
            name: "saved",
            ty: "string",
            summary: "Steps: what \"restore\" takes to put back what was there before; null where it was not kept.",
        },
    ],
    observes: true,
};
