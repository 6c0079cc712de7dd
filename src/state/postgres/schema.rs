//! The tables, and the version of their format.
//!
//! Made on first use, by whoever comes first. A newer format is refused.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::connect::Problem;
use crate::state::StateError;

/// The version of the tables' format.
const FORMAT: u32 = 1;

/// Makes sure that the tables are there, and of a format that this program knows. `schema` is quoted.
pub(super) async fn ensure(client: &mut Client, schema: &str, place: &str) -> Result<(), Problem> {
    let found = match client.query_opt(&format!("SELECT version FROM {schema}.format"), &[]).await {
        Ok(row) => row.map(|row| row.get::<_, i32>(0)),
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => None,
        Err(error) => return Err(error.into()),
    };
    let found = match found {
        Some(found) => found,
        None => create(client, schema).await?,
    };
    let found = u32::try_from(found).unwrap_or(0);
    if found > FORMAT || found == 0 {
        return Err(StateError::Newer { place: place.to_owned(), found, known: FORMAT }.into());
    }
    Ok(())
}

/// Makes the tables; answers the version that is there now, made by us or by somebody at the same time.
async fn create(client: &mut Client, schema: &str) -> Result<i32, Problem> {
    let transaction = client.transaction().await?;
    // `CREATE … IF NOT EXISTS` fails where two do it at once.
    transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7))", &[&schema]).await?;
    let there = transaction
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_namespace WHERE quote_ident(nspname) = $1 OR '\"' || nspname || '\"' = $1)",
            &[&schema],
        )
        .await?;
    // Not asked for where it is there: a role may use a schema that somebody else has made for it.
    if !there.get::<_, bool>(0) {
        transaction.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    transaction
        .batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS {schema}.format (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
             CREATE TABLE IF NOT EXISTS {schema}.lease (
                 environment text PRIMARY KEY, token bigint NOT NULL, id text, holder text, heartbeat timestamptz, expires timestamptz);
             CREATE TABLE IF NOT EXISTS {schema}.lockfile (
                 environment text PRIMARY KEY, serial bigint NOT NULL, lineage text NOT NULL, content bytea NOT NULL);
             CREATE TABLE IF NOT EXISTS {schema}.kept (digest text PRIMARY KEY, content bytea NOT NULL);
             CREATE TABLE IF NOT EXISTS {schema}.run (id text COLLATE \"C\" PRIMARY KEY, record text NOT NULL);
             CREATE TABLE IF NOT EXISTS {schema}.chunk (
                 run text NOT NULL, number bigint NOT NULL, content bytea NOT NULL, PRIMARY KEY (run, number));
             CREATE TABLE IF NOT EXISTS {schema}.file (
                 run text NOT NULL, name text NOT NULL, content bytea NOT NULL, PRIMARY KEY (run, name));"
        ))
        .await?;
    let insert = format!(
        "INSERT INTO {schema}.format (version) VALUES ({FORMAT}) ON CONFLICT (one) DO UPDATE SET one = true RETURNING version"
    );
    let version = transaction.query_one(&insert, &[]).await?.get(0);
    transaction.commit().await?;
    Ok(version)
}
