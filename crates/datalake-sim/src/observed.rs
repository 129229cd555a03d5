//! What the store shows at one moment: fingerprints of its objects, and the table as a new reader loads it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    sync::Arc,
};

use datalake_core::{
    keys, output,
    query::column::Column,
    user::{Ages, Day},
};
use datalake_store::{
    bucket::Object,
    memory::MemoryBucket,
    simulation::{self, Bug},
};
use datalake_table::table::Table;
use futures_util::{FutureExt, TryStreamExt};

/// SHA-256 of an entry's bytes, in hexadecimal digits.
pub(crate) type EntryDigest = String;

/// Digests of the store's objects, kept up to date write by write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprints {
    by_key: BTreeMap<Rc<str>, [u64; 2]>,
    /// Everything, times included; of a run's report nothing but its key.
    pub(crate) all: u64,
    /// What decides how the table loads; without times.
    pub(crate) table: u64,
    /// The sources' keys, ETags and times.
    pub(crate) sources: u64,
}

/// Whether the table's content depends on the object.
fn is_of_table(key: &str) -> bool {
    key.starts_with(keys::TABLE) && (!key.starts_with(keys::INGEST) || keys::is_rejects_file(key))
}

impl Fingerprints {
    pub(crate) fn of(store: &MemoryBucket) -> Self {
        let mut fingerprints = Self::default();
        for object in store.peek_all("") {
            fingerprints.set(&object.meta.key, Some(&object));
        }
        fingerprints
    }

    /// Takes over the present state of an object, and returns whether it differs from the state before.
    pub(crate) fn refresh(&mut self, store: &MemoryBucket, key: &str) -> bool {
        let before = self.all;
        self.set(key, store.peek(key).as_ref());
        before != self.all
    }

    /// Keys of objects that are not the same in both.
    pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
        let all = self.by_key.keys().chain(other.by_key.keys());
        let differs = |key: &&Rc<str>| self.by_key.get(*key) != other.by_key.get(*key);
        let differing: std::collections::BTreeSet<_> = all.filter(differs).map(ToString::to_string).collect();
        differing.into_iter().collect()
    }

    fn set(&mut self, key: &str, object: Option<&Object>) {
        let before = match object {
            Some(object) => self.by_key.insert(key.into(), fingerprint(object)),
            None => self.by_key.remove(key),
        };
        let [all_before, table_before] = before.unwrap_or_default();
        let [all, table] = self.by_key.get(key).copied().unwrap_or_default();
        self.all = self.all.wrapping_sub(all_before).wrapping_add(all);
        if is_of_table(key) {
            self.table = self.table.wrapping_sub(table_before).wrapping_add(table);
        }
        if key.starts_with(keys::SOURCES) {
            self.sources = self.sources.wrapping_sub(all_before).wrapping_add(all);
        }
    }
}

fn fingerprint(object: &Object) -> [u64; 2] {
    let mut hasher = DefaultHasher::new();
    object.meta.key.hash(&mut hasher);
    if object.meta.key.starts_with(keys::RUNS) {
        return [hasher.finish(); 2];
    }
    (&object.meta.etag, &object.metadata).hash(&mut hasher);
    let content = hasher.finish();
    object.meta.modified.hash(&mut hasher);
    [hasher.finish(), content]
}

/// A row as the table records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenRow {
    pub(crate) user_id: String,
    /// ETag of the CSV that the row was read from.
    pub(crate) csv: String,
    /// ETag of the image source that the row links.
    pub(crate) image: Option<String>,
}

/// A version as a reader loads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) table_id: String,
    pub(crate) number: u64,
    /// Of its entry; none where only a checkpoint is left of the version.
    pub(crate) digest: Option<EntryDigest>,
    /// The digest of the base entry that the entry records.
    pub(crate) base: Option<EntryDigest>,
    /// The run that its entry names.
    pub(crate) run_id: Option<String>,
    /// By user.
    pub(crate) rows: Vec<SeenRow>,
    /// `output.csv` of the version.
    pub(crate) output: String,
    /// Users whose present source is rejected.
    pub(crate) rejected: Vec<String>,
}

/// The newest version, none where there is no table, or why it does not load.
pub(crate) type Load = Result<Option<Rc<Loaded>>, String>;

/// States of the table whose load is remembered. One takes a few KiB.
const LOADS_MAX: usize = 50_000;

thread_local! {
    static LOADS: RefCell<HashMap<(Option<Bug>, u64), Load>> = RefCell::default();
}

/// Loads the newest version and all its rows as a new reader does. Equal states of the table are loaded once.
pub(crate) fn load(store: &MemoryBucket, fingerprints: &Fingerprints) -> Load {
    let state = (simulation::bug(), fingerprints.table);
    if let Some(load) = LOADS.with_borrow(|loads| loads.get(&state).cloned()) {
        return load;
    }
    let load = load_now(store);
    LOADS.with_borrow_mut(|loads| {
        if loads.len() >= LOADS_MAX {
            loads.clear();
        }
        loads.insert(state, load.clone());
    });
    load
}

fn load_now(store: &MemoryBucket) -> Load {
    let table = Table::new(Arc::new(store.clone()));
    let loading = async {
        let Some(version) = table.latest().await? else { return Ok(None) };
        let mut rows = Vec::new();
        let mut batches = table.known(&version).await;
        while let Some(batch) = batches.try_next().await? {
            rows.extend(batch.into_iter().map(|row| SeenRow {
                user_id: row.user_id.to_string(),
                csv: row.csv_etag.into(),
                image: row.image.map(|(etag, _)| etag.into()),
            }));
        }
        let rejected = table.refusals(&version).await?;
        let rejected = rejected
            .iter()
            .filter(|open| matches!(open.exclusion, datalake_core::reject::Exclusion::Rejected(_)))
            .filter_map(|open| open.user_id.as_ref().map(ToString::to_string));
        let output = shown(&table, &version).await?;
        let entry = store.peek(&keys::log_entry(version.number()));
        let described = entry.as_ref().map(|entry| described(&entry.bytes)).unwrap_or_default();
        Ok(Some(Rc::new(Loaded {
            table_id: version.table_id().to_owned(),
            number: version.number(),
            digest: entry.map(|entry| digest(&entry.bytes)),
            base: described.base,
            run_id: described.run_id,
            rows,
            output,
            rejected: rejected.collect(),
        })))
    };
    let loaded: Option<Result<_, datalake_table::error::TableError>> = loading.now_or_never();
    loaded.expect("the store in memory answers at once").map_err(|error| words(&error))
}

/// `output.csv` of a version.
pub(crate) async fn shown(
    table: &Table,
    version: &datalake_table::delta::version::Version,
) -> Result<String, datalake_table::error::TableError> {
    let mut text = String::new();
    let ages = Ages::on(Day::FIRST);
    output::push_header(&mut text, &Column::STORED);
    let mut batches = table.shown(version);
    while let Some(rows) = batches.try_next().await? {
        for row in rows.iter() {
            output::push_line(&mut text, &row, &Column::STORED, ages);
        }
    }
    Ok(text)
}

/// An error with its causes.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

/// What an entry records, read without the product's own code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) base: Option<EntryDigest>,
    pub(crate) run_id: Option<String>,
}

pub(crate) fn described(entry: &[u8]) -> Described {
    let lines = entry.split(|byte| *byte == b'\n');
    let own = lines
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find_map(|action| action.get("commitInfo")?.get("datalake").cloned());
    let text = |name: &str| own.as_ref()?.get(name)?.as_str().map(ToOwned::to_owned);
    Described {
        base: text("base"),
        run_id: text("run_id"),
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> EntryDigest {
    datalake_table::digest::Digest::of(bytes).to_string()
}
