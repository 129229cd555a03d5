//! Pages of rows: every page of a query, and the numbers of rows that are shown with it.

use std::sync::Arc;

use datalake_core::{
    calendar::Day,
    query::{Query, Scope},
    row::RowView,
};
use datalake_store::memory::MemoryBucket;
use datalake_table::memory::{
    row_cursor::{self, Page, RowCursor},
    snapshot::Snapshot,
};
use jiff::civil::date;

use crate::support::{commit, put, table};

/// Ranges of user IDs, filters that are counted without a scan, and filters that need one.
const FILTERS: [&[(&str, &str)]; 10] = [
    &[],
    &[("user_id__gt", "13"), ("user_id__lte", "27")],
    &[("user_id__gte", "15"), ("user_id__lt", "15")],
    &[("user_id__gt", "~")],
    &[("is_image_exists", "true")],
    &[("min_age", "56"), ("is_image_exists", "false")],
    &[("max_age", "")],
    &[("first_name__contains", "1")],
    &[("first_name__not", "Zoë 3"), ("user_id__gte", "12"), ("is_image_exists", "true")],
    &[("last_name", "unknown")],
];

const ORDERS: [&str; 4] = ["user_id", "user_id.desc", "first_name.desc", "age.desc,last_name"];

fn query(filter: &[(&'static str, &'static str)], order: &'static str) -> Query {
    let pairs = filter.iter().copied().chain([("order", order)]);
    Query::parse(datalake_core::dataset::Dataset::users(), pairs, Scope::Rows, &[]).unwrap()
}

fn ids(mut rows: RowCursor) -> Vec<String> {
    std::iter::from_fn(|| rows.next_row().map(|row| row.row_id.to_owned())).collect()
}

/// A snapshot with several data files, and groups of equal values.
async fn snapshot() -> Arc<Snapshot> {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, (10..40).map(|user| put(&user.to_string(), user % 7)).collect()).await;
    assert!(version.data_files().len() > 5, "{} data files", version.data_files().len());
    Arc::new(Snapshot::load(&table, version, None).await.unwrap())
}

#[tokio::test]
async fn the_pages_of_a_query_contain_its_rows_in_its_order() {
    let snapshot = snapshot().await;
    let on = Day::from_date(date(2026, 11, 24)).unwrap();
    for filter in FILTERS {
        for order in ORDERS {
            let query = query(filter, order);
            let selection = snapshot.select(&query.filter, on);
            let mut expected: Vec<RowView<'_>> = snapshot.rows(&selection).collect();
            expected.sort_by(|left, right| query.order.compare(left, right, selection.ages));
            let expected: Vec<_> = expected.iter().map(|row| row.row_id).collect();
            let total = u64::try_from(expected.len()).unwrap();
            assert_eq!(snapshot.count(&selection), total, "{filter:?}");
            let rows = RowCursor::all(Arc::clone(&snapshot), selection.clone(), &query.order, None, total);
            assert_eq!(ids(rows), expected, "{filter:?} by {order}");
            for limit in [1, 2, 7, 29, 30, 31, usize::MAX] {
                let (mut shown, mut after) = (Vec::new(), None::<String>);
                loop {
                    if let Some(after) = &after {
                        let before = row_cursor::count_up_to(&snapshot, &selection, &query.order, after);
                        assert_eq!(usize::try_from(before).unwrap(), shown.len(), "{filter:?} by {order}");
                        let rest = RowCursor::all(Arc::clone(&snapshot), selection.clone(), &query.order, Some(after), total);
                        assert_eq!(ids(rest), expected[shown.len()..], "{filter:?} by {order}");
                    }
                    let page = Page::new(Arc::clone(&snapshot), selection.clone(), &query.order, after.as_deref(), limit);
                    assert_eq!(page.total, total, "{filter:?} by {order}");
                    let rows = ids(page.rows);
                    assert_eq!(rows.len(), limit.min(expected.len() - shown.len()), "{filter:?} by {order}");
                    assert!(page.last_id.is_none() || page.last_id.as_ref() == rows.last());
                    shown.extend(rows);
                    match page.last_id {
                        Some(last) => after = Some(last),
                        None => break,
                    }
                }
                assert_eq!(shown, expected, "{filter:?} by {order}, {limit} rows per page");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_table_has_one_empty_page() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, Vec::new()).await;
    let snapshot = Arc::new(Snapshot::load(&table, version, None).await.unwrap());
    for order in ORDERS {
        let query = query(&[], order);
        let selection = snapshot.select(&query.filter, Day::from_date(date(2026, 11, 24)).unwrap());
        let page = Page::new(Arc::clone(&snapshot), selection, &query.order, None, 10);
        assert_eq!((ids(page.rows), page.total, page.last_id), (Vec::new(), 0, None));
    }
}
