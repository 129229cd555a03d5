//! Runs after the declaration of a lake has changed.

use datalake_core::{
    keys,
    run::{RunMode, RunOutcome, RunReport},
};
use datalake_processor::{
    dry_run::{DeclarationEffect, RowCounts, dry_run},
    options::RunOptions,
};
use datalake_store::bucket::{Metadata, PutMode};
use jiff::{SignedDuration, Timestamp};

use crate::lake::{TestLake, now, options, png};

const FILE: &str = "[files.photo]\nkey = 'src-data/{id}.png'\ntypes = ['image/png']\n";

/// A declaration of the column `value`, with these lines before and after it.
fn declaration(before: &str, value: &str, after: &str) -> String {
    format!("{before}\n[source]\nkey = 'src-data/{{id}}.csv'\n[columns]\nvalue = {value}\n{after}")
}

async fn declare(lake: &TestLake, text: String) {
    let metadata = Metadata::new();
    lake.bucket()
        .put(keys::DECLARATION, text.into(), PutMode::Replace, &metadata)
        .await
        .unwrap();
}

/// A lake with these values of the column `value`, in the rows 1, 2, ….
async fn lake(text: String, values: &[&str]) -> TestLake {
    let lake = TestLake::new();
    declare(&lake, text).await;
    for (value, number) in values.iter().zip(1..) {
        lake.put(&format!("{number}.csv"), format!("value\n{value}\n")).await;
    }
    lake
}

fn changes(report: &RunReport) -> [u64; 3] {
    let counts = &report.counts;
    [counts.added, counts.changed, counts.removed]
}

/// Options with both guards at their defaults.
fn guarded() -> RunOptions {
    let options = options(RunMode::Incremental);
    RunOptions::new(options.run_id, now)
}

#[tokio::test]
async fn run_that_a_guard_blocks_reports_what_the_declaration_rejects() {
    let lake = lake(declaration("", "'string'", ""), &["1", "a", "b", "c"]).await;
    lake.run().await;
    declare(&lake, declaration("", "'integer'", "")).await;
    let report = lake.run_with(&guarded()).await;
    assert_eq!(report.outcome, RunOutcome::Blocked);
    assert_eq!((report.counts.csv_read, report.counts.rejected), (4, 3));
    let details: Vec<_> = report.reject_details.iter().map(|detail| (&*detail.key, &*detail.code)).collect();
    assert_eq!(details[0], ("src-data/2.csv", "type"), "{details:?}");
    assert!(report.error.unwrap().contains("3 of 4 sources are rejected"));
}

#[tokio::test]
async fn dry_run_reads_the_sources_and_shows_the_effect() {
    let lake = lake(declaration("", "'string'", ""), &["1", "2", "3", "a"]).await;
    lake.run().await;
    let before = lake.objects("").await;
    assert_eq!(dry_run(&lake.lake, &guarded()).await.unwrap().effect, None);

    declare(&lake, declaration("", "'integer'", "")).await;
    let plan = dry_run(&lake.lake, &guarded()).await.unwrap();
    let DeclarationEffect {
        rows,
        read,
        rejected,
        rejects,
    } = plan.effect.expect("the declaration differs");
    let expected = RowCounts {
        kept: 3,
        added: 0,
        removed: 1,
    };
    assert_eq!((rows, read, rejected), (Some(expected), 4, 1));
    assert_eq!(
        (&*rejects[0].key, &*rejects[0].found),
        ("src-data/4.csv", "value is \"a\", which is not a number")
    );
    assert_eq!(plan.blocked_by, None);

    lake.put("1.csv", "value\nb\n").await;
    lake.put("2.csv", "value\nc\n").await;
    let plan = dry_run(&lake.lake, &guarded()).await.unwrap();
    assert!(
        plan.blocked_by
            .is_some_and(|guard| guard.cause().contains("3 of 4 sources are rejected"))
    );
    assert_eq!(plan.effect.map(|effect| (effect.rows, effect.rejected)), Some((None, 3)));
    assert_eq!(lake.objects(keys::PUBLISHED).await.len() + 5, before.len(), "nothing is written");
}

#[tokio::test]
async fn change_of_the_title_changes_no_row_and_no_reject() {
    let lake = lake(declaration("", "'integer'", FILE), &["1", "2", "a"]).await;
    lake.put("1.png", png("1")).await;
    let first = lake.run().await;
    assert_eq!((changes(&first), first.counts.images_copied), ([2, 0, 0], 0));
    declare(&lake, declaration("title = 'Values'", "'integer'", FILE)).await;
    let report = lake.run().await;
    assert_eq!((changes(&report), report.committed), ([0, 0, 0], Some(true)));
    assert_eq!((report.counts.rejects_open, report.counts.rejected_new), (1, 0));
    let table = lake.table();
    let version = table.latest().await.unwrap().unwrap();
    let [reject] = &*table.rejects(&version).await.unwrap() else {
        panic!("one source is rejected")
    };
    assert_eq!(reject.run_id, first.run_id);
    let id = datalake_core::row_id::RowId::parse;
    for id in ["1", "2"].map(|text| id(text).unwrap()) {
        let history = table.history(&version, &id).await.unwrap();
        assert_eq!(history.states.len(), 1, "{:?}", history.states);
    }
    let absent = table.history(&version, &id("3").unwrap()).await.unwrap();
    assert_eq!(absent.states, [], "a row that never existed was not removed");
}

#[tokio::test]
async fn removed_row_has_one_removal_in_its_history() {
    let lake = lake(declaration("", "'integer'", ""), &["1", "2"]).await;
    lake.run().await;
    lake.remove("2.csv").await;
    lake.run().await;
    for title in ["'A'", "'B'"] {
        declare(&lake, declaration(&format!("title = {title}"), "'integer'", "")).await;
        lake.run().await;
    }
    let table = lake.table();
    let version = table.latest().await.unwrap().unwrap();
    let history = table
        .history(&version, &datalake_core::row_id::RowId::parse("2").unwrap())
        .await
        .unwrap();
    let states: Vec<_> = history
        .states
        .iter()
        .map(|state| (state.version.number, state.row.is_some()))
        .collect();
    assert_eq!(states, [(1, false), (0, true)]);
}

#[tokio::test]
async fn id_that_violates_its_constraints_is_rejected() {
    let lake = lake(
        declaration("", "'integer'\nid = { type = 'string', enum = ['1', '2'] }", ""),
        &["1", "2", "3"],
    )
    .await;
    let report = lake.run().await;
    assert_eq!(changes(&report), [2, 0, 0]);
    assert_eq!(lake.rejects().await, ["3.csv constraint"]);
}

#[tokio::test]
async fn vacuum_removes_the_copies_of_a_former_declaration() {
    fn later() -> Timestamp {
        now() + SignedDuration::from_hours(48)
    }
    let copied = |folder: &str| declaration("", "'integer'", &format!("{FILE}copy_to = 'processed_data/{folder}/{{id}}.png'\n"));
    let lake = lake(copied("old"), &["1", "2"]).await;
    lake.put("1.png", png("1")).await;
    lake.put("2.png", png("2")).await;
    lake.run().await;
    declare(&lake, copied("new")).await;
    lake.run().await;
    assert_eq!(lake.objects("processed_data/old/").await.len(), 2, "a young copy is kept");
    lake.advance_to(later());
    let options = RunOptions {
        clock: later,
        ..options(RunMode::Incremental)
    };
    assert_eq!(lake.run_with(&options).await.outcome, RunOutcome::Succeeded);
    assert_eq!(lake.objects("processed_data/old/").await.len(), 0);
    assert_eq!(lake.objects("processed_data/new/").await.len(), 2);
}
