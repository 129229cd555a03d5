//! `datalake status`

use datalake_core::text::grouped;
use jiff::Timestamp;

use super::OpenedLake;
use crate::{
    args::read::{DocumentFormat, StatusArgs},
    clock,
    csv::csv,
    document::Document,
    screen::{Cell, Screen, Tone},
    table::fields,
    time_format,
};

/// The last run that succeeded is searched in this number of runs: two days of hourly ones.
const RUNS_SEARCHED: &str = "limit=50";

/// Shows the table, the rejected files and the last run.
pub(in crate::commands) async fn status(args: StatusArgs) -> anyhow::Result<u8> {
    let lake = OpenedLake::with_table(&args.lake).await?;
    let status = read(&lake).await?;
    let text = match args.output.output {
        DocumentFormat::Table => table(&status, clock::now(), Screen::stdout()),
        DocumentFormat::Json => status.to_json()? + "\n",
        DocumentFormat::Csv => csv(&[status]),
    };
    crate::commands::print(text.as_bytes())?;
    Ok(0)
}

/// The status: documents of the API under one object.
async fn read(lake: &OpenedLake) -> anyhow::Result<Document> {
    let (mut version, mut stats, mut rejects) = (Document::Null, Document::Null, Document::Null);
    if lake.has_table() {
        let mut versions = lake.document("/versions", "limit=1").await?.document;
        version = versions.take("versions").into_list().into_iter().next().unwrap_or_default();
        stats = lake.document("/stats", "").await?.document;
        rejects = lake.document("/rejects", "limit=1").await?.document;
        rejects.take("rejects");
    }
    let mut runs = lake.document("/runs", RUNS_SEARCHED).await?.document;
    let runs = runs.take("runs").into_list();
    let last_success = runs.iter().find(|run| run.get("state").text() == Some("succeeded")).cloned();
    let last = runs.into_iter().next();
    let fields = [
        ("lake", Document::Text(lake.url.to_string())),
        ("version", version),
        ("stats", stats),
        ("rejects", rejects),
        ("last_run", last.unwrap_or_default()),
        ("last_successful_run", last_success.unwrap_or_default()),
    ];
    Ok(Document::Object(fields.map(|(name, value)| (name.to_owned(), value)).into()))
}

fn table(status: &Document, now: Timestamp, screen: Screen) -> String {
    let mut rows = vec![("lake", Cell::from(status.get("lake").to_string()))];
    match status.get("version") {
        Document::Null => rows.push((
            "table",
            Cell::new(
                &format!("none yet; run `datalake process --lake {}`", status.get("lake")),
                Tone::Warning,
            ),
        )),
        version => rows.extend(table_rows(status, version, now)),
    }
    let run = status.get("last_run");
    rows.push(("last run", run_cell(run, now)));
    if let Some(error) = run.get("error").text() {
        rows.push(("error", Cell::new(error, Tone::Bad)));
    }
    let success = status.get("last_successful_run");
    if success.get("id") != run.get("id") {
        rows.push(("last success", run_cell(success, now)));
    }
    fields(rows, screen)
}

fn table_rows<'a>(status: &'a Document, version: &Document, now: Timestamp) -> Vec<(&'a str, Cell)> {
    let committed_at = version.get("committed_at").to_string();
    let (stats, rejects) = (status.get("stats"), status.get("rejects"));
    let number = |document: &Document, name: &str| grouped(document.get(name).number().unwrap_or_default());
    let is_rejected = rejects.get("rejected").number().is_some_and(|rejected| rejected > 0);
    let mut rows = vec![(
        "table",
        format!(
            "version {}, committed {} ({} UTC)",
            version.get("version"),
            time_format::ago(&committed_at, now),
            time_format::time(&committed_at)
        )
        .into(),
    )];
    rows.push(("rows", row_counts(stats).into()));
    rows.extend(columns(stats));
    rows.push((
        "rejects",
        Cell::new(
            &format!("{} rejected, {} ignored", number(rejects, "rejected"), number(rejects, "ignored")),
            if is_rejected { Tone::Warning } else { Tone::Plain },
        ),
    ));
    rows
}

/// The number of rows, and of those with and without each file.
fn row_counts(stats: &Document) -> String {
    let number = |name: &str| grouped(stats.get(name).number().unwrap_or_default());
    let files = stats.fields().iter().filter_map(|(name, _)| name.strip_prefix("with_"));
    files.fold(number("count"), |text, file| {
        let (with, without) = (number(&format!("with_{file}")), number(&format!("without_{file}")));
        format!("{text}, {with} with {file} and {without} without")
    })
}

/// The range and the median of each column with statistics.
fn columns(stats: &Document) -> impl Iterator<Item = (&str, Cell)> {
    let names = stats.fields().iter().filter_map(|(name, _)| name.strip_prefix("median_"));
    names.map(|name| {
        let value = |prefix: &str| stats.get(&format!("{prefix}_{name}"));
        let cell = match value("min") {
            Document::Null => Cell::missing(),
            least => format!("{least} to {}, median {}", value("max"), value("median")).into(),
        };
        (name, cell)
    })
}

fn run_cell(run: &Document, now: Timestamp) -> Cell {
    let Some(state) = run.get("state").text() else {
        return Cell::new("none yet", Tone::Faint);
    };
    let counts = run.get("counts");
    let number = |name: &str| grouped(counts.get(name).number().unwrap_or_default());
    let when = run.get("ended_at").text().or(run.get("started_at").text());
    let when = when.map(|when| time_format::ago(when, now)).unwrap_or_default();
    let text = format!(
        "{state} {when}: {} added, {} changed, {} removed ({})",
        number("added"),
        number("changed"),
        number("removed"),
        run.get("id")
    );
    Cell::new(&text, Tone::of_state(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen {
        has_color: false,
        width: None,
    };

    #[track_caller]
    fn check(status: &str, expected: &str) {
        let now = "2026-11-24T08:05:00Z".parse().unwrap();
        assert_eq!(table(&Document::parse(status.as_bytes()).unwrap(), now, SCREEN), expected);
    }

    #[test]
    fn lake_without_a_table_has_the_next_command() {
        check(
            r#"{"lake":"./lake","version":null,"stats":null,"rejects":null,"last_run":null,"last_successful_run":null}"#,
            "lake      ./lake\ntable     none yet; run `datalake process --lake ./lake`\nlast run  none yet\n",
        );
    }

    #[test]
    fn failed_run_has_its_error_and_the_last_success() {
        check(
            r#"{"lake":"s3://b","version":{"version":3,"committed_at":"2026-11-24T08:00:00Z"},
                "stats":{"count":1234,"with_image":1200,"without_image":34,"min_age":20,"max_age":46,"median_age":33.5},
                "rejects":{"rejected":2,"ignored":0},
                "last_run":{"id":"b","state":"failed","ended_at":"2026-11-24T08:04:30Z","counts":null,"error":"no response"},
                "last_successful_run":{"id":"a","state":"succeeded","ended_at":"2026-11-24T08:00:00Z","counts":{"added":1,"changed":0,"removed":2}}}"#,
            "lake          s3://b\n\
             table         version 3, committed 5 min ago (2026-11-24 08:00:00 UTC)\n\
             rows          1,234, 1,200 with image and 34 without\n\
             age           20 to 46, median 33.5\n\
             rejects       2 rejected, 0 ignored\n\
             last run      failed 30 s ago: 0 added, 0 changed, 0 removed (b)\n\
             error         no response\n\
             last success  succeeded 5 min ago: 1 added, 0 changed, 2 removed (a)\n",
        );
    }
}
