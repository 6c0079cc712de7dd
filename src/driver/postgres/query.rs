//! Asks a database, or tells it to do something; rows become objects.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{NoTls, Row, SimpleQueryMessage};

use super::cell::value;
use super::connect::{Connection, failure};
use crate::driver::http::whole;
use crate::driver::intent::Intent;
use crate::driver::{Args, Context, Failure, FailureKind};
use crate::lang::Value;

/// How long a statement may take where nothing is said.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many bytes of rows are kept.
const ROWS_LIMIT: usize = 16 * 1024 * 1024;

/// One statement (or several, without parameters).
pub(super) struct Sql {
    text: String,
    parameters: Vec<Text>,
    pub(super) read_only: bool,
    timeout: Option<Duration>,
    max_rows: usize,
}

/// What came back.
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Value>,
    pub(super) truncated: bool,
    /// How many rows each statement gave or touched.
    pub(super) affected: Vec<u64>,
}

/// A parameter in the server's text form, which every type reads.
#[derive(Debug)]
struct Text(Option<String>);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Sql {
    /// Reads `sql`, `parameters`, `read_only`, `timeout`, `max_rows`.
    pub(super) fn of(args: &Args<'_>, query: bool) -> Result<Self, Failure> {
        let text = args.needed_text("sql")?;
        if text.contains('\0') {
            return Err(args.invalid("`sql` holds a NUL character"));
        }
        let parameters = match args.value("parameters") {
            None => Vec::new(),
            Some(Value::List(items)) => items.iter().map(|item| parameter(item, args)).collect::<Result<_, _>>()?,
            Some(_) => return Err(args.invalid("`parameters` must be a list")),
        };
        let max_rows = usize::try_from(args.count("max_rows")?.unwrap_or(1000)).unwrap_or(usize::MAX);
        let timeout = args.duration("timeout")?.or(query.then_some(QUERY_TIMEOUT));
        Ok(Self { text, parameters, read_only: args.truth("read_only")?.unwrap_or(query), timeout, max_rows })
    }

    /// Runs it. The server is told to stop when the call is cancelled or takes too long.
    pub(super) async fn run(&self, query: bool, connection: &Connection, ctx: &Context) -> Result<Rows, Failure> {
        let done = self.ask(query, connection, ctx).await;
        done.map_err(|failure| if self.read_only { failure.untouched() } else { failure })
    }

    async fn ask(&self, query: bool, connection: &Connection, ctx: &Context) -> Result<Rows, Failure> {
        let limit = [self.timeout, ctx.timeout].into_iter().flatten().min();
        let mut options = format!("-c default_transaction_read_only={}", if self.read_only { "on" } else { "off" });
        if let Some(limit) = limit {
            options.push_str(&format!(" -c statement_timeout={}", limit.as_millis().clamp(1, i32::MAX.unsigned_abs().into())));
        }
        let cancelled = || Failure::new(FailureKind::Cancelled, format!("{}: told to stop", connection.shown()));
        let session = tokio::select! {
            // Nobody was told anything yet.
            session = connection.connect(&options, ctx) => session.map_err(Failure::untouched)?,
            () = ctx.cancel.cancelled() => return Err(cancelled()),
        };
        if !self.read_only {
            Intent::of(ctx)?.declare(&Value::Null)?;
        }
        let token = session.client.cancel_token();
        let running = async {
            let done = if query { self.query(&session.client).await } else { self.execute(&session.client).await };
            done.map_err(|error| match error {
                Trouble::Server(error) => failure(&error, connection, ctx),
                Trouble::Cell(message) => Failure::new(FailureKind::Invalid, format!("{}: {message}", connection.shown())),
            })
        };
        let expired = async {
            match limit {
                // The server's own limit comes first: it says more.
                Some(limit) => tokio::time::sleep(limit + Duration::from_secs(2)).await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            done = running => return done,
            () = ctx.cancel.cancelled() => cancelled(),
            () = expired => Failure::new(FailureKind::TimedOut, format!("{}: no answer in time", connection.shown())),
        };
        // Best effort: without it the statement would go on in the server. Over TLS the closed connection has to do.
        let _ = tokio::time::timeout(Duration::from_secs(2), token.cancel_query(NoTls)).await;
        Err(why)
    }

    async fn query(&self, client: &tokio_postgres::Client) -> Result<Rows, Trouble> {
        if self.read_only {
            // A transaction that is read-only cannot be made otherwise once it has looked at anything.
            client.batch_execute("BEGIN READ ONLY").await?;
        }
        let statement = client.prepare(&self.text).await?;
        let columns: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let parameters = self.parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync));
        let stream = client.query_raw(&statement, parameters).await?;
        pin_mut!(stream);
        let (mut rows, mut size, mut truncated) = (Vec::new(), 0, false);
        while let Some(row) = stream.next().await {
            let row = row?;
            size += row.raw_size_bytes();
            if rows.len() >= self.max_rows || size > ROWS_LIMIT {
                truncated = true;
                break;
            }
            rows.push(object(&row)?);
        }
        let count = rows.len() as u64;
        Ok(Rows { columns, rows, truncated, affected: vec![count] })
    }

    async fn execute(&self, client: &tokio_postgres::Client) -> Result<Rows, Trouble> {
        let mut affected = Vec::new();
        if self.parameters.is_empty() {
            for message in client.simple_query(&self.text).await? {
                if let SimpleQueryMessage::CommandComplete(count) = message {
                    affected.push(count);
                }
            }
        } else {
            let parameters: Vec<&(dyn ToSql + Sync)> = self.parameters.iter().map(|parameter| parameter as _).collect();
            affected.push(client.execute(&self.text, &parameters).await?);
        }
        Ok(Rows { columns: Vec::new(), rows: Vec::new(), truncated: false, affected })
    }
}

impl Rows {
    /// `result`.
    pub(super) fn result(self) -> BTreeMap<&'static str, Value> {
        let Self { columns, rows, truncated, affected } = self;
        let first = rows.first().cloned().unwrap_or_default();
        let single = columns.first().and_then(|name| first.get(name)).cloned().unwrap_or_default();
        BTreeMap::from([
            ("columns", Value::list(columns.into_iter().map(Value::string))),
            ("row_count", whole(rows.len() as u64)),
            ("rows", Value::list(rows)),
            ("row", first),
            ("value", single),
            ("truncated", truncated.into()),
            ("affected", Value::list(affected.into_iter().map(whole))),
        ])
    }
}

enum Trouble {
    Server(tokio_postgres::Error),
    Cell(String),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

fn parameter(item: &Value, args: &Args<'_>) -> Result<Text, Failure> {
    Ok(Text(match item.unmark().0 {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.normalize().to_string()),
        Value::String(text) if text.contains('\0') => return Err(args.invalid("a parameter holds a NUL character")),
        Value::String(text) => Some(text.to_string()),
        // For `json` and `jsonb`.
        other => Some(serde_json::to_string(&other.revealed()).map_err(|error| args.invalid(error))?),
    }))
}

fn object(row: &Row) -> Result<Value, Trouble> {
    let mut cells = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        let cell = row.try_get(index).map_err(Trouble::Server)?;
        let value = value(column.type_(), cell).ok_or_else(|| {
            Trouble::Cell(format!("the column `{}` is of the type `{}`: write `{0}::text`", column.name(), column.type_().name()))
        })?;
        cells.push((column.name().to_owned(), value));
    }
    Ok(Value::object(cells))
}
