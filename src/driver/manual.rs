//! `manual`: what a person must do.
//!
//! Gives the instructions as a failure of kind *waiting* until somebody confirms: `windlass confirm` writes the confirmation into the
//! call's folder, and the next attempt takes it.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::host::local::private_dir;
use super::host::{Attributes, local_file};
use super::{Args, Context, Driver, Failure, FailureKind};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Manual;

const SCHEMA: DriverSchema = DriverSchema {
    name: "manual",
    summary: "Stops the run until a person has done something and confirmed it.",
    args: &[
        ArgSchema {
            name: "instructions",
            ty: "string",
            required: true,
            summary: "What to do, step by step, and how to see that it is done.",
        },
        ArgSchema { name: "url", ty: "string", required: false, summary: "Where it is described." },
    ],
    results: &[
        ResultSchema { name: "confirmed_by", ty: "string", summary: "Who confirmed it." },
        ResultSchema { name: "confirmed_at", ty: "string", summary: "When (RFC 3339)." },
        ResultSchema { name: "note", ty: "string", summary: "What they said; null where nothing." },
    ],
    observes: false,
};

/// What `windlass confirm` leaves in the call's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they want to be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Confirmation {
    /// Its name there.
    pub const FILE: &str = "confirmed.json";

    /// Leaves it in a call's folder, durably.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = private_dir(dir)?.join(Self::FILE);
        let bytes =
            serde_json::to_vec(self).map_err(|error| Failure::new(FailureKind::Failed, format!("cannot confirm: {error}")))?;
        local_file::write(&path, &mut bytes.as_slice(), &Attributes { mode: Some(0o600), owner: None })
    }

    /// The one in a call's folder.
    ///
    /// # Errors
    /// There is one that cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(Self::FILE);
        let Some(content) = local_file::read(&path, 1 << 20)? else { return Ok(None) };
        serde_json::from_slice(&content.bytes).map(Some).map_err(|error| {
            Failure::new(FailureKind::Failed, format!("the confirmation `{}` cannot be understood: {error}", path.display()))
                .help("remove it and confirm again")
        })
    }
}

#[async_trait]
impl Driver for Manual {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn asks_a_person(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("manual", args);
        let instructions = ctx.redact.apply(args.needed_text("instructions")?.trim()).into_owned();
        let url = args.text("url")?;
        let Some(dir) = &ctx.dir else {
            return Err(args.invalid("a person cannot be asked for a fact or check"));
        };
        match Confirmation::read(dir)? {
            Some(Confirmation { by, at, note }) => {
                Ok(Value::object([("confirmed_by", by.into()), ("confirmed_at", at.to_string().into()), ("note", note.into())]))
            }
            None => {
                // Where the answer will be put must be there when it is asked for.
                private_dir(dir)?;
                let detail = Value::object([("instructions", Value::string(&instructions)), ("url", url.clone().into())]);
                let failure = Failure::new(FailureKind::Waiting, instructions).detail(detail);
                let help = "do this, then run `windlass confirm`, then `windlass resume`";
                Err(failure.help(url.map_or_else(|| help.to_owned(), |url| format!("{help}; see {url}"))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::testing::{applying, args, observing};

    #[tokio::test]
    async fn a_person_is_waited_for_and_remembered() {
        let run = tempfile::tempdir().unwrap();
        let dir = run.path().join("1");
        let (ctx, object) = (applying(&dir), args(json!({"instructions": "Turn the key.\n"})));
        let error = Manual.run(&object, &ctx).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (FailureKind::Waiting, "Turn the key."));
        assert!(dir.is_dir(), "there is no place for the answer");
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        Confirmation { by: "ann".to_owned(), at, note: None }.write(&dir).unwrap();
        let result = Manual.run(&object, &ctx).await.unwrap();
        assert_eq!(result.get("confirmed_by").unwrap().as_str(), Some("ann"));
        assert_eq!(result.get("confirmed_at").unwrap().as_str(), Some("2026-01-02T03:04:05Z"));
    }

    #[tokio::test]
    async fn a_confirmation_that_cannot_be_read_confirms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("confirmed.json"), "{}").unwrap();
        let object = args(json!({"instructions": "x"}));
        assert_eq!(Manual.run(&object, &applying(dir.path())).await.unwrap_err().kind, FailureKind::Failed);
        assert_eq!(Manual.run(&object, &observing()).await.unwrap_err().kind, FailureKind::Invalid);
    }
}
