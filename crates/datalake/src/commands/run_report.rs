//! The report of a run, as JSON or as a table for a terminal.

use std::sync::Arc;

use datalake_core::{
    count::count,
    dataset::Dataset,
    reject::Notice,
    run::{RejectDetail, RunOutcome, RunReport, SourceNotice},
    text::{counted, grouped},
};
use datalake_processor::options::Lake;
use datalake_table::declaration;

use crate::{
    args::{LakeArgs, OutputFormat},
    documentation,
    lake_arguments::{arguments, with_complete_commands},
    screen::{Cell, Screen, Tone},
    table::fields,
    time_format,
};

/// The sources or users of a list that fit on a screen. The report contains a hundred.
const LISTED_MAX: usize = 10;

/// The dataset whose words the table of a run has: the given one, or that of the lake. The users if the table names no rows.
pub(super) async fn dataset_of(report: &RunReport, format: OutputFormat, lake: &Lake, given: Option<&Arc<Dataset>>) -> Arc<Dataset> {
    let names_rows = format == OutputFormat::Table && matches!(report.outcome, RunOutcome::Succeeded | RunOutcome::Blocked);
    match given {
        Some(given) => Arc::clone(given),
        None if names_rows => {
            let stored = declaration::read(lake.bucket.as_ref()).await;
            stored.ok().flatten().map_or_else(Dataset::shared_users, Arc::new)
        }
        None => Dataset::shared_users(),
    }
}

/// The report of a run on this lake. `dataset` is that of its sources.
pub(super) fn render_report(report: &RunReport, format: OutputFormat, lake: &LakeArgs, dataset: &Dataset) -> anyhow::Result<String> {
    match format {
        // Standard output often becomes a log, and the details contain values of the sources.
        OutputFormat::Json => Ok(serde_json::to_string(&RunReport {
            reject_details: Vec::new(),
            ..report.clone()
        })? + "\n"),
        OutputFormat::Table => {
            let title = dataset.rows_in_sentence();
            Ok(fields(rows(report, &arguments(lake), dataset, &title), Screen::stdout()))
        }
    }
}

/// The error of a run with complete commands, and the command that allows the removals that a guard blocked.
pub(super) fn error_with_commands(report: &RunReport, lake: &LakeArgs) -> Option<String> {
    let lake = arguments(lake);
    let error = with_complete_commands(report.error.as_deref()?, &lake);
    Some(match allowing_command(report, &lake) {
        Some(command) => format!("{error}; to allow exactly these removals: {command}"),
        None => error,
    })
}

/// The rows of the table. `lake` are the arguments that select the lake; `title` names the rows of the dataset.
fn rows<'t>(report: &RunReport, lake: &str, dataset: &Dataset, title: &'t str) -> Vec<(&'t str, Cell)> {
    let outcome = report.outcome.as_str();
    let mut rows = vec![
        ("run", report.run_id.to_string().into()),
        ("outcome", Cell::new(outcome, Tone::of_state(outcome))),
    ];
    match &report.error {
        // The counts of a failed run are incomplete.
        Some(error) => {
            rows.push(("error", Cell::new(&with_complete_commands(error, lake), Tone::Bad)));
            rows.extend(rejects(report));
            rows.extend(blocked_rows(report, lake, dataset.entity()));
            rows.extend(documentation::page_of_outcome(report.outcome).map(|page| ("see", page.into())));
        }
        None => rows.extend(result_rows(report, dataset, title)),
    }
    rows.push(("duration", time_format::duration(report.elapsed_ms).into()));
    if report.outcome == RunOutcome::Succeeded && (report.counts.rejects_open > 0 || report.counts.warnings > 0) {
        let command = match report.counts.rejects_open {
            0 => format!("datalake runs {lake} --id {}", report.run_id),
            _ => format!("datalake rejects {lake}"),
        };
        rows.push(("details", command.into()));
    }
    rows
}

fn result_rows<'t>(report: &RunReport, dataset: &Dataset, title: &'t str) -> Vec<(&'t str, Cell)> {
    let counts = &report.counts;
    let version = match report.version {
        Some(version) => match report.committed {
            Some(true) => format!("{version} (new)"),
            Some(false) => format!("{version} (unchanged)"),
            None => format!("{version} (unknown whether this run committed it)"),
        },
        None => "none".to_owned(),
    };
    let rejected = format!(
        "{}, {} of them newly rejected",
        grouped(counts.rejects_open),
        grouped(counts.rejected_new)
    );
    let rejects_tone = if counts.rejects_open > 0 { Tone::Warning } else { Tone::Plain };
    let mut rows = vec![
        ("version", version.into()),
        (
            "sources",
            format!("{} listed, {} ignored", grouped(counts.listed), grouped(counts.ignored)).into(),
        ),
        ("read", read_counts(report, dataset).into()),
        (
            "rows",
            format!(
                "{} added, {} changed, {} removed",
                grouped(counts.added),
                grouped(counts.changed),
                grouped(counts.removed)
            )
            .into(),
        ),
        (title, grouped(counts.users).into()),
        ("rejected", Cell::new(&rejected, rejects_tone)),
        (
            "normalized",
            format!("{}, {} with a warning", grouped(counts.normalized), grouped(counts.warnings)).into(),
        ),
    ];
    let is_warning = |notice: &&SourceNotice| Notice::parse(&notice.code).is_some_and(|notice| !notice.is_normalized());
    let warnings: Vec<SourceNotice> = report.notices.iter().filter(is_warning).cloned().collect();
    rows.extend(notices("warning", &warnings, counts.warnings));
    rows
}

/// The numbers of the sources and of the files that the run read.
fn read_counts(report: &RunReport, dataset: &Dataset) -> String {
    let counts = &report.counts;
    let csvs = counted(counts.csv_read, "CSV", "CSVs");
    match dataset.files() {
        [] => csvs,
        [file] => format!("{csvs}, {}", counted(counts.images_read, &file.name, &format!("{}s", file.name))),
        _ => format!("{csvs}, {}", counted(counts.images_read, "file", "files")),
    }
}

/// The key of a rejected source, with the line and the column of the cause.
fn place(reject: &RejectDetail) -> String {
    match (reject.line, reject.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", reject.key),
        _ => reject.key.clone(),
    }
}

/// A rejected source with place, cause and remedy.
pub(super) fn reject_text(reject: &RejectDetail) -> String {
    let RejectDetail {
        found, expected, remedy, ..
    } = reject;
    format!("{}: {found}; expected {expected}; {remedy}", place(reject))
}

/// The first sources that the run rejected.
fn rejects(report: &RunReport) -> Vec<(&'static str, Cell)> {
    let shown = report.reject_details.iter().take(LISTED_MAX);
    let mut rows: Vec<_> = shown.map(|reject| ("rejected", reject_text(reject).into())).collect();
    rows.extend(more("rejected", rows.len(), count(report.rejects.len())));
    rows
}

/// The first sources of a list with their codes, and the number of the others.
fn notices(name: &'static str, list: &[SourceNotice], total: u64) -> Vec<(&'static str, Cell)> {
    let shown = list.iter().take(LISTED_MAX);
    let mut rows: Vec<_> = shown
        .map(|notice| (name, format!("{}: {}", notice.key, notice.code).into()))
        .collect();
    rows.extend(more(name, rows.len(), total));
    rows
}

/// The row for the entries of a list that are not shown.
fn more(name: &'static str, shown: usize, total: u64) -> Option<(&'static str, Cell)> {
    let more = total.saturating_sub(count(shown));
    (shown > 0 && more > 0).then(|| (name, Cell::new(&format!("and {} more", grouped(more)), Tone::Faint)))
}

/// The removals that the guard blocked, and how to allow them.
fn blocked_rows(report: &RunReport, lake: &str, entity: &str) -> Vec<(&'static str, Cell)> {
    let Some(blocked) = &report.blocked_deletions else {
        return Vec::new();
    };
    let shown = blocked.users.iter().take(LISTED_MAX);
    let mut rows: Vec<_> = shown
        .map(|user_id| ("blocked", Cell::from(format!("removal of {entity} {user_id}"))))
        .collect();
    rows.extend(more("blocked", rows.len(), blocked.count));
    rows.extend(blocked.folders.iter().map(|folder| ("blocked", folder.to_string().into())));
    rows.extend(allowing_command(report, lake).map(|command| ("to allow", command.into())));
    rows
}

/// The command of a run that may remove what the guard blocked.
fn allowing_command(report: &RunReport, lake: &str) -> Option<String> {
    report.blocked_deletions.as_ref().filter(|blocked| !blocked.is_empty())?;
    Some(format!("datalake process {lake} --allow-mass-delete-of {}", report.run_id))
}
