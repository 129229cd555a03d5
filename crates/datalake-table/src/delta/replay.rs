//! Replays actions to get the state of the table. Performs no I/O.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::keys;
use datalake_store::simulation::{self, Bug};
use jiff::Timestamp;

use crate::{
    delta::{
        actions::{Action, Add, Metadata, OwnInfo, Protocol, Remove, Transaction},
        data_file::{DataFile, percent_decoded},
        id_bounds::{self, RowsAndBounds},
        schema::{self, TableSchema},
        version::{Author, CommitFacts, Lost, State},
    },
    digest::Digest,
    error::TableError,
};

/// The state to which actions are applied.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    protocol: Option<Protocol>,
    metadata: Option<Metadata>,
    /// The columns that `metadata` declares.
    schema: Option<Arc<TableSchema>>,
    /// The object with the last protocol or metadata.
    declared_in: String,
    /// By decoded path, because a path can be encoded in different ways.
    files: BTreeMap<String, File>,
    tombstones: BTreeMap<String, Remove>,
    transactions: BTreeMap<String, Transaction>,
    commit: Option<CommitFacts>,
    continues: Option<Digest>,
}

#[derive(Debug)]
enum File {
    Known(Arc<DataFile>),
    Added(Add),
}

impl Replay {
    /// Continues from a state.
    pub(crate) fn from_state(state: &State) -> Self {
        Self {
            protocol: Some(state.protocol.clone()),
            metadata: Some(state.metadata.clone()),
            schema: Some(Arc::clone(&state.schema)),
            declared_in: String::new(),
            files: state
                .data_files
                .iter()
                .map(|file| (percent_decoded(&file.path), File::Known(Arc::clone(file))))
                .collect(),
            tombstones: state.tombstones.clone(),
            transactions: state.transactions.clone(),
            commit: None,
            continues: Some(state.digest),
        }
    }

    /// Applies the actions of a checkpoint or of the next entry.
    pub(crate) fn apply(&mut self, key: &str, actions: Vec<Action>) -> Result<(), TableError> {
        for action in actions {
            self.apply_one(key, action).map_err(|error| error.in_object(key))?;
        }
        Ok(())
    }

    fn apply_one(&mut self, key: &str, action: Action) -> Result<(), TableError> {
        if let Some(protocol) = action.protocol {
            self.protocol = Some(protocol);
            key.clone_into(&mut self.declared_in);
        }
        if let Some(metadata) = action.meta_data {
            if !self.schema.as_ref().is_some_and(|schema| schema.is_of(&metadata)) {
                self.schema = Some(Arc::new(TableSchema::of_metadata(&metadata)?));
            }
            self.metadata = Some(metadata);
            key.clone_into(&mut self.declared_in);
        }
        if let Some(transaction) = action.txn {
            self.transactions.insert(transaction.app_id.clone(), transaction);
        }
        if let Some(remove) = action.remove {
            let path = percent_decoded(&remove.path);
            self.files.remove(&path);
            self.tombstones.insert(path, remove);
        }
        if let Some(add) = action.add {
            check_add(key, &add)?;
            let path = percent_decoded(&add.path);
            self.tombstones.remove(&path);
            self.files.insert(path, File::Added(add));
        }
        Ok(())
    }

    /// Sets the facts of the newest entry.
    pub(crate) fn set_commit_facts(&mut self, facts: CommitFacts) {
        self.commit = Some(facts);
    }

    /// The columns of the table. None before the metadata.
    pub(crate) fn schema(&self) -> Option<&Arc<TableSchema>> {
        self.schema.as_ref()
    }

    /// The files whose entries have no row counts or bounds of IDs, which have to be read.
    pub(crate) fn files_without_bounds(&self) -> Vec<String> {
        let Some(schema) = &self.schema else { return Vec::new() };
        let needy = |(path, file): (&String, &File)| match file {
            File::Added(add) if RowsAndBounds::of(add, schema).is_none() => Some(path.clone()),
            File::Added(_) | File::Known(_) => None,
        };
        self.files.iter().filter_map(needy).collect()
    }

    /// Sets the rows and bounds of a file of [`Replay::files_without_bounds`].
    pub(crate) fn set_file_bounds(&mut self, path: &str, found: &RowsAndBounds) {
        if let (Some(File::Added(add)), Some(schema)) = (self.files.get_mut(path), &self.schema) {
            id_bounds::complete(add, schema, found);
        }
    }

    /// The state of version `number`, whose entry has this digest.
    pub(crate) fn finish(self, number: u64, digest: Digest) -> Result<State, TableError> {
        let missing = |what: &str| TableError::corrupt(keys::log_entry(number), format!("neither it nor an earlier entry contains {what}"));
        let protocol = self.protocol.ok_or_else(|| missing("a protocol"))?;
        let metadata = self.metadata.ok_or_else(|| missing("metaData"))?;
        let schema = self.schema.ok_or_else(|| missing("metaData"))?;
        schema::check_supported(&protocol, &metadata, &schema).map_err(|error| error.in_object(&self.declared_in))?;
        let file = |(path, file): (String, File)| match file {
            File::Known(file) => Ok(file),
            File::Added(add) => data_file(&path, add, &schema).map(Arc::new),
        };
        let mut data_files = self.files.into_iter().map(file).collect::<Result<Vec<_>, _>>()?;
        data_files.sort_by(|a, b| a.compare(b));
        let commit = self.commit.unwrap_or(CommitFacts {
            committed_at: Timestamp::UNIX_EPOCH,
            author: Author::Unknown,
            operation: None,
            run_id: None,
            counts: None,
            base: None,
        });
        Ok(State {
            number,
            digest,
            lost: Lost::default(),
            continues: self.continues,
            commit,
            protocol,
            metadata,
            schema,
            data_files,
            tombstones: self.tombstones,
            transactions: self.transactions,
        })
    }
}

/// The facts in the actions of an entry. `stored_at` is the modification time of the entry, for entries without a timestamp.
pub(crate) fn commit_facts(actions: &[Action], stored_at: Timestamp) -> CommitFacts {
    let described = actions.iter().find_map(|action| action.commit_info.as_ref());
    let own = described.and_then(OwnInfo::of);
    let base = own.as_ref().and_then(|own| Digest::parse(own.base.as_deref()?));
    let made_ms = described.and_then(|described| described.get("timestamp")?.as_i64());
    let operation = described.and_then(|described| described.get("operation")?.as_str());
    let author = match &own {
        Some(_) => Author::Run,
        None if actions.is_empty() => Author::Unknown,
        None => Author::OtherEngine,
    };
    CommitFacts {
        author,
        operation: operation.map(Into::into),
        // A writer's clock may be ahead, and the objects of a copied log are newer than its commits. The earlier time is right in both
        // cases.
        committed_at: made_ms
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map_or(stored_at, |made_at| match simulation::has(Bug::AsOfTrustsWriterClock) {
                true => made_at,
                false => made_at.min(stored_at),
            }),
        counts: own.as_ref().map(|own| own.counts.clone()),
        run_id: own.map(|own| own.run_id),
        base,
    }
}

pub(crate) fn check_add(key: &str, add: &Add) -> Result<(), TableError> {
    if add.deletion_vector.as_ref().is_some_and(|vector| !vector.is_null()) {
        return Err(TableError::unsupported(format!("deletion vectors (of file {})", add.path)));
    }
    if add.partition_values.as_ref().is_some_and(|values| !values.is_empty()) {
        return Err(TableError::unsupported(format!("partition values (of file {})", add.path)));
    }
    if add.path.starts_with('/') || add.path.contains("://") {
        return Err(TableError::unsupported(format!(
            "data files outside the table, as in a shallow clone ({})",
            add.path
        )));
    }
    if add.path.split('/').any(|part| part == "..") {
        return Err(TableError::corrupt(key, format!("its data file {} is outside the table", add.path)));
    }
    Ok(())
}

fn data_file(path: &str, add: Add, schema: &TableSchema) -> Result<DataFile, TableError> {
    let damaged = |reason: &str| TableError::corrupt(keys::table_file(path), reason);
    let RowsAndBounds { rows, min_id, max_id } = RowsAndBounds::of(&add, schema).ok_or_else(|| damaged("its rows could not be counted"))?;
    let size = u64::try_from(add.size).map_err(|_| damaged("its size in the log is negative"))?;
    Ok(DataFile {
        path: add.path.as_str().into(),
        size,
        rows,
        min_id,
        max_id,
        add: Arc::new(add),
    })
}

#[cfg(test)]
mod tests {
    use datalake_core::dataset::Dataset;

    use super::*;

    fn users() -> TableSchema {
        TableSchema::of(Dataset::shared_users())
    }

    fn replayed(lines: &[&str]) -> Result<State, TableError> {
        let mut replay = Replay::default();
        let metadata = schema::metadata("id".into(), 0, &users(), &schema::RejectsState::default());
        let begin = Action {
            protocol: Some(schema::protocol()),
            meta_data: Some(metadata),
            ..Action::default()
        };
        replay.apply("begin", vec![begin])?;
        let actions = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        replay.apply("entry", actions)?;
        replay.finish(1, Digest::of(b""))
    }

    #[track_caller]
    fn check(lines: &[&str], expected_paths: &[&str]) {
        let state = replayed(lines).unwrap();
        let paths: Vec<&str> = state.data_files.iter().map(|file| &*file.path).collect();
        assert_eq!(paths, expected_paths, "lines: {lines:?}");
    }

    #[track_caller]
    fn check_rejected(line: &str, expected: &str) {
        let error = replayed(&[line]).unwrap_err().to_string();
        assert!(error.contains(expected), "line: {line}, error: {error}");
    }

    fn add(path: &str, least: &str) -> String {
        let stats = format!(r#"{{\"numRecords\":1,\"minValues\":{{\"user_id\":\"{least}\"}},\"maxValues\":{{\"user_id\":\"{least}\"}}}}"#);
        format!(r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":1,"modificationTime":0,"dataChange":true,"stats":"{stats}"}}}}"#)
    }

    #[test]
    fn unsupported_parts_are_reported_with_the_object_that_needs_them() {
        for line in [
            r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}"#,
            r#"{"add":{"path":"s3://other/a","partitionValues":{},"size":1,"modificationTime":0,"dataChange":true}}"#,
        ] {
            let error = replayed(&[line]).unwrap_err().to_string();
            assert!(
                error.contains("entry: ") && error.contains("datalake repair"),
                "line: {line}, error: {error}"
            );
        }
    }

    #[test]
    fn adds_and_removes_are_applied() {
        check(&[&add("b", "2"), &add("a", "3"), &add("c", "1")], &["c", "b", "a"]);
        check(&[&add("a", "1"), r#"{"remove":{"path":"a","dataChange":true}}"#], &[]);
        check(&[&add("a%20b", "1"), r#"{"remove":{"path":"a b","dataChange":true}}"#], &[]);
        check(&[r#"{"remove":{"path":"a","dataChange":true}}"#, &add("a", "1")], &["a"]);
        check(
            &[
                r#"{"domainMetadata":{"domain":"x"}}"#,
                r#"{"cdc":{}}"#,
                r#"{"commitInfo":{"timestamp":"odd"}}"#,
                &add("a", "1"),
            ],
            &["a"],
        );
        check(&[r#"{"txn":{"appId":"stream","version":7}}"#, &add("a", "1")], &["a"]);
    }

    #[test]
    fn unsupported_actions_are_rejected() {
        check_rejected(
            r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"]}}"#,
            "v2Checkpoint",
        );
        check_rejected(r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":4}}"#, "writer version 4");
        check_rejected(
            &add("a", "1").replace("\"size\"", "\"deletionVector\":{},\"size\""),
            "deletion vectors",
        );
        check_rejected(
            &add("a", "1").replace("\"partitionValues\":{}", "\"partitionValues\":{\"x\":\"1\"}"),
            "partition values",
        );
        check_rejected(&add("s3://other/a", "1"), "outside the table");
        check_rejected(&add("../a", "1"), "outside the table");
        check_rejected(&add("a", "1").replace("numRecords", "other"), "could not be counted");
    }

    #[test]
    fn unsupported_metadata_is_rejected() {
        let base = schema::metadata("id".into(), 0, &users(), &schema::RejectsState::default());
        let check = |change: &dyn Fn(&mut Metadata), expected: &str| {
            let mut metadata = base.clone();
            change(&mut metadata);
            let error = schema::check_supported(&schema::protocol(), &metadata, &users())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        };
        let set = |metadata: &mut Metadata, name: &str, value: &str| {
            metadata
                .configuration
                .get_or_insert_default()
                .insert(name.into(), Some(value.into()));
        };
        check(&|m| m.partition_columns = Some(vec!["x".into()]), "partition columns");
        check(&|m| set(m, "delta.columnMapping.mode", "name"), "column mapping");
        check(&|m| set(m, "delta.appendOnly", "true"), "append-only");
        check(&|m| m.format.provider = "orc".into(), "orc");
        check(&|m| set(m, "datalake.format", "3"), "datalake.format is 3");
        check(&|m| set(m, "datalake.format", "x"), "datalake.format is x");
        check(
            &|m| m.schema_string = m.schema_string.replace("first_name", "forename"),
            "column first_name",
        );
        check(
            &|m| m.schema_string = m.schema_string.replace("\"long\"", "\"integer\""),
            "column birthts has another type",
        );
        check(&|m| m.schema_string = r#"{"type":"struct","fields":[]}"#.into(), "column user_id");
        check(&|m| m.schema_string = "{".into(), "not a struct");
        check(
            &|m| {
                m.schema_string = m
                    .schema_string
                    .replacen("\"metadata\":{}", "\"metadata\":{\"delta.invariants\":\"x\"}", 1);
            },
            "an invariant",
        );
        check(
            &|m| {
                m.schema_string = m.schema_string.replacen(
                    "\"fields\":[",
                    "\"fields\":[{\"name\":\"city\",\"type\":\"string\",\"nullable\":false},",
                    1,
                );
            },
            "column city of another engine",
        );
        assert!(schema::check_supported(&schema::protocol(), &base, &users()).is_ok());
    }
}
