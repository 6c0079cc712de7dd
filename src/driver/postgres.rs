//! `postgres`: asks a PostgreSQL database, tells it to do something, dumps and restores it.
//!
//! Queries go out from the machine that Windlass runs on; dumps and restores run the server's own tools on the instance's host.
//! Passwords travel in the environment, never on a command line.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;

use super::backup::Membership;
use super::http::whole;
use super::intent::{self, Intent};
use super::{Args, Context, Driver, Failure, Recalled};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

mod cell;
mod connect;
mod dump;
mod query;
#[cfg(test)]
mod tests;

use connect::Connection;
use dump::Tools;
use query::Sql;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Postgres;

const ACTIONS: [&str; 4] = ["query", "execute", "dump", "restore"];

const SCHEMA: DriverSchema = DriverSchema {
    name: "postgres",
    summary: "Queries, changes, dumps and restores a PostgreSQL database. Queries go out from the machine that Windlass runs on; \"dump\" and \"restore\" run `pg_dump` and `pg_restore` on the instance's host. A fact can only query, read-only.",
    args: &[
        ArgSchema {
            name: "action",
            ty: "string",
            required: false,
            summary: "\"query\", \"execute\", \"dump\" or \"restore\"; \"query\" where not given.",
        },
        ArgSchema {
            name: "url",
            ty: "string",
            required: false,
            summary: "Connection, `postgres://user:password@host:port/database`; the arguments below win over its parts.",
        },
        ArgSchema {
            name: "host",
            ty: "string",
            required: false,
            summary: "Name or address of the server, or the folder of its socket; the socket in /var/run/postgresql where not given (dump and restore: where the tools look).",
        },
        ArgSchema { name: "port", ty: "number", required: false, summary: "Port; 5432 where not given." },
        ArgSchema {
            name: "user",
            ty: "string",
            required: false,
            summary: "Role; `postgres` where not given (dump and restore: the user that runs the tools).",
        },
        ArgSchema {
            name: "password",
            ty: "string",
            required: false,
            summary: "Password. It is hidden everywhere, and the tools get it by their environment.",
        },
        ArgSchema {
            name: "database",
            ty: "string",
            required: false,
            summary: "Database; the role's name where not given. Needed for restore.",
        },
        ArgSchema {
            name: "sslmode",
            ty: "string",
            required: false,
            summary: "\"disable\", or \"verify-full\" (\"require\" means the same: the certificate is always checked). Where not given: \"disable\" for sockets and this machine, else \"verify-full\".",
        },
        ArgSchema {
            name: "ca_file",
            ty: "string",
            required: false,
            summary: "Certificates (PEM) that are trusted instead of the system's.",
        },
        ArgSchema {
            name: "sql",
            ty: "string",
            required: false,
            summary: "Query: one statement. Execute: one or several (several run in one transaction; with `parameters` only one).",
        },
        ArgSchema { name: "parameters", ty: "list(any)", required: false, summary: "Values of `$1`, `$2` and so on." },
        ArgSchema {
            name: "read_only",
            ty: "bool",
            required: false,
            summary: "Whether the statement may only read. Where not given: true for query, false for execute. Always true for a fact.",
        },
        ArgSchema {
            name: "timeout",
            ty: "string",
            required: false,
            summary: "How long the statement may take. Where not given: `30s` for query, only the step's limit for execute.",
        },
        ArgSchema {
            name: "max_rows",
            ty: "number",
            required: false,
            summary: "Query: how many rows are given (at most 16 MiB in all); 1000 where not given.",
        },
        ArgSchema {
            name: "path",
            ty: "string",
            required: false,
            summary: "Dump, restore: the file on the instance's host. Dump: it stands complete and read back, or not at all.",
        },
        ArgSchema {
            name: "format",
            ty: "string",
            required: false,
            summary: "Dump: \"custom\" (where not given) or \"plain\". Restore tells by the content.",
        },
        ArgSchema {
            name: "replace",
            ty: "bool",
            required: false,
            summary: "Dump: whether a file that is there is replaced; false where not given.",
        },
        ArgSchema {
            name: "mode",
            ty: "string",
            required: false,
            summary: "Restore: \"clean\" (where not given) replaces the objects that the dump holds and leaves others, all in one transaction; \"recreate\" ends all connections, drops the database and makes it anew with its owner, encoding and locale.",
        },
        ArgSchema {
            name: "maintenance_database",
            ty: "string",
            required: false,
            summary: "Restore: the database to be connected to while the other is dropped; `postgres` where not given.",
        },
        ArgSchema {
            name: "bin_dir",
            ty: "string",
            required: false,
            summary: "Dump, restore: the folder of `pg_dump` and the other tools; found on the PATH where not given. They must not be older than the server.",
        },
        ArgSchema {
            name: "options",
            ty: "list(string)",
            required: false,
            summary: "Dump, restore: more options of `pg_dump`, `pg_restore` or `psql` (`--exclude-table-data=logs`, `--jobs` does not go with one transaction).",
        },
        ArgSchema {
            name: "set",
            ty: "any",
            required: false,
            summary: "Dump: the matched set that it is a part of, as in the driver `backup`.",
        },
        ArgSchema {
            name: "run_as",
            ty: "string",
            required: false,
            summary: "Dump, restore: the system's user that runs the tools; needs root, and `privileged = true` in the step. That user must be able to write the folder of `path`.",
        },
    ],
    results: &[
        ResultSchema {
            name: "rows",
            ty: "list(map(any))",
            summary: "Query: the rows, each an object by column. Timestamps are texts (ISO 8601), `bytea` is hexadecimal, JSON is a value; numbers that are too long are texts. Else null.",
        },
        ResultSchema { name: "row", ty: "map(any)", summary: "Query: the first row; null where there is none." },
        ResultSchema { name: "value", ty: "any", summary: "Query: the first column of the first row; null where there is none." },
        ResultSchema { name: "columns", ty: "list(string)", summary: "Query: the names of the columns, else null." },
        ResultSchema { name: "row_count", ty: "number", summary: "Query: how many rows are given, else null." },
        ResultSchema { name: "truncated", ty: "bool", summary: "Query: whether there are more, else null." },
        ResultSchema {
            name: "affected",
            ty: "list(number)",
            summary: "Query, execute: how many rows each statement gave or touched, else null.",
        },
        ResultSchema {
            name: "backup",
            ty: "object({ id = string, location = string, method = string, size = number, verified = bool, set = object({ name = string, part = string, parts = list(string) }) })",
            summary: "Dump: the backup, its method is `pg_dump`; else null.",
        },
        ResultSchema { name: "path", ty: "string", summary: "Dump, restore: the file, else null." },
        ResultSchema { name: "sha256", ty: "string", summary: "Dump: its SHA-256, else null." },
        ResultSchema { name: "bytes", ty: "number", summary: "Dump: its size, else null." },
    ],
    observes: true,
};

#[async_trait]
impl Driver for Postgres {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("postgres", args);
        let action = args.word("action", &ACTIONS)?.unwrap_or("query");
        let looking = ctx.dir.is_none();
        if looking && action != "query" {
            return Err(args.invalid(format_args!("\"{action}\" changes something, and a fact or check can only query")));
        }
        let connection = Connection::of(&args)?;
        let ctx = Context { redact: ctx.redact.also(connection.secrets()), ..ctx.clone() };
        match action {
            "query" | "execute" => {
                let query = action == "query";
                let mut sql = Sql::of(&args, query)?;
                sql.read_only |= looking;
                let mut rows = sql.run(query, &connection, &ctx).await?.result();
                if !query {
                    rows.retain(|name, _| *name == "affected");
                }
                Ok(result(rows))
            }
            "dump" => {
                let intent = Intent::of(&ctx)?;
                let path = args.needed_path("path")?;
                let plain = args.word("format", &["custom", "plain"])? == Some("plain");
                let set = Membership::read(&args)?;
                let tools = Tools::of(&args, &connection)?;
                let given = |dumped: &dump::Dumped| {
                    result(BTreeMap::from([
                        ("backup", backup(&path, dumped, set.as_ref())),
                        ("path", Value::string(&path)),
                        ("sha256", Value::string(&dumped.sha256)),
                        ("bytes", whole(dumped.size)),
                    ]))
                };
                let announce = |dumped: &dump::Dumped| intent.declare(&given(dumped));
                let dumped = tools.dump(Path::new(&path), plain, args.flag("replace")?, &announce, &ctx).await?;
                Ok(given(&dumped))
            }
            _ => {
                let path = args.needed_path("path")?;
                let recreate = args.word("mode", &["clean", "recreate"])? == Some("recreate");
                let maintenance = args.text("maintenance_database")?.unwrap_or_else(|| "postgres".to_owned());
                Tools::of(&args, &connection)?.restore(Path::new(&path), recreate, &maintenance, &ctx).await?;
                Ok(result(BTreeMap::from([("path", Value::string(&path))])))
            }
        }
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        let args = Args::new("postgres", args);
        let action = args.word("action", &ACTIONS)?.unwrap_or("query");
        let asks = matches!(action, "query" | "execute");
        if asks && Sql::of(&args, action == "query")?.read_only {
            return Ok(Recalled::Untouched);
        }
        Ok(intent::declared(ctx)?.recalled())
    }
}

fn backup(path: &str, dumped: &dump::Dumped, set: Option<&Membership>) -> Value {
    let id = path.rsplit('/').next().unwrap_or(path);
    Value::object([
        ("id", Value::string(id)),
        ("set", set.map_or(Value::Null, |set| set.of(id).value())),
        ("location", Value::string(path)),
        ("method", Value::string("pg_dump")),
        ("size", whole(dumped.size)),
        ("verified", true.into()),
    ])
}

/// A result with null for what the action does not give.
fn result(given: BTreeMap<&str, Value>) -> Value {
    let mut all: BTreeMap<&str, Value> = SCHEMA.results.iter().map(|result| (result.name, Value::Null)).collect();
    all.extend(given);
    Value::object(all)
}
