//! What `archive` takes and gives.

use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

pub(super) const SCHEMA: DriverSchema = DriverSchema {
    name: "archive",
    summary: "Checks an archive's digest, looks into it, unpacks it, or packs a folder. On a host over SSH it is unpacked and packed by the tools that are there (GNU tar, gzip, zstd, unzip), and looked into from here. A fact can only check and look.",
    args: &[
        ArgSchema {
            name: "action",
            ty: "string",
            required: true,
            summary: "\"verify\", \"list\", \"digest\", \"read\", \"unpack\" or \"pack\". Facts: the first four.",
        },
        ArgSchema {
            name: "path",
            ty: "string",
            required: true,
            summary: "The archive (tar, tar.gz, tar.zst or zip, told by its content), or the folder that is packed.",
        },
        ArgSchema {
            name: "sha256",
            ty: "string",
            required: false,
            summary: "The SHA-256 that the archive must have. Needed for verify.",
        },
        ArgSchema {
            name: "members",
            ty: "list(string)",
            required: false,
            summary: "List, digest: only members whose names fit one of these patterns, as in `exclude`; all where not given.",
        },
        ArgSchema {
            name: "member",
            ty: "string",
            required: false,
            summary: "Read: the member, by its name in the archive; needed for it. List, digest: only this one.",
        },
        ArgSchema {
            name: "limit",
            ty: "any",
            required: false,
            summary: "Read: at most so many bytes, a number or a size like `5MiB`; `1MiB` where not given.",
        },
        ArgSchema {
            name: "required",
            ty: "bool",
            required: false,
            summary: "List, digest, read: whether it is a failure that there is no such member; false where not given. That the archive is not there always is one.",
        },
        ArgSchema {
            name: "to",
            ty: "string",
            required: false,
            summary: "The folder to unpack into, which must not be there or be empty; or the archive to pack into, replaced if it is there, whose name ends in `.tar.gz`, `.tgz`, `.tar.zst` or `.tar`. It stands complete or not at all.",
        },
        ArgSchema {
            name: "replace",
            ty: "bool",
            required: false,
            summary: "Unpack: whether a folder `to` with something in it is replaced (in one go); false where not given.",
        },
        ArgSchema {
            name: "strip_components",
            ty: "number",
            required: false,
            summary: "Unpack, list, digest, read: how many folders at the beginning of each name are left out; 0 where not given. Entries with no more than these are left out.",
        },
        ArgSchema {
            name: "max_bytes",
            ty: "any",
            required: false,
            summary: "Unpack: what holds more is refused, a number or a text like `10GiB`; `64GiB` where not given.",
        },
        ArgSchema {
            name: "max_entries",
            ty: "number",
            required: false,
            summary: "What has more entries is refused; 1000000 where not given.",
        },
        ArgSchema {
            name: "max_ratio",
            ty: "number",
            required: false,
            summary: "What holds more than this many times its own size (and 64 MiB) is refused; 250 where not given.",
        },
        ArgSchema {
            name: "exclude",
            ty: "list(string)",
            required: false,
            summary: "Pack: patterns of what is left out, relative to the folder (`logs` is its own folder `logs`, `**/*.tmp` all such files); `*` stays within a name.",
        },
    ],
    results: &[
        ResultSchema { name: "path", ty: "string", summary: "The archive, or the folder that was unpacked." },
        ResultSchema {
            name: "sha256",
            ty: "string",
            summary: "Verify, unpack, pack: the archive's SHA-256. Digest: with `member` that of its content; else that of what `sha256sum` writes about the files, in the order of their names. Else null.",
        },
        ResultSchema { name: "md5", ty: "string", summary: "Digest: the MD5, had like `sha256`. Else null." },
        ResultSchema {
            name: "bytes",
            ty: "number",
            summary: "The archive's size (verify, pack), or that of what was unpacked, listed, digested or is to be read.",
        },
        ResultSchema {
            name: "entries",
            ty: "number",
            summary: "How many files, folders and links; digest: how many files. Null for verify and read.",
        },
        ResultSchema { name: "exists", ty: "bool", summary: "List, digest, read: whether there is such a member. Else null." },
        ResultSchema {
            name: "members",
            ty: "list(object({name = string, kind = string, size = number, mode = string, target = string}))",
            summary: "List: what is there, in the archive's order. Else null.",
        },
        ResultSchema {
            name: "files",
            ty: "map(object({sha256 = string, md5 = string, size = number}))",
            summary: "Digest: each file by its name. Folders and symbolic links have none. Else null.",
        },
        ResultSchema { name: "content", ty: "string", summary: "Read: the content; null where it is not UTF-8 or not there." },
        ResultSchema { name: "truncated", ty: "bool", summary: "Read: whether there is more than `limit`. Else null." },
    ],
    observes: true,
};
