//! After any sequence of edits of sources and of the declaration, an incremental run, a full run and a run in an empty lake give the same rows.
//!
//! `PROPTEST_CASES` is the number of sequences.

use std::{collections::BTreeSet, fmt::Write as _};

use datalake_core::{keys, run::RunMode};
use datalake_store::bucket::{Metadata, PutMode};
use proptest::prelude::*;

use crate::lake::{TestLake, png};

/// The names of sources in their folder, without extension: each has the values of some of the keys.
const NAMES: [&str; 9] = ["1", "0001", "a.b", "a", "a/1", "a/0-1", "a/1/x", "a-b/1", "a.b/2026-02-28"];
/// The keys, without folder and extension, and the types of their columns.
const KEYS: [(&str, &str); 6] = [
    ("{id}", ""),
    ("{id}", "id = 'integer'\n"),
    ("{group}/{id}", ""),
    ("{group}/{id}", "id = 'date'\n"),
    ("{group}/{id:[0-9]+}", "id = 'integer'\n"),
    ("{group}/{part}/{id}", ""),
];
const TYPES: [&str; 8] = ["string", "integer", "number", "boolean", "date", "datetime", "epoch_ms", "epoch_s"];
/// Each is valid for some of the types.
const VALUES: [&str; 8] = ["1", "-7", "2.50", "true", "2026-02-28", "2026-02-28T12:00:00.5+01:00", "", "text"];

/// The extensions and types of the files that a declaration can have.
const FILES: [(&str, &str); 3] = [("png", "image/png"), ("pdf", "application/pdf"), ("gif", "image/gif")];

/// The key; the types of the columns, and whether each has a value in every row; the files, and whether each is in a folder of its own and is copied.
#[derive(Clone, Debug)]
struct Declaration {
    key: (&'static str, &'static str),
    columns: Vec<(&'static str, bool)>,
    files: Vec<((&'static str, &'static str), [bool; 2])>,
}

impl Declaration {
    fn text(&self) -> String {
        let (key, types) = self.key;
        // Files have the placeholders without their rules.
        let path = key.replace(":[0-9]+", "");
        let mut text = format!("source.key = 'src-data/{key}.csv'\n[columns]\n{types}");
        for (index, (column_type, required)) in self.columns.iter().enumerate() {
            writeln!(text, "c{index} = {{ type = '{column_type}', required = {required} }}").unwrap();
        }
        for ((extension, media_type), [is_apart, is_copied]) in &self.files {
            let folder = if *is_apart { "files/" } else { "src-data/" };
            writeln!(
                text,
                "[files.{extension}]\nkey = '{folder}{path}.{extension}'\ntypes = ['{media_type}']"
            )
            .unwrap();
            if *is_copied {
                writeln!(text, "copy_to = 'processed_data/copies/{folder}{path}.{extension}'").unwrap();
            }
        }
        if let Some(((extension, _), _)) = self.files.last() {
            writeln!(text, "[derived]\nscanned = 'has({extension})'").unwrap();
        }
        text
    }
}

fn declaration() -> impl Strategy<Value = Declaration> {
    let column = (prop::sample::select(&TYPES[..]), prop::bool::weighted(0.3));
    let files = prop::sample::subsequence(&FILES[..], 0..=FILES.len()).prop_shuffle();
    let places = any::<[[bool; 2]; FILES.len()]>();
    let key = prop::sample::select(&KEYS[..]);
    (key, prop::collection::vec(column, 1..=3), files, places).prop_map(|(key, columns, files, places)| Declaration {
        key,
        columns,
        files: files.into_iter().zip(places).collect(),
    })
}

#[derive(Clone, Debug)]
enum Edit {
    Source { name: &'static str, values: Vec<&'static str> },
    File { key: String, bytes: Vec<u8> },
    Remove { key: String },
    Declare(Declaration),
}

/// The bytes of a file, which are often those of its type.
fn content(extension: &str, text: &str) -> Vec<u8> {
    match (extension, text) {
        ("png", _) => png(text),
        ("pdf", "a" | "b") => format!("%PDF-1.7 {text}").into(),
        ("gif", "a" | "b") => format!("GIF89a {text}").into(),
        _ => text.into(),
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let extension = || prop::sample::select(&FILES[..]).prop_map(|(extension, _)| extension);
    let file = |(folder, name, extension, text): (&str, &str, &str, String)| Edit::File {
        key: format!("{folder}{name}.{extension}"),
        bytes: content(extension, &text),
    };
    let removed = prop_oneof![Just("csv"), extension()];
    let name = || prop::sample::select(&NAMES[..]);
    let folder = || prop::sample::select(&["src-data/", "files/"][..]);
    let values = prop::collection::vec(prop::sample::select(&VALUES[..]), 3);
    prop_oneof![
        6 => (name(), values).prop_map(|(name, values)| Edit::Source { name, values }),
        6 => (folder(), name(), extension(), "[a-c]").prop_map(file),
        2 => (folder(), name(), removed).prop_map(|(folder, name, extension)| Edit::Remove { key: format!("{folder}{name}.{extension}") }),
        1 => declaration().prop_map(Edit::Declare),
    ]
}

async fn declare(lake: &TestLake, declaration: &Declaration) {
    put(lake, keys::DECLARATION, declaration.text().into_bytes()).await;
}

async fn put(lake: &TestLake, key: &str, bytes: Vec<u8>) {
    let (bucket, metadata) = (lake.bucket(), Metadata::new());
    bucket.put(key, bytes.into(), PutMode::Replace, &metadata).await.unwrap();
}

async fn apply(lake: &TestLake, edit: &Edit) {
    match edit {
        Edit::Source { name, values } => lake.put(&format!("{name}.csv"), format!("c0,c1,c2\n{}\n", values.join(","))).await,
        Edit::File { key, bytes } => put(lake, key, bytes.clone()).await,
        Edit::Remove { key } => lake.bucket().delete(key, None).await.unwrap(),
        Edit::Declare(declaration) => declare(lake, declaration).await,
    }
}

/// A lake with the same sources, after its first run.
async fn rebuilt(lake: &TestLake) -> TestLake {
    let other = TestLake::new();
    let sources = lake
        .objects("")
        .await
        .into_iter()
        .filter(|(key, _)| !key.starts_with(keys::PUBLISHED));
    for (key, bytes) in sources {
        other.bucket().put(&key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
    }
    other.run().await;
    other
}

/// The lines of `output.csv`, except those of rows with a rejected source: they may be kept from an earlier version.
async fn accepted(lake: &TestLake) -> Vec<String> {
    let rejects = lake.rejects().await;
    let rejected: BTreeSet<_> = rejects
        .iter()
        .filter_map(|reject| reject.split_once(' ')?.0.rsplit_once('.'))
        .map(|(name, _)| name.trim_start_matches("files/"))
        .collect();
    let output = lake.output().await;
    let header = output.lines().next().unwrap_or_default();
    let values = header.split(',').take_while(|column| *column != "c0").count();
    let name = |line: &str| line.split(',').take(values).collect::<Vec<_>>().join("/");
    let is_accepted = |line: &&str| !rejected.contains(name(line).as_str());
    output.lines().filter(is_accepted).map(str::to_owned).collect()
}

async fn rejected_csvs(lake: &TestLake) -> Vec<String> {
    let rejects = lake.rejects().await;
    rejects.into_iter().filter(|reject| reject.contains(".csv ")).collect()
}

/// The copies that accepted rows link have the bytes of their sources.
async fn check_copies(lake: &TestLake) {
    let objects = lake.objects("").await;
    let output = accepted(lake).await;
    let links = output.iter().flat_map(|line| line.split(','));
    for link in links.filter(|link| link.starts_with(keys::PUBLISHED)) {
        let source = link.replace("processed_data/copies/", "");
        assert!(objects.contains_key(link) && objects.get(link) == objects.get(&source), "{link}");
    }
}

async fn check(first: &Declaration, steps: &[Vec<Edit>]) {
    let lake = TestLake::new();
    declare(&lake, first).await;
    for edits in steps {
        for edit in edits {
            apply(&lake, edit).await;
        }
        let sources = lake.objects(keys::SOURCES).await;
        for name in ["1.csv", "a/1.csv", "a/1/x.csv", "a.b/2026-02-28.csv"] {
            if !sources.contains_key(&keys::source(name)) {
                lake.put(name, "c0,c1,c2\n1,1,1\n").await;
            }
        }
        lake.run().await;
        check_copies(&lake).await;
        let output = lake.output().await;
        let full = lake.run_in(RunMode::Full).await;
        assert_eq!(
            (full.committed, lake.output().await),
            (Some(false), output),
            "a full run changes nothing"
        );
        let other = rebuilt(&lake).await;
        assert_eq!(accepted(&lake).await, accepted(&other).await);
        assert_eq!(rejected_csvs(&lake).await, rejected_csvs(&other).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn incremental_run_full_run_and_rebuild_agree(
        first in declaration(),
        steps in prop::collection::vec(prop::collection::vec(edit(), 1..6), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(check(&first, &steps));
    }
}
