//! After any sequence of edits, an incremental run, a full run and a run in an empty lake give the same bytes.
//!
//! `PROPTEST_CASES` is the number of sequences.

use std::collections::BTreeMap;

use datalake_core::{dataset::Dataset, keys, run::RunMode};
use datalake_store::memory::EtagInput;
use proptest::prelude::*;

use crate::lake::{COPIES, TestLake, copy_key, csv, png};

const IDS: [&str; 7] = ["1", "0001", "a", "a-b", "a.csv", "A", "b"];

/// One change of one object under `src-data/`.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Put {
        name: String,
        bytes: Vec<u8>,
    },
    Remove {
        name: String,
    },
    /// Puts the same bytes again, under another ETag.
    Touch {
        name: String,
        salt: u8,
    },
    /// Changes the case of the extension.
    Rename {
        from: String,
        to: String,
    },
}

fn csv_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..3_i64, "[A-C]").prop_map(|(birthts, name)| csv("Ada", &name, birthts).into_bytes()),
        1 => Just(b"first_name,last_name,birthts\nAda,\"Lee, \"\"J\"\"\nr\",5\n".to_vec()),
        1 => Just(b"first_name,last_name,birthts\nAda,Lee,5\nAda,Lee,5\n".to_vec()),
        1 => Just(b"".to_vec()),
        1 => Just(b"first_name,last_name,birthts\nAda,Lee,soon\n".to_vec()),
        1 => Just(b"first_name;last_name;birthts\nAda;Lee;5\n".to_vec()),
        1 => Just(vec![b'x'; 64 * 1024 + 1]),
    ]
}

fn png_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-c]".prop_map(|content| png(&content)),
        1 => Just(b"no image".to_vec()),
        1 => Just(png("a")[..20].to_vec()),
    ]
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    let id = || prop::sample::select(&IDS[..]);
    let csv_name = (id(), prop::bool::weighted(0.2)).prop_map(|(id, upper)| format!("{id}.{}", if upper { "CSV" } else { "csv" }));
    let png_name = (id(), prop::bool::weighted(0.2)).prop_map(|(id, upper)| format!("{id}.{}", if upper { "PNG" } else { "png" }));
    let touched_csv = csv_name.clone();
    prop_oneof![
        6 => (csv_name.clone(), csv_bytes()).prop_map(|(name, bytes)| Edit::Put { name, bytes }),
        4 => (png_name.clone(), png_bytes()).prop_map(|(name, bytes)| Edit::Put { name, bytes }),
        2 => csv_name.clone().prop_map(|name| Edit::Remove { name }),
        2 => png_name.clone().prop_map(|name| Edit::Remove { name }),
        2 => (prop_oneof![touched_csv, png_name], 0..3_u8).prop_map(|(name, salt)| Edit::Touch { name, salt }),
        1 => prop::sample::select(&["x/1.csv", "notes.txt", "é.csv"][..]).prop_map(|name| Edit::Put { name: name.to_owned(), bytes: Vec::new() }),
        2 => (id(), prop::sample::select(&["csv", "png"][..]), any::<bool>()).prop_map(|(id, extension, to_upper)| {
            let (lower, upper) = (format!("{id}.{extension}"), format!("{id}.{}", extension.to_uppercase()));
            if to_upper { Edit::Rename { from: lower, to: upper } } else { Edit::Rename { from: upper, to: lower } }
        }),
    ]
}

pub(crate) async fn apply(lake: &TestLake, edit: &Edit) {
    match edit {
        Edit::Put { name, bytes } => lake.put(name, bytes.clone()).await,
        Edit::Remove { name } => lake.remove(name).await,
        Edit::Touch { name, salt } => lake.touch(name, &salt.to_string()).await,
        Edit::Rename { from, to } => {
            if let Ok(object) = lake.bucket().get(&keys::source(from), None, None).await {
                lake.remove(from).await;
                lake.put(to, object.bytes).await;
            }
        }
    }
}

/// `output.csv`, the image copies, and the rows and rejects of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibleState {
    output: String,
    images: BTreeMap<String, bytes::Bytes>,
    rows: Vec<String>,
    rejects: Vec<String>,
}

impl VisibleState {
    pub(crate) async fn of(lake: &TestLake) -> Self {
        Self {
            output: lake.output().await,
            images: lake.objects(COPIES).await,
            rows: lake.rows().await,
            rejects: lake.rejects().await,
        }
    }

    /// Without the users whose current source is rejected: their last valid row is kept, and a run in an empty lake has none.
    fn without(mut self, user_ids: &[String]) -> Self {
        let is_other = |row: &str| !user_ids.iter().any(|id| row.split(',').next() == Some(id));
        self.rows.retain(|row| is_other(row));
        self.images.retain(|key, _| !user_ids.iter().any(|id| *key == copy_key(id)));
        self.output = records(&self.output).into_iter().filter(|record| is_other(record)).collect();
        self.rejects.retain(|reject| {
            !user_ids
                .iter()
                .any(|id| reject.to_lowercase().starts_with(&format!("{}.png ", id.to_lowercase())))
        });
        self
    }

    fn rejected_users(&self) -> Vec<String> {
        let rejected = self.rejects.iter().filter_map(|reject| reject.split_once(' '));
        rejected
            .filter(|(_, code)| datalake_core::reject::RejectCode::parse(code).is_some())
            .filter_map(|(name, _)| keys::parse_source(Dataset::users(), &keys::source(name)).ok())
            .map(|source| source.row_id.to_string())
            .collect()
    }
}

/// The records of a CSV, each with its line break. A quoted value may contain line breaks.
fn records(text: &str) -> Vec<&str> {
    let mut records = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => {
                records.push(&text[start..=index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    records
}

/// Puts every source again with the same bytes.
async fn touch_all(lake: &TestLake, salt: usize) {
    for key in lake.objects(keys::SOURCES).await.into_keys() {
        lake.touch(&key[keys::SOURCES.len()..], &format!("all-{salt}")).await;
    }
}

async fn check(sequence: Vec<Vec<Edit>>, etags: EtagInput) {
    let lake = TestLake::with_etags_of(etags);
    lake.put("always.csv", csv("Ada", "Always", 1)).await;
    lake.run().await;
    for (step, edits) in sequence.into_iter().enumerate() {
        for edit in &edits {
            apply(&lake, edit).await;
        }
        let report = lake.run().await;
        let is_touched_only = edits.iter().all(|edit| matches!(edit, Edit::Touch { .. }));
        assert!(
            !is_touched_only || report.committed == Some(false),
            "the same bytes are no change, after {edits:?}"
        );
        let incremental = VisibleState::of(&lake).await;
        assert!(
            lake.run().await.committed == Some(false),
            "a second run has nothing to do, after {edits:?}"
        );

        let full = lake.run_in(RunMode::Full).await;
        assert!(full.committed == Some(false), "a full run has nothing to do, after {edits:?}");
        assert_eq!(
            VisibleState::of(&lake).await,
            incremental,
            "a full run gives the same result, after {edits:?}"
        );

        touch_all(&lake, step).await;
        assert!(
            lake.run().await.committed == Some(false),
            "the same bytes are no change, after {edits:?}"
        );
        assert_eq!(
            VisibleState::of(&lake).await,
            incremental,
            "a run over the same bytes gives the same result, after {edits:?}"
        );

        let rebuilt = TestLake::with_etags_of(etags);
        for (key, bytes) in lake.objects(keys::SOURCES).await {
            rebuilt.put(&key[keys::SOURCES.len()..], bytes).await;
        }
        rebuilt.run().await;
        let rebuilt = VisibleState::of(&rebuilt).await;
        let rejected = incremental.rejected_users();
        if rejected.is_empty() {
            assert_eq!(
                rebuilt, incremental,
                "a run in an empty lake gives the same result, after {edits:?}"
            );
        } else {
            assert_eq!(
                rebuilt.without(&rejected),
                incremental.without(&rejected),
                "a run in an empty lake gives the same result, after {edits:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn incremental_run_full_run_and_rebuild_agree(
        sequence in prop::collection::vec(prop::collection::vec(edit(), 1..6), 1..5),
        etags in prop::sample::select(&[EtagInput::BytesAndMetadata, EtagInput::Bytes][..]),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check(sequence, etags));
    }
}
