//! How a person stops a run.

use tokio_util::sync::CancellationToken;

/// Stops a run: gracefully, or at once. Clones control the same run.
#[derive(Debug, Clone, Default)]
pub struct Control {
    stop: CancellationToken,
    terminate: CancellationToken,
}

impl Control {
    /// Nothing asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finishes what runs and begins nothing new.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Cancels what runs, and halts.
    pub fn terminate(&self) {
        self.stop.cancel();
        self.terminate.cancel();
    }

    /// Whether to begin nothing new.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Whether to cancel what runs.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.terminate.is_cancelled()
    }

    /// Resolves when asked to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Resolves when asked to stop at once.
    pub async fn terminated(&self) {
        self.terminate.cancelled().await;
    }

    /// A control that this one also controls, and that can be stopped without stopping this one.
    pub(super) fn below(&self) -> Self {
        Self { stop: self.stop.child_token(), terminate: self.terminate.child_token() }
    }

    /// Cancelled when asked to stop at once: for drivers.
    pub(super) fn token(&self) -> CancellationToken {
        self.terminate.child_token()
    }
}
