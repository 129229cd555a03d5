//! The size of data files, the frequency of checkpoints and the kind of store do not change what readers see.

use std::sync::Arc;

use datalake_core::{keys, run::RunMode};
use datalake_processor::options::RunOptions;
use datalake_store::folder::FolderBucket;
use datalake_table::settings::TableSettings;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    edit_sequences::{Edit, VisibleState, apply, edit},
    lake::{TestLake, csv, options},
};

/// The store of the lake with small data files.
#[derive(Clone, Copy, Debug)]
enum StoreKind {
    Memory,
    Folder,
}

fn settings() -> impl Strategy<Value = TableSettings> {
    (1..4_usize, 1..4_u64).prop_map(|(data_file_rows_max, commits_per_checkpoint)| TableSettings {
        data_file_rows_max,
        commits_per_checkpoint,
    })
}

fn store_kind() -> impl Strategy<Value = StoreKind> {
    // Folders are slow, and a few sequences are enough to find a difference.
    prop_oneof![24 => Just(StoreKind::Memory), 1 => Just(StoreKind::Folder)]
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

/// Applies the same sequence of edits to two lakes, one with small data files.
async fn check(store: StoreKind, settings: TableSettings, sequence: Vec<Vec<Edit>>) {
    let folder = TempDir::new().unwrap();
    let small = match store {
        StoreKind::Memory => TestLake::new(),
        StoreKind::Folder => TestLake::over(Arc::new(FolderBucket::new(folder.path().to_owned())), Arc::default()),
    };
    let large = TestLake::new();
    for lake in [&small, &large] {
        lake.put("always.csv", csv("Ada", "Always", 1)).await;
    }
    for edits in sequence {
        for edit in &edits {
            apply(&small, edit).await;
            apply(&large, edit).await;
        }
        large.run().await;
        let expected = VisibleState::of(&large).await;
        run(&small, settings, RunMode::Incremental).await;
        assert_eq!(VisibleState::of(&small).await, expected, "{settings:?}, after {edits:?}");
        assert!(
            !run(&small, settings, RunMode::Incremental).await,
            "a second run has nothing to do, after {edits:?}"
        );
        run(&small, settings, RunMode::Full).await;
        assert_eq!(
            VisibleState::of(&small).await,
            expected,
            "a full run gives the same result, after {edits:?}"
        );
    }
}

proptest! {
    // Independent of `PROPTEST_CASES`, because folders are slow, and `edit_sequences.rs` covers many sequences.
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn small_data_files_give_the_same_results(
        store in store_kind(),
        settings in settings(),
        sequence in prop::collection::vec(prop::collection::vec(edit(), 1..8), 1..5),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check(store, settings, sequence));
    }
}

/// Checks that the settings take effect.
#[tokio::test]
async fn data_files_are_split_merged_and_checkpointed() {
    let settings = TableSettings {
        data_file_rows_max: 2,
        commits_per_checkpoint: 2,
    };
    let lake = TestLake::new();
    let data_files = async || lake.table().latest().await.unwrap().unwrap().data_files().len();
    for id in 0..9 {
        lake.put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
    }
    run(&lake, settings, RunMode::Incremental).await;
    let split = data_files().await;
    assert!(split >= 5, "{split} data files");
    for id in 0..8 {
        lake.remove(&format!("{id}.csv")).await;
        run(&lake, settings, RunMode::Incremental).await;
    }
    assert_eq!(data_files().await, 1);
    assert!(lake.text(keys::LAST_CHECKPOINT).await.unwrap().contains("\"version\":8"));
    assert_eq!(lake.rows().await, ["8,Ada,Lee,8,"]);
}
