//! Checks of a lake and its store: permissions, conditional writes, consistency, clock, table and drift.
//!
//! Each check has a result and, unless it passed, a remedy. Everything that the checks write is below one prefix ([`datalake_core::keys::PROBES`]),
//! which they remove.

mod check;
mod consistency;
mod lake_state;
mod permissions;
mod probe;
mod races;

use futures_util::{FutureExt, future::LocalBoxFuture};

pub use self::check::{Check, CheckResult};
use self::{check::Checks, probe::Probe};
use crate::options::{Lake, RunOptions};

/// Receives the name of the check that starts.
pub type OnCheck<'a> = dyn Fn(&'static str) + Send + Sync + 'a;

/// The checks that need objects that can be written and read.
const OF_WRITES: [&str; 6] = [
    "create if absent",
    "replace if match",
    "read after write",
    "listing order",
    "copy",
    "clock",
];

/// Checks the lake. None if the options cancel the checks. In both cases, the objects that the checks wrote are removed. The future is
/// boxed, so that this crate compiles its code.
pub fn examine<'a>(lake: &'a Lake, options: &'a RunOptions, on_check: &'a OnCheck<'a>) -> LocalBoxFuture<'a, Option<Vec<Check>>> {
    examine_or_cancel(lake, options, on_check).boxed_local()
}

async fn examine_or_cancel(lake: &Lake, options: &RunOptions, on_check: &OnCheck<'_>) -> Option<Vec<Check>> {
    let probe = Probe::new(lake.bucket.as_ref(), options.dataset.as_ref());
    let mut checks = Checks::new(on_check);
    let is_complete = tokio::select! {
        biased;
        () = options.cancel.cancelled() => false,
        () = examine_all(lake, options, &probe, &mut checks) => true,
    };
    if !is_complete {
        // The next check removes what this one could not.
        let _store_may_be_down = probe.remove().await;
    }
    is_complete.then(|| checks.into_list())
}

async fn examine_all(lake: &Lake, options: &RunOptions, probe: &Probe<'_>, checks: &mut Checks<'_>) {
    if checks.run("list", permissions::list(probe)).await == CheckResult::Failed && checks.is_transient() {
        let after_list = ["write", "read"].into_iter().chain(OF_WRITES).chain(["delete", "table", "drift"]);
        checks.skip_all(after_list, "the store cannot be reached");
        return;
    }
    let lists = checks.last() == CheckResult::Ok;
    let writes = checks.run("write", permissions::write(probe)).await == CheckResult::Ok;
    let reads = checks.run("read", permissions::read(probe)).await == CheckResult::Ok;
    if writes && reads {
        checks
            .run("create if absent", races::create_if_absent(probe, options.writers))
            .await;
        checks
            .run("replace if match", races::replace_if_match(probe, options.writers))
            .await;
        checks.run("read after write", consistency::read_after_write(probe)).await;
        checks.run("listing order", consistency::listing_order(probe)).await;
        checks.run("copy", consistency::copy(probe)).await;
        checks.run("clock", consistency::clock(probe, options.clock)).await;
    } else {
        checks.skip_all(OF_WRITES, "objects cannot be written and read");
    }
    if writes {
        checks.run("delete", permissions::delete(probe)).await;
    } else {
        checks.skip_all(["delete"], "objects cannot be written");
    }
    if !reads {
        checks.skip_all(["table", "drift"], "objects cannot be read");
        return;
    }
    let mut has_declaration = true;
    if let Some(declaration) = lake_state::declaration(lake, options).await {
        has_declaration = checks.run("declaration", async { declaration }).await == CheckResult::Ok;
    }
    let has_table = checks.run("table", lake_state::table(lake, options.clock)).await == CheckResult::Ok;
    if !has_table {
        checks.skip_all(["drift"], "there is no table that can be read");
    } else if !has_declaration {
        checks.skip_all(["drift"], "the declaration cannot be used");
    } else if !lists {
        checks.skip_all(["drift"], "objects cannot be listed");
    } else {
        checks.run("drift", lake_state::drift(lake, options)).await;
    }
}
