//! `datalake rejects`

use datalake_core::text::grouped;

use super::{OpenedLake, next_page};
use crate::{
    args::read::ReadArgs,
    document::Document,
    documentation,
    screen::{Cell, Screen, Tone},
    table::{Column, table},
    time_format,
};

/// Shows the rejected and ignored sources.
pub(in crate::commands) async fn rejects(args: ReadArgs) -> anyhow::Result<u8> {
    let lake = OpenedLake::with_table(&args.lake).await?;
    let received = lake.document("/rejects", &args.parameters.query_string()).await?;
    received.print(args.output.output, "rejects", |document, next| {
        rejects_table(document, next, Screen::stdout())
    })
}

fn rejects_table(document: &Document, next: Option<&str>, screen: Screen) -> String {
    let rows: Vec<Vec<Cell>> = document.get("rejects").list().iter().map(row).collect();
    let number = |name: &str| grouped(document.get(name).number().unwrap_or_default());
    let mut text = String::new();
    if !rows.is_empty() {
        let columns = ["KEY", "CODE", "KIND", "PLACE", "SINCE (UTC)", "REASON AND REMEDY"];
        text = table(columns.map(Column::text).into(), &rows, screen);
    }
    let (rejected, ignored) = (number("rejected"), number("ignored"));
    let summary = format!("{rejected} rejected, {ignored} ignored, version {}\n", document.get("version"));
    let reference = match rows.is_empty() {
        true => String::new(),
        false => format!(
            "each code with its cause and fix: {} (a server: /docs/rejects)\n",
            documentation::REJECTS
        ),
    };
    text + &reference + &summary + &next_page(next)
}

fn row(reject: &Document) -> Vec<Cell> {
    let field = |name: &str| reject.get(name).to_string();
    let tone = match field("kind").as_str() {
        "rejected" => Tone::Bad,
        _ => Tone::Faint,
    };
    vec![
        field("key").into(),
        Cell::new(&field("code"), tone),
        field("kind").into(),
        place(reject),
        time_format::time(&field("since")).into(),
        field("message").into(),
    ]
}

/// The line and the column of the reason.
fn place(reject: &Document) -> Cell {
    let column = || reject.get("column").number().map_or(String::new(), |column| format!(":{column}"));
    match reject.get("line").number() {
        Some(line) => format!("{line}{}", column()).into(),
        None => Cell::missing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_have_place_and_reason() {
        let document =
            br#"{"version":3,"count":1,"rejected":1,"ignored":0,"rejects":[{"key":"src-data/1.csv","code":"type","kind":"rejected",
            "line":2,"column":7,"since":"2026-11-24T08:00:00.5Z","message":"birthts is \"x\"; write a number"}]}"#;
        let screen = Screen {
            has_color: false,
            width: None,
        };
        let text = rejects_table(&Document::parse(document).unwrap(), Some("3~a~b"), screen);
        assert_eq!(
            text,
            "KEY             CODE  KIND      PLACE  SINCE (UTC)          REASON AND REMEDY\n\
             src-data/1.csv  type  rejected  2:7    2026-11-24 08:00:00  birthts is \"x\"; write a number\n\
             each code with its cause and fix: docs/src/rejects.md (a server: /docs/rejects)\n\
             1 rejected, 0 ignored, version 3\n\
             next page: cursor=3~a~b\n"
        );
    }
}
