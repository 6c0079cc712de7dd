//! Dumps and restores with the server's own tools, on the instance's host.
//!
//! A dump stands complete and read back, or not at all. A restore runs in one transaction where PostgreSQL can.

use std::path::{Path, PathBuf};

use super::connect::Connection;
use crate::driver::archive::there;
use crate::driver::exec::failed;
use crate::driver::host::{Output, Recovered};
use crate::driver::intent::Intent;
use crate::driver::{Args, Command, Context, Failure, FailureKind};
use crate::lang::Value;

/// What tools run with.
pub(super) struct Tools<'a> {
    bin_dir: Option<String>,
    user: Option<String>,
    options: Vec<String>,
    connection: &'a Connection,
}

/// A dump that was made.
pub(super) struct Dumped {
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl<'a> Tools<'a> {
    pub(super) fn of(args: &Args<'_>, connection: &'a Connection) -> Result<Self, Failure> {
        let options = args.texts("options")?;
        if let Some(wrong) =
            options.iter().find(|option| option.contains('\0') || option.to_ascii_lowercase().contains("password="))
        {
            let name = wrong.split('=').next().unwrap_or_default();
            return Err(args.invalid(format_args!("`options` holds `{}`, which cannot be given so", name.escape_debug())));
        }
        Ok(Self { bin_dir: args.path("bin_dir")?, user: args.text("run_as")?, options, connection })
    }

    fn command(&self, tool: &str, rest: impl IntoIterator<Item = String>) -> Command {
        let program = match &self.bin_dir {
            Some(dir) => format!("{}/{tool}", dir.trim_end_matches('/')),
            None => tool.to_owned(),
        };
        let mut command = Command::new(std::iter::once(program).chain(rest));
        command.env = self.connection.environment();
        command.env.insert("LC_ALL".to_owned(), "C.UTF-8".to_owned());
        command.user.clone_from(&self.user);
        // The tools otherwise begin where Windlass is, which another user may not be able to see.
        command.dir = Some("/".to_owned());
        command
    }

    /// Dumps into `path`; `announce` is told of the dump right before it is put there.
    pub(super) async fn dump(
        &self,
        path: &Path,
        plain: bool,
        replace: bool,
        announce: &(dyn Fn(&Dumped) -> Result<(), Failure> + Sync),
        ctx: &Context,
    ) -> Result<Dumped, Failure> {
        let partial = partial(path)?;
        let begun = match &ctx.dir {
            Some(dir) => !matches!(ctx.host.recover(&dir.join("dump")).await?, Recovered::NotBegun | Recovered::Withheld),
            None => false,
        };
        if !begun {
            if !replace && ctx.host.stat(path, false).await?.is_some() {
                let message = format!("`{}` is there already", path.display());
                return Err(
                    Failure::new(FailureKind::Failed, message).help("give each dump a name of its own, or write `replace = true`")
                );
            }
            ctx.host.remove(&partial, false).await?;
        }
        let format = if plain { "plain" } else { "custom" };
        let mut rest = vec!["--no-password".to_owned(), format!("--format={format}"), format!("--file={}", partial.display())];
        rest.extend(self.options.iter().cloned());
        let command = self.command("pg_dump", rest);
        let done = ok(ctx.run_named("dump", &command).await?, &command, ctx);
        if ctx.host.stat(&partial, false).await?.is_some() {
            let checked = async {
                done?;
                self.check(&partial, plain, ctx).await?;
                let dumped = dumped(&partial, ctx).await?;
                announce(&dumped)?;
                Ok(dumped)
            };
            return match checked.await {
                Ok(dumped) => ctx.host.rename(&partial, path).await.map(|()| dumped),
                Err(failure) => {
                    // Half a dump helps nobody; what failed is said, not that it could not be removed.
                    let _ = ctx.host.remove(&partial, false).await;
                    Err(Failure::untouched(failure))
                }
            };
        }
        // Renamed before Windlass was interrupted.
        done?;
        dumped(path, ctx).await.map_err(Failure::touched)
    }

    /// Reads a dump to its end.
    async fn check(&self, path: &Path, plain: bool, ctx: &Context) -> Result<(), Failure> {
        if plain {
            let output = ctx.look(["tail".to_owned(), "-c".to_owned(), "4096".to_owned(), path.display().to_string()]).await?;
            return if output.stdout.text().contains("PostgreSQL database dump complete") {
                Ok(())
            } else {
                Err(Failure::new(FailureKind::Failed, format!("the dump `{}` has no end", path.display())))
            };
        }
        let list = Command { stream: false, ..self.command("pg_restore", ["--list".to_owned(), path.display().to_string()]) };
        ok(ctx.host.run(&list, ctx).await?, &list, ctx)?;
        let read = self.command("pg_restore", ["--file=/dev/null".to_owned(), path.display().to_string()]);
        ok(ctx.host.run(&read, ctx).await?, &read, ctx)
    }

    /// Restores `path` into the connection's database. `recreate`: the database is dropped and made anew first.
    pub(super) async fn restore(&self, path: &Path, recreate: bool, maintenance: &str, ctx: &Context) -> Result<(), Failure> {
        let Some(database) = self.connection.database.clone() else {
            return Err(Failure::new(FailureKind::Invalid, "postgres: `database` is missing"));
        };
        let Some(head) = ctx.host.read(path, 5).await.map_err(Failure::untouched)? else {
            let message = format!("cannot read `{}`: it does not exist", path.display());
            return Err(Failure::new(FailureKind::Failed, message).untouched());
        };
        let plain = head.bytes != b"PGDMP";
        // Before anything is dropped.
        self.check(path, plain, ctx).await.map_err(Failure::untouched)?;
        if plain && !recreate {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("`{}` is a plain dump, which can only go into a new database", path.display()),
            )
            .help("write `mode = \"recreate\"`, or make dumps in the custom format"));
        }
        Intent::of(ctx)?.declare(&Value::Null)?;
        if recreate {
            let maintenance = format!("--maintenance-db={maintenance}");
            let owner = self.properties(&database, ctx).await.map_err(Failure::untouched)?;
            let rest = ["--no-password", "--if-exists", "--force", &maintenance, "--", &database].map(str::to_owned);
            let drop = self.command("dropdb", rest);
            ok(ctx.run_named("drop", &drop).await?, &drop, ctx)?;
            let mut rest = vec!["--no-password".to_owned(), "--template=template0".to_owned(), maintenance];
            rest.extend(owner);
            rest.extend(["--".to_owned(), database.clone()]);
            let create = self.command("createdb", rest);
            ok(ctx.run_named("create", &create).await.map_err(Failure::touched)?, &create, ctx)?;
        }
        let file = path.display().to_string();
        let command = if plain {
            let rest = ["--no-psqlrc", "--quiet", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1"];
            self.command(
                "psql",
                rest.map(str::to_owned).into_iter().chain(self.options.iter().cloned()).chain([format!("--file={file}")]),
            )
        } else {
            let mut rest = vec!["--no-password", "--exit-on-error", "--single-transaction"];
            if !recreate {
                rest.extend(["--clean", "--if-exists"]);
            }
            let rest = rest.into_iter().map(str::to_owned).chain([format!("--dbname={database}")]);
            self.command("pg_restore", rest.chain(self.options.iter().cloned()).chain([file]))
        };
        let ran = ctx.run_named("restore", &command).await;
        ok(ran.map_err(|failure| if recreate { failure.touched() } else { failure })?, &command, ctx)
    }

    /// Owner, encoding and locale of a database that is there, as options of `createdb`.
    async fn properties(&self, database: &str, ctx: &Context) -> Result<Vec<String>, Failure> {
        let sql = "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = :'name'";
        let rest = ["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--field-separator=\u{1f}"];
        let rest = rest.map(str::to_owned).into_iter().chain([format!("--set=name={database}"), "--dbname=postgres".to_owned()]);
        let mut command = Command { stream: false, ..self.command("psql", rest) };
        // Variables are not replaced in `--command`.
        command.stdin = sql.as_bytes().to_vec();
        let output = ctx.host.run(&command, ctx).await?;
        if !output.ok() {
            return Err(failed(&command, &output, ctx));
        }
        let text = output.stdout.text();
        let fields: Vec<&str> = text.trim_end_matches('\n').split('\u{1f}').collect();
        Ok(match fields.as_slice() {
            [owner, encoding, collate, ctype] => vec![
                format!("--owner={owner}"),
                format!("--encoding={encoding}"),
                format!("--lc-collate={collate}"),
                format!("--lc-ctype={ctype}"),
            ],
            _ => Vec::new(),
        })
    }
}

async fn dumped(path: &Path, ctx: &Context) -> Result<Dumped, Failure> {
    let (sha256, size) = there(path, ctx).await?;
    Ok(Dumped { sha256, size })
}

fn ok(output: Output, command: &Command, ctx: &Context) -> Result<(), Failure> {
    if output.ok() { Ok(()) } else { Err(failed(command, &output, ctx)) }
}

fn partial(path: &Path) -> Result<PathBuf, Failure> {
    let name = path.file_name().ok_or_else(|| Failure::new(FailureKind::Invalid, "postgres: `path` must name a file"))?;
    Ok(path.with_file_name(format!(".{}.windlass-partial", name.to_string_lossy())))
}
