//! SIGTERM and Ctrl-C: the first asks everything to end cleanly, the second ends it.

use std::{process, sync::mpsc, thread};

use anyhow::Context;
use datalake_core::report::RunOutcome;
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or Ctrl-C cancels. The second ends the process at once: whatever is left half done, the next run
/// repairs.
///
/// Signals have a thread of their own: file calls that do not return may block all others.
pub(crate) fn cancelled_by_signals() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let (listening, listens) = mpsc::channel();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || match end_by_signals(&cancel, &listening) {
            Ok(()) => process::exit(i32::from(RunOutcome::Stopped.exit_status())),
            Err(error) => {
                // The caller waits for this, or is gone.
                let _received = listening.send(Err(error));
            }
        })?;
    listens.recv().context("the thread for signals ended")??;
    Ok(token)
}

/// Cancels with the first signal, and returns with the second.
fn end_by_signals(cancel: &CancellationToken, listening: &mpsc::Sender<anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        listening.send(Ok(()))?;
        signals.next().await;
        cancel.cancel();
        signals.next().await;
        Ok(())
    })
}

struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn new() -> anyhow::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody can ask; then nobody does.
            std::future::pending::<()>().await;
        }
    }
}
