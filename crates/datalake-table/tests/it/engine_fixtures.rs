//! Writes tables to a folder. `tests/readers/check.py` reads them with other engines and compares them with the CSV next to them.
//!
//! `target/tmp/tables/kept` has all its versions; in `cleaned`, a vacuum has removed log entries and files.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc, time::Duration};

use datalake_core::{dataset::Dataset, keys, row::Row, row_id::RowId};
use datalake_store::{bucket::Bucket, folder::FolderBucket};
use datalake_table::{settings::TableSettings, table::Table};

use crate::support::{details_at, edit_model, excluded, id, row, rows, users, write};

const VERSIONS: u64 = 45;

fn csv(rows: &BTreeMap<RowId, Row>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = "user_id,first_name,last_name,birthts,img_path\n".to_owned();
    for row in rows.values() {
        let image = row
            .file(0)
            .map(|_| Dataset::users().files()[0].path_of(&row.row_id))
            .unwrap_or_default();
        let [first, last, birth] = [0, 1, 2].map(|index| row.values[index].as_ref().unwrap().to_string());
        let (first, last) = (quoted(&first), quoted(&last));
        writeln!(csv, "{},{first},{last},{birth},{image}", row.row_id).unwrap();
    }
    csv
}

/// Makes the files of the table a month older.
fn age(root: &Path) {
    let folders = [keys::LOG, keys::INGEST, keys::TABLE].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let file = std::fs::File::options().append(true).open(file).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - Duration::from_hours(30 * 24)).unwrap();
    }
}

/// Writes versions with additions, changes and removals of users. A month passes before version `aged`.
async fn filled(root: &Path, aged: Option<u64>) -> Table {
    if root.exists() {
        std::fs::remove_dir_all(root).unwrap();
    }
    std::fs::create_dir_all(root).unwrap();
    let bucket: Arc<dyn Bucket> = Arc::new(FolderBucket::new(root.to_owned()));
    let table = Table::with_settings(
        Arc::clone(&bucket),
        TableSettings {
            data_file_rows_max: 50,
            commits_per_checkpoint: 20,
        },
    );
    let mut current = None;
    let mut model = BTreeMap::new();
    for number in 0..VERSIONS {
        if aged == Some(number) {
            age(root);
        }
        let value = u8::try_from(number).unwrap();
        let changed = if number == 0 { 0..200 } else { number * 7..number * 7 + 5 };
        let mut changes: BTreeMap<RowId, Option<Row>> = changed
            .map(|user| user.to_string())
            .map(|user| (id(&user), Some(row(&user, value))))
            .collect();
        if number > 0 {
            changes.insert(id(&(number * 4).to_string()), None);
        }
        let edits = edit_model(&mut model, changes);
        let staged = table.stage(current.as_ref(), &users(), edits).await.unwrap();
        let rejects = [excluded(&format!("src-data/{}.csv", number / 10))];
        let details = details_at(1_700_000_000 + i64::from(value));
        current = Some(table.commit(current.as_ref(), staged, &rejects, &details).await.unwrap());
        if number == 7 {
            write(&*bucket, "version-7.csv", csv(&model)).await;
        }
    }
    write(&*bucket, keys::OUTPUT, csv(&model)).await;
    assert_eq!(rows(&table, &current.unwrap()).await, model);
    table
}

#[tokio::test]
async fn tables_for_other_engines_are_written() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tables");
    let kept = filled(&root.join("kept"), None).await;
    assert_eq!(kept.at(7).await.unwrap().number(), 7);

    // Version 39 was the newest for a month. The vacuum writes its checkpoint, because the entries after the checkpoint of version 20 would
    // be kept for too long.
    let cleaned = filled(&root.join("cleaned"), Some(40)).await;
    let summary = cleaned.vacuum().await.unwrap();
    assert!(cleaned.at(38).await.is_err());
    assert_eq!(cleaned.at(39).await.unwrap().number(), 39);
    assert!(summary.data_files_removed > 0, "{summary:?}");
    assert!(summary.rejects_files_removed > 0, "{summary:?}");
    let latest = cleaned.latest().await.unwrap().unwrap();
    assert_eq!(u64::try_from(rows(&cleaned, &latest).await.len()).unwrap(), latest.row_count());
}
