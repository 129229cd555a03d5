//! The plan of a dry run, as JSON or as text for a terminal.

use std::fmt::Write;

use datalake_core::{
    count::count,
    dataset::{Dataset, FileColumn},
    text::{counted, grouped},
};
use datalake_processor::dry_run::{DeclarationEffect, DryRun, PlannedAction, PlannedStep, RowCounts};
use serde_json::{Value, json};

use super::run_report::reject_text;
use crate::args::OutputFormat;

/// The rejects that fit on a screen.
const REJECTS_MAX: usize = 10;

/// The plan of a dry run. `lake` are the arguments that select the lake.
pub(super) fn render_plan(plan: &DryRun, format: OutputFormat, lake: &str) -> String {
    match format {
        OutputFormat::Json => format!("{}\n", document(plan)),
        OutputFormat::Table => text(plan, lake),
    }
}

fn document(plan: &DryRun) -> Value {
    let action = |action: Option<PlannedAction>| action.map(PlannedAction::as_str);
    let files = plan.dataset.files();
    let step = |step: &PlannedStep| {
        let image = step.files.first().copied().flatten();
        let mut document = json!({ "user_id": step.row_id.to_string(), "csv": action(step.csv), "image": action(image) });
        // `image` is the first of several files.
        if files.len() > 1 {
            let actions = files.iter().zip(&step.files);
            document["files"] = actions.map(|(file, step)| (file.name.as_str(), action(*step))).collect();
        }
        document
    };
    let ignored: Vec<_> = plan.ignored.iter().map(|(key, code)| json!({ "key": key, "code": code })).collect();
    let mut document = json!({
        "version": plan.version,
        "listed": plan.listed,
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "ignored": ignored,
        "blocked_by": plan.blocked_by.as_ref().map(|guard| guard.message_for(&plan.dataset.rows_in_sentence())),
    });
    if let Some(effect) = &plan.effect {
        let rows = effect
            .rows
            .map(|RowCounts { kept, added, removed }| json!({ "kept": kept, "added": added, "removed": removed }));
        // Standard output often becomes a log, and the causes contain values of the sources.
        let rejects: Vec<_> = effect
            .rejects
            .iter()
            .map(|reject| json!({ "key": reject.key, "code": reject.code }))
            .collect();
        document["effect"] = json!({ "read": effect.read, "rows": rows, "rejected": effect.rejected, "rejects": rejects });
    }
    document
}

fn text(plan: &DryRun, lake: &str) -> String {
    let mut lines = Vec::new();
    match &plan.effect {
        None => lines.extend(plan.steps.iter().map(|step| step_line(step, &plan.dataset))),
        Some(effect) => lines.extend(effect_lines(plan.version, effect)),
    }
    lines.extend(plan.ignored.iter().map(|(key, code)| format!("{key:?}  ignored: {code}")));
    let unchecked = if plan.effect.is_none() {
        "contents are not checked, and "
    } else {
        ""
    };
    lines.push(format!(
        "{} listed, {} to process, {} ignored; {unchecked}nothing was changed",
        counted(plan.listed, "object", "objects"),
        counted(count(plan.steps.len()), "row", "rows"),
        counted(count(plan.ignored.len()), "object", "objects")
    ));
    if let Some(guard) = &plan.blocked_by {
        let rows = plan.dataset.rows_in_sentence();
        lines.push(format!(
            "a guard would block the run: {}; {}",
            guard.cause_for(&rows),
            guard.remedy_for(&rows)
        ));
        if guard.is_about_deletions() {
            lines.push(format!("to allow it: datalake process {lake} --allow-mass-delete"));
        }
    }
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    }
    text
}

fn step_line(step: &PlannedStep, dataset: &Dataset) -> String {
    let csv = step.csv.map(|action| format!("{} CSV", action.as_str()));
    let file = |(file, action): (&FileColumn, &Option<PlannedAction>)| action.map(|action| format!("{} {}", action.as_str(), file.name));
    let files = dataset.files().iter().zip(&step.files).filter_map(file);
    let steps = csv.into_iter().chain(files).collect::<Vec<_>>().join(", ");
    format!("{}  {steps}", step.row_id)
}

fn effect_lines(version: Option<u64>, effect: &DeclarationEffect) -> Vec<String> {
    let cause = match version {
        Some(version) => format!("the declaration differs from that of version {version}"),
        None => "there is no table yet".to_owned(),
    };
    let mut lines = vec![format!("{cause}; read {}", counted(effect.read, "object", "objects"))];
    if let Some(RowCounts { kept, added, removed }) = effect.rows {
        lines.push(format!(
            "rows      {} kept, {} added, {} removed",
            grouped(kept),
            grouped(added),
            grouped(removed)
        ));
    }
    lines.push(format!("rejected  {}", grouped(effect.rejected)));
    let shown = effect.rejects.iter().take(REJECTS_MAX);
    lines.extend(shown.map(|reject| format!("  {}", reject_text(reject))));
    let more = effect.rejected.saturating_sub(count(effect.rejects.len().min(REJECTS_MAX)));
    lines.extend((more > 0).then(|| format!("  and {} more", grouped(more))));
    lines
}
