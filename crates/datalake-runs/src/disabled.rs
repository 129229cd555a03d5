//! The launcher of a server that does not start runs.

use async_trait::async_trait;
use datalake_core::run::RunId;
use tokio::sync::watch;

use crate::{
    launcher::{LaunchError, Launched, RunLauncher, RunRequest},
    run::Run,
};

/// Rejects every request for a run.
#[derive(Debug)]
pub struct DisabledLauncher {
    changes: watch::Sender<()>,
}

impl DisabledLauncher {
    /// Creates the launcher.
    pub fn new() -> Self {
        Self {
            changes: watch::Sender::new(()),
        }
    }
}

impl Default for DisabledLauncher {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RunLauncher for DisabledLauncher {
    async fn launch(&self, _: RunRequest) -> Result<Launched, LaunchError> {
        Err(LaunchError::Disabled)
    }

    async fn runs(&self) -> Vec<Run> {
        Vec::new()
    }

    async fn stop(&self, _: &RunId) -> Result<(), LaunchError> {
        Err(LaunchError::Disabled)
    }

    fn starts_runs(&self) -> bool {
        false
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}
