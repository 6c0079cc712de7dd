//! Keeps the right to write while a run lasts, and tells at once when it is lost.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::clock::{Clock, between};
use crate::model::name::EnvironmentName;
use crate::state::{Lease, StateError, Store};

/// A lease was lost.
#[derive(Debug)]
pub(super) struct Lost {
    pub environment: EnvironmentName,
    pub why: String,
}

/// Renews a lease every third of its term until it is lost. A store that cannot be reached for a whole term counts as lost: another
/// may hold the environment by then.
pub(super) async fn renew(store: Arc<dyn Store>, clock: Arc<dyn Clock>, lease: Lease, tell: UnboundedSender<Lost>) {
    let mut renewed = clock.now();
    let term = store.term();
    let mut pause = term / 3;
    loop {
        clock.sleep(pause).await;
        let why = match store.renew(&lease).await {
            Ok(()) => {
                renewed = clock.now();
                pause = term / 3;
                continue;
            }
            Err(error @ (StateError::Fenced(_) | StateError::Held { .. } | StateError::Moved { .. })) => error.to_string(),
            Err(error) if between(renewed, clock.now()) >= term => format!("it could not be renewed in time: {error}"),
            Err(_) => {
                pause = term / 12;
                continue;
            }
        };
        let _ = tell.send(Lost { environment: lease.environment.clone(), why });
        return;
    }
}
