//! The pages of a dataset other than the users follow from its declaration.

use std::sync::Arc;

use datalake_core::{
    calendar::Day,
    dataset::{Dataset, Value},
    row::{Provenance, Row},
    row_id::RowId,
    run::{RunId, RunOutcome},
};
use datalake_table::delta::edit::Edit;

use crate::{
    fixture::{Lake, now},
    pages::{at, browse, checked, filter_form::submitted, load_report, page, report},
};

const DECLARATION: &str = r#"
title = "Orders"
entity = "order"
source.key = "src-data/{order_id}.csv"

[columns]
customer = "string"
ordered = "date"
quantity = "integer"
total = "number"
state = { type = "string", enum = ["new", "paid", "sent"] }
gift = "boolean"
paid_at = { type = "datetime", required = false, title = "Payment" }

[files.invoice]
key = "src-data/{order_id}.pdf"
types = ["application/pdf"]

[derived]
ordered_year = "year(ordered)"
"#;

fn dataset() -> Arc<Dataset> {
    Arc::new(Dataset::parse(DECLARATION).unwrap())
}

fn order(id: &str, customer: &str, day: &str, total: f64, state: &str, has_invoice: bool) -> Edit {
    let source = |etag: &str| Provenance {
        etag: etag.into(),
        size: 1,
        modified: now(),
    };
    let text = |text: &str| Some(Value::Text(text.into()));
    Edit::Put(Row {
        row_id: RowId::parse(id).unwrap(),
        values: [
            text(customer),
            Some(Value::Date(Day::from_date(day.parse().unwrap()).unwrap())),
            Some(Value::Integer(i64::try_from(customer.len()).unwrap())),
            Some(Value::Number(total)),
            text(state),
            Some(Value::Boolean(has_invoice)),
            (state != "new").then_some(Value::DateTime(1_000_000)),
        ]
        .into(),
        csv: source("csv"),
        files: [has_invoice.then(|| source("pdf"))].into(),
        run_id: RunId::parse("run-1").unwrap(),
    })
}

/// Four orders; in version 1, the first is paid.
async fn lake() -> Lake {
    let lake = Lake::empty();
    let orders = vec![
        order("A-1", "Ada", "2026-02-03", 59.8, "new", true),
        order("A-2", "Köln Traders", "2025-11-17", 1_234.5, "sent", false),
        order("A-3", "Søn", "2026-11-24", 0.99, "new", true),
        order("A-4", "Leap", "2024-02-29", 70.0, "sent", false),
    ];
    lake.commit_of(&dataset(), "run-1", at("2026-11-24T11:00:00Z"), orders, &[]).await;
    let paid = vec![order("A-1", "Ada", "2026-02-03", 59.8, "paid", true)];
    lake.commit_of(&dataset(), "run-2", at("2026-11-24T11:30:00Z"), paid, &[]).await;
    lake.watch.refresh_now().await;
    load_report(&lake, &report(5, RunOutcome::Succeeded, 4, None)).await;
    lake
}

#[tokio::test]
async fn list_shows_the_rows_of_the_api() {
    let lake = lake().await;
    for query in [
        "",
        "state=sent",
        "state__in=new,paid&order=total.desc",
        "gift=true&min_total=50",
        "min_total",
        "max_quantity&order=ordered",
        "min_ordered=2026-01-01",
        "max_ordered",
        "ordered_year__gte=2025&is_invoice_exists=False",
        "q=k",
        "select=total,order_id&limit=2",
        "version=0&state=new",
    ] {
        let path = format!("/page/users?{query}");
        let shown = page(&lake, &path).await;
        let rows = lake.get(&format!("/data?{query}")).await.json();
        let ids: Vec<_> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["order_id"].as_str().unwrap())
            .collect();
        assert_eq!(shown.values("data-user-id"), ids, "{path}");
        assert_eq!(shown.text("h1"), "Orders");
        assert!(!shown.has("a[data-view-mode]"), "there are no images");
    }
}

#[tokio::test]
async fn unchanged_form_returns_to_the_same_page() {
    let lake = lake().await;
    for query in [
        "limit=50",
        "is_invoice_exists=True&min_quantity&min_total=1.5&max_total=60&state=paid&limit=10",
        "state__in=new,paid&customer__contains=a&order=ordered.desc&limit=50",
        "gift=true&ordered__gte=2026-01-01&limit=50",
        "min_ordered=2026-01-01&max_ordered&limit=50",
        "paid_at__gte=2026-01-01T00:00:00Z&limit=50",
    ] {
        let path = format!("/page/users?{query}");
        let submitted = submitted(&page(&lake, &path).await);
        let answer = lake.get(&format!("/page/users?{submitted}")).await;
        assert_eq!(answer.header("location"), path, "{submitted}");
    }
}

#[tokio::test]
async fn fields_follow_from_the_types() {
    let lake = lake().await;
    let list = page(&lake, "/page/users").await;
    assert_eq!(list.texts("#state__exact option"), ["Any", "new (1)", "paid (1)", "sent (2)"]);
    assert_eq!(
        list.texts("#is_invoice_exists option"),
        ["With or without", "With invoice (2)", "Without invoice (2)"]
    );
    assert_eq!(list.texts(".field.range > label"), ["Quantity", "Total", "Ordered year"]);
    let headings = [
        "Order",
        "Customer",
        "Ordered",
        "Quantity",
        "Total",
        "State",
        "Gift",
        "Payment",
        "Invoice",
        "Ordered year",
    ];
    assert_eq!(list.texts("thead th"), headings);
    assert!(!list.has("#on"), "no column depends on the day");
    let invalid = checked(&lake.get("/page/users?gift=perhaps").await);
    assert_eq!(invalid.attribute("#gift__exact", "aria-invalid"), "true");
    let invalid = checked(&lake.get("/page/users?min_ordered=x").await);
    assert_eq!(invalid.attribute("#min_ordered", "aria-invalid"), "true");
}

#[tokio::test]
async fn page_of_a_row_has_its_values_and_its_history() {
    let lake = lake().await;
    let order = page(&lake, "/page/users/A-1").await;
    assert_eq!(order.text("h1"), "Ada");
    assert_eq!(order.text("#row [data-column=paid_at]"), "1970-01-01 00:00:01 UTC");
    order.check_link("/data/A-1/invoice?min_version=1&wait=5s");
    assert!(!order.has("main img"));
    let history = order.texts("#history thead th");
    assert_eq!(history[..4], ["Version", "Change", "Committed", "Customer"]);
    assert_eq!(order.texts("#history ins"), ["paid", "1970-01-01 00:00:01 UTC"]);
    let missing = lake.get("/page/users/B-1").await;
    assert_eq!(missing.status.as_u16(), 404);
}

#[tokio::test]
async fn comparison_has_the_columns_of_the_dataset() {
    let lake = lake().await;
    let changes = page(&lake, "/page/changes?since=0&until=1").await;
    assert_eq!(changes.values("data-user-id"), ["A-1"]);
    assert_eq!(changes.texts("#changed-rows del"), ["new", "–"]);
    assert_eq!(changes.texts("#changed-rows ins"), ["paid", "1970-01-01 00:00:01 UTC"]);
}

/// The orders with a changed declaration.
fn changed_dataset(from: &str, to: &str) -> Arc<Dataset> {
    let text = DECLARATION.replace(from, to);
    assert_ne!(text, DECLARATION);
    Arc::new(Dataset::parse(&text).unwrap())
}

#[tokio::test]
async fn versions_with_other_columns_are_compared_by_their_columns() {
    let lake = lake().await;
    let dataset = changed_dataset("quantity = \"integer\"", "pieces = \"integer\"");
    let orders = vec![order("A-1", "Ada", "2026-02-03", 59.8, "paid", true)];
    lake.commit_of(&dataset, "run-3", at("2026-11-24T11:45:00Z"), orders, &[]).await;
    lake.watch.refresh_now().await;
    let path = "/page/changes?since=1&until=2";
    let changes = page(&lake, path).await;
    assert_eq!(changes.texts("#other-columns li"), ["pieces: added (integer)", "quantity: removed"]);
    changes.check_link("/page/users?version=1");
    changes.check_link("/page/users?version=2");
    assert!(!changes.has("#changed-rows, #csv, #api-request"), "the API does not compare them");
    assert!(changes.has("form[action='/page/changes']"));
}

#[tokio::test]
async fn versions_with_other_labels_are_compared_by_their_rows() {
    let lake = lake().await;
    let dataset = changed_dataset("title = \"Orders\"", "title = \"Sales\"");
    let orders = vec![order("A-1", "Ada", "2026-02-03", 59.8, "sent", true)];
    lake.commit_of(&dataset, "run-3", at("2026-11-24T11:45:00Z"), orders, &[]).await;
    lake.watch.refresh_now().await;
    let changes = page(&lake, "/page/changes?since=1&until=2").await;
    assert!(changes.has("#csv") && !changes.has("#other-columns"));
    assert!(changes.texts("#changed-rows ins").contains(&"sent".to_owned()));
}

#[tokio::test]
async fn invalid_filter_is_reported_by_the_declaration_of_the_requested_version() {
    let lake = lake().await;
    let dataset = changed_dataset("quantity = \"integer\"", "pieces = \"integer\"");
    let orders = vec![order("A-1", "Ada", "2026-02-03", 59.8, "paid", true)];
    lake.commit_of(&dataset, "run-3", at("2026-11-24T11:45:00Z"), orders, &[]).await;
    lake.watch.refresh_now().await;
    let earlier = page(&lake, "/page/users?version=1&order=quantity&min_quantity=2").await;
    assert_eq!(earlier.attribute("#user-list", "data-view-mode"), "table");
    let invalid = checked(&lake.get("/page/users?version=1&order=quantity&min_quantity=x").await);
    assert_eq!(invalid.attribute("#min_quantity", "aria-invalid"), "true");
    assert!(!invalid.has("#order_by[aria-invalid]"));
}

#[tokio::test]
async fn bound_of_a_column_without_a_default_field_has_one() {
    let lake = lake().await;
    let list = page(&lake, "/page/users?min_ordered=2026-01-01").await;
    assert_eq!(list.attribute("#min_ordered", "value"), "2026-01-01");
    let invalid = checked(&lake.get("/page/users?min_ordered=x").await);
    assert_eq!(invalid.attribute("#min_ordered", "aria-invalid"), "true");
    assert_eq!(invalid.attribute("#min_ordered", "value"), "x");
}

#[tokio::test]
async fn history_of_a_removed_row_with_many_columns_has_a_header_for_each_cell() {
    let columns = (1..10).map(|number| format!("c{number} = 'string'")).collect::<Vec<_>>().join("\n");
    let text = format!("title = 'Plates'\nentity = 'plate'\nsource.key = 'p/{{plate_id}}.csv'\n[columns]\n{columns}");
    let dataset = Arc::new(Dataset::parse(&text).unwrap());
    let lake = Lake::empty();
    let plate = Row {
        row_id: RowId::parse("1").unwrap(),
        values: vec![Some(Value::Text("x".into())); 9].into(),
        csv: Provenance {
            etag: "csv".into(),
            size: 1,
            modified: now(),
        },
        files: [].into(),
        run_id: RunId::parse("run-1").unwrap(),
    };
    lake.commit_of(&dataset, "run-1", at("2026-11-24T11:00:00Z"), vec![Edit::Put(plate.clone())], &[])
        .await;
    let other = Edit::Put(Row {
        row_id: RowId::parse("2").unwrap(),
        ..plate
    });
    let removed = Edit::Remove(RowId::parse("1").unwrap());
    lake.commit_of(&dataset, "run-2", at("2026-11-24T11:30:00Z"), vec![removed, other], &[])
        .await;
    lake.watch.refresh_now().await;
    let shown = checked(&lake.get("/page/users/1").await);
    assert_eq!(shown.count("#history thead th"), 4);
    assert_eq!(shown.count("#history tr[data-change=delete] > *"), 4);
    assert_eq!(shown.count("#history tr[data-change=delete] > :nth-child(4) a.run-id"), 1);
}

#[tokio::test]
async fn overview_has_the_numbers_and_charts_of_the_columns() {
    let lake = lake().await;
    let answer = browse(&lake, "/").await;
    let overview = checked(&answer);
    for (id, expected) in [
        ("users", "4"),
        ("with-invoice", "2"),
        ("without-invoice", "2"),
        ("average-total", "341.3"),
        ("average-quantity", "6.0"),
    ] {
        assert_eq!(overview.text(&format!("#{id} dd.value")), expected, "{id}");
    }
    for name in ["quantity", "total", "ordered_year", "state"] {
        assert!(overview.has(&format!("#chart-{name}")), "{name}");
    }
    assert_eq!(overview.texts(".bars tbody tr"), ["sent2", "new1", "paid1"]);
    // Each bar of a chart leads to its rows.
    for href in overview.attributes("[aria-labelledby^=chart-] a", "href") {
        let rows = page(&lake, href).await;
        assert_ne!(rows.attribute("#user-list", "data-total"), "0", "{href}");
    }
    assert!(overview.text("#users").starts_with("Orders"));
}

#[tokio::test]
async fn pages_have_the_nouns_of_the_dataset() {
    let lake = lake().await;
    for path in [
        "/page/users",
        "/page/users?q=nothing",
        "/page/users/A-1",
        "/page/runs",
        "/page/runs/run-at-5",
        "/page/rejects",
        "/page/versions",
        "/page/changes?since=0&until=1",
        "/page/nowhere",
        "/page/users?frobnicate",
    ] {
        let answer = lake.get(path).await;
        let shown = checked(&answer);
        assert!(shown.texts("header.top nav a").contains(&"Orders".to_owned()), "{path}");
        let text = shown.texts("body").concat();
        for word in ["user", "User", "Image"] {
            let found = text.find(word).map(|found| text[found..].chars().take(60).collect::<String>());
            assert_eq!(found, None, "{path}");
        }
    }
}
