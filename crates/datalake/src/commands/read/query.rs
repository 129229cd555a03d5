//! `datalake query`

use std::ops::ControlFlow;

use datalake_core::text::grouped;
use datalake_server::reader::ReaderResponse;

use super::{JSON, OpenedLake, next_cursor, next_page};
use crate::{
    args::read::{DocumentFormat, ReadArgs},
    commands::{print, print_chunk},
    document::Document,
    exit::UsageError,
    screen::{Cell, Screen},
    table::{Column, Layout},
};

/// The rows of which a table's columns fit the widest values. Later rows are printed as they are read, so memory does not grow with the table.
const ROWS_MEASURED: usize = 1_000;

/// Shows the rows that the parameters select.
pub(in crate::commands) async fn query(args: ReadArgs) -> anyhow::Result<u8> {
    let parameters = args.parameters.query_string();
    if parameters.split('&').any(|parameter| parameter.split('=').next() == Some("format")) {
        return Err(UsageError("the parameter format is not available here; pass --output table, json or csv".to_owned()).into());
    }
    let lake = OpenedLake::with_table(&args.lake).await?;
    let accept = match args.output.output {
        DocumentFormat::Table => "application/x-ndjson",
        DocumentFormat::Json => JSON,
        DocumentFormat::Csv => "text/csv",
    };
    let response = lake.get("/data", &parameters, accept).await?;
    match args.output.output {
        DocumentFormat::Table => print_table(response, Screen::stdout()).await?,
        DocumentFormat::Json | DocumentFormat::Csv => print_body(response).await?,
    }
    Ok(0)
}

/// Prints the body as it is read, with a line break at its end.
async fn print_body(mut response: ReaderResponse) -> anyhow::Result<()> {
    let mut last = None;
    while let Some(chunk) = response.next_chunk().await? {
        last = chunk.last().copied().or(last);
        if print_chunk(&chunk)? == ControlFlow::Break(()) {
            return Ok(());
        }
    }
    match last {
        Some(b'\n') => Ok(()),
        _ => print(b"\n"),
    }
}

async fn print_table(mut response: ReaderResponse, screen: Screen) -> anyhow::Result<()> {
    let total = response.header("x-total-count").and_then(|total| total.parse().ok());
    let version = response.header("datalake-version").unwrap_or_default().to_owned();
    let next = next_cursor(response.header("link"));
    let mut lines = Lines::default();
    let mut measured = Vec::new();
    let mut printed: Option<RowPrinter> = None;
    let mut shown = 0;
    loop {
        let chunk = response.next_chunk().await?;
        let is_end = chunk.is_none();
        for line in lines.push(chunk.as_deref().unwrap_or_default(), is_end) {
            let row = Document::parse(&line)?;
            shown += 1;
            match &mut printed {
                Some(printer) => printer.push(&row),
                None => measured.push(row),
            }
        }
        if printed.is_none() && (is_end || measured.len() >= ROWS_MEASURED) {
            printed = Some(RowPrinter::new(&std::mem::take(&mut measured), screen));
        }
        if let Some(printer) = &mut printed
            && print_chunk(std::mem::take(&mut printer.text).as_bytes())? == ControlFlow::Break(())
        {
            return Ok(());
        }
        if is_end {
            break;
        }
    }
    let of_total = match total {
        Some(total) if total != shown => format!(" of {}", grouped(total)),
        _ => String::new(),
    };
    let summary = format!(
        "{}{of_total} rows, version {version}\n{}",
        grouped(shown),
        next_page(next.as_deref())
    );
    print(summary.as_bytes())
}

/// Splits chunks into lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that are complete after a chunk; at the end also the last one.
    fn push(&mut self, chunk: &[u8], is_end: bool) -> Vec<Vec<u8>> {
        self.rest.extend_from_slice(chunk);
        let complete = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            _ if is_end => self.rest.len(),
            Some(end) => end + 1,
            None => 0,
        };
        let complete: Vec<u8> = self.rest.drain(..complete).collect();
        let lines = complete.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(<[u8]>::to_vec).collect()
    }
}

/// Rows as lines of a table.
struct RowPrinter {
    layout: Layout,
    names: Vec<String>,
    text: String,
}

impl RowPrinter {
    /// A table whose columns fit these rows, which are its first.
    fn new(rows: &[Document], screen: Screen) -> Self {
        let names: Vec<String> = rows
            .first()
            .map(Document::fields)
            .unwrap_or_default()
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        let is_number = |name: &str| {
            let mut values = rows.iter().map(|row| row.get(name)).filter(|value| !value.is_null()).peekable();
            values.peek().is_some() && values.all(|value| matches!(value, Document::Number(_)))
        };
        let columns = names.iter().map(|name| match is_number(name) {
            true => Column::number(name),
            false => Column::text(name),
        });
        let cells: Vec<Vec<Cell>> = rows.iter().map(|row| cells(&names, row)).collect();
        let layout = Layout::new(columns.collect(), &cells, screen);
        let mut text = String::new();
        if !cells.is_empty() {
            layout.push_header(&mut text);
        }
        for row in &cells {
            layout.push_row(&mut text, row);
        }
        Self { layout, names, text }
    }

    fn push(&mut self, row: &Document) {
        self.layout.push_row(&mut self.text, &cells(&self.names, row));
    }
}

fn cells(names: &[String], row: &Document) -> Vec<Cell> {
    let cell = |name: &String| match row.get(name) {
        Document::Null => Cell::missing(),
        value => value.to_string().into(),
    };
    names.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_be_split_between_chunks() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"{\"a\":", false), [b""; 0]);
        assert_eq!(lines.push(b"1}\n{}\n{", false), [b"{\"a\":1}".to_vec(), b"{}".to_vec()]);
        assert_eq!(lines.push(b"}", true), [b"{}".to_vec()]);
    }

    #[test]
    fn columns_have_the_order_of_the_query() {
        let row = |text: &str| Document::parse(text.as_bytes()).unwrap();
        let rows = vec![row(r#"{"user_id":"0001","age":null}"#), row(r#"{"user_id":"1","age":30}"#)];
        let screen = Screen {
            has_color: false,
            width: None,
        };
        let mut printer = RowPrinter::new(&rows, screen);
        printer.push(&row(r#"{"user_id":"2","age":101}"#));
        assert_eq!(printer.text, "user_id  age\n0001       -\n1         30\n2        101\n");
    }
}
