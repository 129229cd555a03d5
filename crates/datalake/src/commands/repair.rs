//! `datalake repair`

use std::io::{self, BufRead, IsTerminal, Write};

use datalake_core::{plan::DeletionGuard, run::RunMode};
use datalake_processor::{
    options::{Lake, RunOptions},
    repair::{self, Condition},
};

use super::run_report::{dataset_of, render_report};
use crate::{
    args::{self, RepairArgs},
    clock, dataset_file,
    exit::{self, UsageError},
    lake_arguments::{arguments, with_complete_commands},
    progress::Bar,
    signals,
};

/// What the operator needs to know before the log is removed.
const WARNING: &str = "The repair removes the table's log and reads all sources. It loses the history (earlier versions, and the change feed between \
                    them), and the last valid rows of users whose sources are rejected. Sources are not changed.\n\
                    Stop all runs first: suspend the CronJob (kubectl patch cronjob/datalake-processor -p '{\"spec\":{\"suspend\":true}}'), delete its \
                    active Jobs, send no POST /data, and stop `datalake up`.";

/// Rebuilds the table from the sources if its log cannot be loaded.
pub(crate) async fn repair(args: RepairArgs) -> anyhow::Result<u8> {
    let lake = super::open(&args.lake).await?;
    match repair::examine(&lake).await? {
        Condition::Missing => {
            let text = "There is no table. Run `datalake process` to create it.\n";
            return super::print(with_complete_commands(text, &arguments(&args.lake)).as_bytes()).map(|()| 0);
        }
        Condition::Loadable { version, rows } => {
            let text = format!(
                "The table can be loaded (version {version}, {rows} rows). Nothing to repair: runs replace lost files automatically.\n"
            );
            return super::print(text.as_bytes()).map(|()| 0);
        }
        Condition::Damaged(error) => {
            let mut stderr = io::stderr().lock();
            // A closed standard error must not stop the repair.
            let _unread = writeln!(stderr, "{}\n{WARNING}", exit::message(&error.into()));
        }
    }
    if !args.yes && !is_confirmed()? {
        return Err(UsageError(
            "the repair was not confirmed, so nothing was changed; pass --yes to rebuild without confirmation".to_owned(),
        )
        .into());
    }
    rebuild(&lake, &args).await
}

fn is_confirmed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "Rebuild the table? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn rebuild(lake: &Lake, args: &RepairArgs) -> anyhow::Result<u8> {
    let url = &args.lake.lake;
    let bar = Bar::waiting(&format!("connecting to {url}"));
    let options = RunOptions {
        mode: RunMode::Full,
        deletion_guard: DeletionGuard::On,
        reject_ratio_max: args.policy.max_reject_ratio,
        dataset: dataset_file::dataset(args.policy.dataset.as_deref())?,
        writers: args.policy.writers(),
        progress: bar.listener(),
        cancel: signals::cancelled_by_signals()?,
        ..RunOptions::new(args::new_run_id(clock::now()), clock::now)
    };
    let report = repair::rebuild(lake, &options).await?;
    bar.clear();
    let dataset = dataset_of(&report, args.output, lake, options.dataset.as_ref()).await;
    super::print(render_report(&report, args.output, &args.lake, &dataset)?.as_bytes())?;
    Ok(report.outcome.exit_status())
}
