//! Leases as rows: the row's lock decides between two who come at once, the server's clock when one is over.

use tokio_postgres::{Row, Transaction};

use super::connect::Problem;
use super::{PostgresStore, signed, unsigned};
use crate::model::name::EnvironmentName;
use crate::state::{Holder, Lease, StateError, process};

/// The time as text that jiff reads.
const HEARTBEAT: &str = r#"to_char(heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

/// Looks, inside of a write's transaction, whether a lease is still the newest. The row stays locked until the write is done, so that
/// nobody takes the environment in between.
pub(super) async fn fenced(transaction: &Transaction<'_>, schema: &str, lease: &Lease) -> Result<(), Problem> {
    let sql = format!("SELECT FROM {schema}.lease WHERE environment = $1 AND token = $2 AND id = $3 FOR SHARE");
    let (environment, token) = (lease.environment.as_str(), signed(lease.token));
    match transaction.query_opt(&sql, &[&environment, &token, &lease.holder.id]).await? {
        Some(_) => Ok(()),
        None => Err(StateError::Fenced(lease.environment.clone()).into()),
    }
}

impl PostgresStore {
    pub(super) async fn acquire_lease(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError> {
        let schema = &self.schema;
        let text = serde_json::to_string(holder).map_err(|error| self.corrupt("the holder", &error))?;
        let name = environment.as_str();
        let term = self.term.as_secs_f64();
        self.with("locked", async |client| {
            let transaction = client.transaction().await?;
            let first = format!("INSERT INTO {schema}.lease (environment, token) VALUES ($1, 0) ON CONFLICT DO NOTHING");
            transaction.execute(&first, &[&name]).await?;
            let there = format!(
                "SELECT token, holder, {HEARTBEAT}, coalesce(expires > clock_timestamp(), false)
                 FROM {schema}.lease WHERE environment = $1 FOR UPDATE"
            );
            let row = transaction.query_one(&there, &[&name]).await?;
            let token = unsigned(row.get(0));
            if let Some(there) = self.holder_of(&row)? {
                // Our own: the answer to an earlier try was lost.
                if there.id == holder.id {
                    return Ok(Lease { environment: environment.clone(), holder: holder.clone(), token });
                }
                if row.get::<_, bool>(3) && !process::is_gone(&there) {
                    return Err(StateError::Held { environment: environment.clone(), holder: Box::new(there) }.into());
                }
            }
            let sql = format!(
                "UPDATE {schema}.lease SET token = $2, id = $3, holder = $4,
                     heartbeat = clock_timestamp(), expires = clock_timestamp() + make_interval(secs => $5)
                 WHERE environment = $1"
            );
            transaction.execute(&sql, &[&name, &signed(token + 1), &holder.id, &text, &term]).await?;
            transaction.commit().await?;
            Ok(Lease { environment: environment.clone(), holder: holder.clone(), token: token + 1 })
        })
        .await
    }

    pub(super) async fn renew_lease(&self, lease: &Lease) -> Result<(), StateError> {
        let sql = format!(
            "UPDATE {}.lease SET heartbeat = clock_timestamp(), expires = clock_timestamp() + make_interval(secs => $4)
             WHERE environment = $1 AND token = $2 AND id = $3",
            self.schema
        );
        let (environment, token, term) = (lease.environment.as_str(), signed(lease.token), self.term.as_secs_f64());
        let renewed = self
            .with("locked", async |client| Ok(client.execute(&sql, &[&environment, &token, &lease.holder.id, &term]).await?))
            .await?;
        if renewed == 1 { Ok(()) } else { Err(StateError::Fenced(lease.environment.clone())) }
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        let sql = format!(
            "UPDATE {}.lease SET id = NULL, holder = NULL, heartbeat = NULL, expires = NULL
             WHERE environment = $1 AND token = $2 AND id = $3",
            self.schema
        );
        let (environment, token) = (lease.environment.as_str(), signed(lease.token));
        self.with("locked", async |client| Ok(client.execute(&sql, &[&environment, &token, &lease.holder.id]).await?))
            .await
            .map(drop)
    }

    pub(super) async fn lease_holder(&self, environment: &EnvironmentName) -> Result<Option<Holder>, StateError> {
        let sql = format!("SELECT token, holder, {HEARTBEAT} FROM {}.lease WHERE environment = $1", self.schema);
        let row = self.with("read", async |client| Ok(client.query_opt(&sql, &[&environment.as_str()]).await?)).await?;
        Ok(row.map(|row| self.holder_of(&row)).transpose()?.flatten())
    }

    pub(super) async fn break_lease_of(&self, environment: &EnvironmentName, holder: &Holder) -> Result<(), StateError> {
        let schema = &self.schema;
        let name = environment.as_str();
        self.with("locked", async |client| {
            let transaction = client.transaction().await?;
            let there = format!("SELECT token, holder, {HEARTBEAT} FROM {schema}.lease WHERE environment = $1 FOR UPDATE");
            let Some(row) = transaction.query_opt(&there, &[&name]).await? else { return Ok(()) };
            match self.holder_of(&row)? {
                None => Ok(()),
                Some(there) if there.id != holder.id => {
                    let what = format!("{} holds it by now", there.who);
                    Err(StateError::Moved { environment: environment.clone(), what }.into())
                }
                Some(_) => {
                    // The token grows, so that the one who lost it is fenced even if nobody has taken it since.
                    let sql = format!(
                        "UPDATE {schema}.lease SET token = token + 1, id = NULL, holder = NULL, heartbeat = NULL, expires = NULL
                         WHERE environment = $1"
                    );
                    transaction.execute(&sql, &[&name]).await?;
                    Ok(transaction.commit().await?)
                }
            }
        })
        .await
    }

    /// The holder of a row `token, holder, heartbeat`; its last sign of life is by the server's clock.
    fn holder_of(&self, row: &Row) -> Result<Option<Holder>, StateError> {
        let Some(text) = row.get::<_, Option<String>>(1) else { return Ok(None) };
        let mut holder: Holder = serde_json::from_str(&text).map_err(|error| self.corrupt("the lease", &error))?;
        if let Some(heartbeat) = row.get::<_, Option<String>>(2).and_then(|text| text.parse().ok()) {
            holder.heartbeat = heartbeat;
        }
        Ok(Some(holder))
    }
}
