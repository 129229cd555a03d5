//! `datalake runs`

use datalake_core::run::RunId;

use super::OpenedLake;
use crate::{
    args::read::{DocumentFormat, RunsArgs},
    csv::csv,
    document::Document,
    progress::Bar,
    screen::{Cell, Screen, Tone},
    table::{Column, fields, table},
    time_format,
};

/// Shows runs, or one run with its notices.
pub(in crate::commands) async fn runs(args: RunsArgs) -> anyhow::Result<u8> {
    let bar = Bar::waiting(&format!("reading the runs of {}", args.lake.lake));
    let lake = OpenedLake::open(&args.lake).await?;
    lake.require_reports().await?;
    let received = match &args.id {
        Some(run_id) => lake.document(&path_of(run_id), "").await,
        None => lake.document("/runs", &args.parameters.query_string()).await,
    };
    bar.clear();
    let received = received?;
    if args.id.is_none() {
        return received.print(args.output.output, "runs", |document, _| runs_table(document, Screen::stdout()));
    }
    let text = match args.output.output {
        DocumentFormat::Table => run_table(&received.document, Screen::stdout()),
        DocumentFormat::Json => received.text + "\n",
        DocumentFormat::Csv => csv(&[received.document]),
    };
    crate::commands::print(text.as_bytes())?;
    Ok(0)
}

fn path_of(run_id: &RunId) -> String {
    format!("/runs/{run_id}")
}

fn runs_table(document: &Document, screen: Screen) -> String {
    let rows: Vec<Vec<Cell>> = document.get("runs").list().iter().map(row).collect();
    if rows.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let columns = vec![
        Column::text("RUN"),
        Column::text("STATE"),
        Column::text("STARTED (UTC)"),
        Column::number("DURATION"),
        Column::number("VERSION"),
        Column::number("ADDED"),
        Column::number("CHANGED"),
        Column::number("REMOVED"),
        Column::number("REJECTED"),
        Column::number("NEWLY REJECTED"),
        Column::text("ERROR"),
    ];
    table(columns, &rows, screen)
}

fn row(run: &Document) -> Vec<Cell> {
    let counts = run.get("counts");
    let state = run.get("state").to_string();
    vec![
        run.get("id").to_string().into(),
        Cell::new(&state, Tone::of_state(&state)),
        time(run.get("started_at")),
        duration(run.get("elapsed_ms")),
        run.get("version")
            .number()
            .map_or_else(Cell::missing, |version| version.to_string().into()),
        count(counts, "added"),
        count(counts, "changed"),
        count(counts, "removed"),
        count(counts, "rejects_open"),
        count(counts, "rejected_new"),
        run.get("error").to_string().into(),
    ]
}

/// The run with its notices and rejects, one per line.
fn run_table(run: &Document, screen: Screen) -> String {
    let state = run.get("state").to_string();
    let counts = run.get("counts");
    let mut rows = vec![
        ("run", run.get("id").to_string().into()),
        ("state", Cell::new(&state, Tone::of_state(&state))),
        ("mode", run.get("mode").to_string().into()),
        ("started", time(run.get("started_at"))),
        ("duration", duration(run.get("elapsed_ms"))),
        (
            "version",
            run.get("version")
                .number()
                .map_or_else(|| "none".into(), |version| version.to_string().into()),
        ),
    ];
    if let Some(error) = run.get("error").text() {
        rows.push(("error", Cell::new(error, Tone::Bad)));
    }
    let names = counts.fields().iter().map(|(name, _)| (name.as_str(), count(counts, name)));
    rows.extend(names);
    let mut text = fields(rows, screen);
    let notices = run.get("notices").list().iter();
    let notices: Vec<_> = notices
        .map(|notice| ["key", "code"].map(|field| cell(notice, field)).into())
        .collect();
    if !notices.is_empty() {
        text.push('\n');
        text.push_str(&table(["NOTICES", "CODE"].map(Column::text).into(), &notices, screen));
    }
    // The report of a run that committed has no details: `datalake rejects` has them.
    let (list, fields, columns): (_, &[&str], &[&str]) = match run.get("reject_details").list() {
        [] => (run.get("rejects").list(), &["key", "code"], &["REJECTS", "CODE"]),
        details => (
            details,
            &["key", "code", "found", "remedy"],
            &["REJECTS", "CODE", "FOUND", "REMEDY"],
        ),
    };
    let rejects: Vec<Vec<_>> = list
        .iter()
        .map(|reject| fields.iter().map(|field| cell(reject, field)).collect())
        .collect();
    if !rejects.is_empty() {
        text.push('\n');
        text.push_str(&table(columns.iter().map(|title| Column::text(title)).collect(), &rejects, screen));
    }
    text
}

fn cell(document: &Document, field: &str) -> Cell {
    document.get(field).to_string().into()
}

/// A count of a run; missing if there is no report.
pub(super) fn count(counts: &Document, name: &str) -> Cell {
    counts.get(name).number().map_or_else(Cell::missing, Cell::count)
}

fn time(time: &Document) -> Cell {
    time.text().map_or_else(Cell::missing, |time| time_format::time(time).into())
}

fn duration(milliseconds: &Document) -> Cell {
    milliseconds
        .number()
        .map_or_else(Cell::missing, |milliseconds| time_format::duration(milliseconds).into())
}
