//! Journals and files of runs as rows, fenced like everything else.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{PostgresStore, lease, signed, unsigned};
use crate::model::name::RunId;
use crate::state::{Lease, RunFiles, StateError};

#[async_trait]
impl RunFiles for PostgresStore {
    async fn append(&self, run: &RunId, number: u64, chunk: &[u8], lease: &Lease) -> Result<(), StateError> {
        let schema = &self.schema;
        self.with("written", async |client| {
            let transaction = client.transaction().await?;
            lease::fenced(&transaction, schema, lease).await?;
            let sql = format!(
                "INSERT INTO {schema}.chunk (run, number, content)
                 SELECT $1::text, $2::bigint, $3::bytea
                 WHERE $2 = 1 OR EXISTS (SELECT FROM {schema}.chunk WHERE run = $1 AND number = $2 - 1)
                 ON CONFLICT DO NOTHING"
            );
            let (id, number) = (run.as_str(), signed(number));
            if transaction.execute(&sql, &[&id, &number, &chunk]).await? == 1 {
                return Ok(transaction.commit().await?);
            }
            let there = format!("SELECT content FROM {schema}.chunk WHERE run = $1 AND number = $2");
            let there = transaction.query_opt(&there, &[&id, &number]).await?.map(|row| row.get::<_, Vec<u8>>(0));
            if there.as_deref() == Some(chunk) {
                return Ok(());
            }
            Err(moved(run, number, there.is_some(), lease).into())
        })
        .await
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<Vec<u8>>, StateError> {
        let sql = format!("SELECT number, content FROM {}.chunk WHERE run = $1 ORDER BY number", self.schema);
        let rows = self.with("read", async |client| Ok(client.query(&sql, &[&run.as_str()]).await?)).await?;
        let chunk = |(expected, row): (u64, Row)| {
            let found = unsigned(row.get(0));
            if found == expected {
                Ok(row.get(1))
            } else {
                Err(self.corrupt(&format!("the journal of run {run}"), &format!("chunk {expected} is missing")))
            }
        };
        (1..).zip(rows).map(chunk).collect()
    }

    async fn put_file(&self, run: &RunId, name: &str, content: &[u8], lease: &Lease) -> Result<(), StateError> {
        let schema = &self.schema;
        self.with("written", async |client| {
            let transaction = client.transaction().await?;
            lease::fenced(&transaction, schema, lease).await?;
            let sql = format!(
                "INSERT INTO {schema}.file (run, name, content) VALUES ($1, $2, $3)
                 ON CONFLICT (run, name) DO UPDATE SET content = $3"
            );
            transaction.execute(&sql, &[&run.as_str(), &name, &content]).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn file_names(&self, run: &RunId) -> Result<Vec<String>, StateError> {
        let sql = format!("SELECT name FROM {}.file WHERE run = $1 ORDER BY name COLLATE \"C\"", self.schema);
        let rows = self.with("read", async |client| Ok(client.query(&sql, &[&run.as_str()]).await?)).await?;
        Ok(rows.into_iter().map(|row| row.get(0)).collect())
    }

    async fn file(&self, run: &RunId, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let sql = format!("SELECT content FROM {}.file WHERE run = $1 AND name = $2", self.schema);
        let row = self.with("read", async |client| Ok(client.query_opt(&sql, &[&run.as_str(), &name]).await?)).await?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn weight(&self, run: &RunId) -> Result<u64, StateError> {
        let sum = |table: &str| {
            format!("(SELECT coalesce(sum(octet_length(content)), 0)::bigint FROM {}.{table} WHERE run = $1)", self.schema)
        };
        let sql = format!("SELECT {} + {}", sum("chunk"), sum("file"));
        let row = self.with("read", async |client| Ok(client.query_one(&sql, &[&run.as_str()]).await?)).await?;
        Ok(unsigned(row.get(0)))
    }

    async fn forget(&self, run: &RunId, lease: &Lease) -> Result<(), StateError> {
        let schema = &self.schema;
        self.with("written", async |client| {
            let transaction = client.transaction().await?;
            lease::fenced(&transaction, schema, lease).await?;
            for table in ["chunk", "file"] {
                transaction.execute(&format!("DELETE FROM {schema}.{table} WHERE run = $1"), &[&run.as_str()]).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }
}

fn moved(run: &RunId, number: i64, is_taken: bool, lease: &Lease) -> StateError {
    let what = if is_taken {
        format!("another process has written chunk {number} of the journal of run {run}")
    } else {
        format!("chunk {number} of the journal of run {run} does not follow what is there")
    };
    StateError::Moved { environment: lease.environment.clone(), what }
}
