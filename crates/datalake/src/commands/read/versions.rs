//! `datalake versions`

use super::{OpenedLake, runs::count};
use crate::{
    args::read::ReadArgs,
    document::Document,
    screen::{Cell, Screen},
    table::{Column, table},
    time_format,
};

/// Shows the versions of the table.
pub(in crate::commands) async fn versions(args: ReadArgs) -> anyhow::Result<u8> {
    let lake = OpenedLake::with_table(&args.lake).await?;
    let received = lake.document("/versions", &args.parameters.query_string()).await?;
    let dataset = lake.table.dataset();
    received.print(args.output.output, "versions", |document, _| {
        let rows: Vec<Vec<Cell>> = document.get("versions").list().iter().map(row).collect();
        let columns = vec![
            Column::number("VERSION"),
            Column::text("COMMITTED (UTC)"),
            Column::number(&dataset.title().to_uppercase()),
            Column::number("ADDED"),
            Column::number("CHANGED"),
            Column::number("REMOVED"),
            Column::number("REJECTED"),
            Column::number("NEWLY REJECTED"),
            Column::text("COMMITTED BY"),
        ];
        table(columns, &rows, Screen::stdout())
    })
}

fn row(version: &Document) -> Vec<Cell> {
    let counts = version.get("counts");
    let author = match version.get("run_id").text() {
        Some(run_id) => run_id.to_owned(),
        None => version.get("made_by").to_string().replace('_', " "),
    };
    vec![
        version.get("version").to_string().into(),
        time_format::time(&version.get("committed_at").to_string()).into(),
        count(counts, "users"),
        count(counts, "added"),
        count(counts, "changed"),
        count(counts, "removed"),
        count(counts, "rejects_open"),
        count(counts, "rejected_new"),
        author.into(),
    ]
}
