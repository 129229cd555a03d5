//! SIGTERM and Ctrl-C: the first signal requests a clean end, the second ends the process.

use std::{process, sync::mpsc, thread};

use anyhow::Context;
use datalake_core::run::RunOutcome;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or Ctrl-C cancels. The second one ends the process at once; the next run repairs what is incomplete.
///
/// Signals have a separate thread, because file operations that never return can block all others.
pub(crate) fn cancelled_by_signals() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let (ready_sender, ready) = mpsc::channel();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || match wait_for_two_signals(&cancel, &ready_sender) {
            Ok(()) => process::exit(i32::from(RunOutcome::Stopped.exit_status())),
            Err(error) => {
                // Fails only if the caller no longer waits.
                let _sent = ready_sender.send(Err(error));
            }
        })?;
    ready.recv().context("the thread for signals ended")??;
    Ok(token)
}

/// Reports that signals are handled, cancels at the first signal, and returns at the second.
fn wait_for_two_signals(cancel: &CancellationToken, ready: &mpsc::Sender<anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        ready.send(Ok(()))?;
        next(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping; a second signal ends the process at once");
        cancel.cancel();
        next(&mut terminate, &mut interrupt).await;
        Ok(())
    })
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
