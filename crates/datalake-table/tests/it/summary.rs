//! Summaries: they agree with the rows, and are computed once.

use std::sync::Arc;

use datalake_core::{
    calendar::Day,
    dataset::{Dataset, Value},
    query::{column::Column, filter::Filter},
    row::Row,
};
use datalake_store::memory::MemoryBucket;
use datalake_table::{
    delta::edit::Edit,
    memory::{snapshot::Snapshot, summary::Summary},
};
use jiff::civil::date;

use crate::support::{commit, details, id, put, row, table};

const DECLARATION: &str = "source.key = 'src-data/{id}.csv'\n[columns]\ntotal = 'number'\nquantity = { type = 'integer', required = false }\nstate = { \
                           type = 'string', enum = ['new', 'paid', 'sent'] }\ngift = 'boolean'\n[files.scan]\nkey = 'src-data/{id}.pdf'\n";

fn day(day: i8) -> Day {
    Day::from_date(date(2026, 11, day)).unwrap()
}

/// A row in which every column follows from a number.
fn order(number: u8) -> Edit {
    let states = ["new", "paid", "sent"];
    let state = states[usize::from(number % 5).min(2)];
    let template = row(&format!("{number:03}"), 1);
    Edit::Put(Row {
        values: [
            Some(Value::Number(f64::from(number) / 4.0)),
            (!number.is_multiple_of(3)).then_some(Value::Integer(i64::from(number) * 1_000)),
            Some(Value::Text(state.into())),
            Some(Value::Boolean(number < 10)),
        ]
        .into(),
        files: [template.file(0).filter(|_| number.is_multiple_of(2)).cloned()].into(),
        row_id: id(&format!("{number:03}")),
        ..template
    })
}

async fn orders() -> Snapshot {
    let table = table(&MemoryBucket::new());
    let dataset = Arc::new(Dataset::parse(DECLARATION).unwrap());
    let staged = table.stage(None, &dataset, (0..40).map(order).collect()).await.unwrap();
    let version = table.commit(None, staged, &[], &details()).await.unwrap();
    Snapshot::load(&table, version, None).await.unwrap()
}

fn column(snapshot: &Snapshot, name: &str) -> Column {
    Column::named(snapshot.dataset(), name).unwrap()
}

#[tokio::test]
async fn summary_agrees_with_the_rows() {
    let snapshot = orders().await;
    let summary = snapshot.summary(day(24));
    let all = snapshot.select(&Filter::default(), day(24));
    assert_eq!(summary.statistics, snapshot.statistics(&all));
    let columns: Vec<_> = summary.histograms.iter().map(|histogram| histogram.column).collect();
    assert_eq!(columns, [column(&snapshot, "total"), column(&snapshot, "quantity")]);
    for (histogram, rows) in summary.histograms.iter().zip([40, 26]) {
        assert_eq!(
            histogram
                .bins
                .iter()
                .map(datalake_table::memory::distribution::Bin::rows)
                .sum::<u64>(),
            rows
        );
    }
    let with_file: u64 = summary.histograms[0].bins.iter().map(|bin| bin.with_file).sum();
    assert_eq!(with_file, summary.statistics.with_files[0]);
    let counts = |index: usize| -> Vec<(String, u64)> {
        let values = &summary.categories[index].values;
        values.iter().map(|(value, rows)| (value.to_string(), *rows)).collect()
    };
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> { pairs.iter().map(|(value, rows)| ((*value).to_owned(), *rows)).collect() };
    assert_eq!(counts(0), pairs(&[("sent", 24), ("new", 8), ("paid", 8)]));
    assert_eq!(counts(1), pairs(&[("false", 30), ("true", 10)]));
}

#[tokio::test]
async fn categories_are_counted_within_a_selection() {
    let snapshot = orders().await;
    let selection = snapshot.select(&Filter::default(), day(24));
    let counts = snapshot.count_by_category(&selection, column(&snapshot, "gift"));
    assert_eq!(counts, [(Value::Boolean(false), 30), (Value::Boolean(true), 10)]);
    assert_eq!(snapshot.count_by_category(&selection, column(&snapshot, "total")), []);
    assert_eq!(snapshot.count_by_years(&selection), []);
}

#[tokio::test]
async fn summary_of_scanned_rows_is_kept() {
    let snapshot = orders().await;
    assert!(!snapshot.is_summary_quick(day(24)));
    let summary = snapshot.summary(day(24));
    // No column of the dataset depends on the day.
    assert!(snapshot.is_summary_quick(day(25)));
    assert!(Arc::ptr_eq(&summary, &snapshot.clone().summary(day(25))));
}

#[tokio::test]
async fn summary_of_users_depends_on_the_day_and_needs_no_scan() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, (10..30).map(|number| put(&number.to_string(), number)).collect()).await;
    let snapshot = Snapshot::load(&table, version, None).await.unwrap();
    assert!(snapshot.is_summary_quick(day(24)));
    let summary = |on| -> Arc<Summary> { snapshot.summary(on) };
    let all = snapshot.select(&Filter::default(), day(24));
    assert_eq!(summary(day(24)).statistics, snapshot.statistics(&all));
    assert!(Arc::ptr_eq(&summary(day(24)), &summary(day(24))));
    let other = Day::from_date(date(2036, 11, 24)).unwrap();
    assert_ne!(summary(day(24)).histograms, summary(other).histograms);
}
