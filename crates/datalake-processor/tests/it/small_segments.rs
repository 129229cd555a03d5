//! Into how many segments the table is split, and how often it is checkpointed, shows in nothing but its files; nor does the kind of store.
//!
//! `PROPTEST_CASES` is the number of histories.

use std::sync::Arc;

use datalake_core::{keys, report::RunMode};
use datalake_processor::options::RunOptions;
use datalake_store::folder::FolderBucket;
use datalake_table::settings::TableSettings;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    histories::{Edit, Shown, apply, edit},
    lake::{TestLake, csv, options},
};

/// Where the lake with small segments lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    Memory,
    Folder,
}

fn settings() -> impl Strategy<Value = TableSettings> {
    (1..4_usize, 1..4_u64).prop_map(|(data_file_rows_max, commits_per_checkpoint)| TableSettings {
        data_file_rows_max,
        commits_per_checkpoint,
    })
}

fn place() -> impl Strategy<Value = Place> {
    // Files are slow: a few of all the histories are enough to tell a difference.
    prop_oneof![24 => Just(Place::Memory), 1 => Just(Place::Folder)]
}

async fn run(lake: &TestLake, settings: TableSettings, mode: RunMode) -> bool {
    let report = lake
        .run_with(&RunOptions {
            table: settings,
            ..options(mode)
        })
        .await;
    assert_eq!((report.outcome.exit_status(), &report.error), (0, &None));
    report.committed == Some(true)
}

/// Two lakes with the same history, of which one has small segments.
async fn check(place: Place, settings: TableSettings, history: Vec<Vec<Edit>>) {
    let folder = TempDir::new().unwrap();
    let small = match place {
        Place::Memory => TestLake::new(),
        Place::Folder => TestLake::over(Arc::new(FolderBucket::new(folder.path().to_owned())), Arc::default()),
    };
    let large = TestLake::new();
    for lake in [&small, &large] {
        lake.put("always.csv", csv("Ada", "Always", 1)).await;
    }
    for edits in history {
        for edit in &edits {
            apply(&small, edit).await;
            apply(&large, edit).await;
        }
        large.run().await;
        let expected = Shown::of(&large).await;
        run(&small, settings, RunMode::Incremental).await;
        assert_eq!(Shown::of(&small).await, expected, "{settings:?}, after {edits:?}");
        assert!(
            !run(&small, settings, RunMode::Incremental).await,
            "a second run has nothing to do, after {edits:?}"
        );
        run(&small, settings, RunMode::Full).await;
        assert_eq!(Shown::of(&small).await, expected, "a full run says the same, after {edits:?}");
    }
}

proptest! {
    // Their number does not follow the environment: in folders each takes a while, and the many histories are those of `histories.rs`.
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn small_segments_show_the_same(
        place in place(),
        settings in settings(),
        history in prop::collection::vec(prop::collection::vec(edit(), 1..8), 1..5),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check(place, settings, history));
    }
}

/// The settings take effect: else the histories would try nothing new.
#[tokio::test]
async fn segments_are_split_merged_and_checkpointed() {
    let settings = TableSettings {
        data_file_rows_max: 2,
        commits_per_checkpoint: 2,
    };
    let lake = TestLake::new();
    let segments = async || lake.table().latest().await.unwrap().unwrap().data_files().len();
    for id in 0..9 {
        lake.put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
    }
    run(&lake, settings, RunMode::Incremental).await;
    let split = segments().await;
    assert!(split >= 5, "{split} segments");
    for id in 0..8 {
        lake.remove(&format!("{id}.csv")).await;
        run(&lake, settings, RunMode::Incremental).await;
    }
    assert_eq!(segments().await, 1);
    assert!(lake.text(keys::LAST_CHECKPOINT).await.unwrap().contains("\"version\":8"));
    assert_eq!(lake.rows().await, ["8,Ada,Lee,8,"]);
}
