//! Tables in a folder for other engines to read: `tests/readers/check.py` compares them with the CSV beside them.
//!
//! `target/tmp/tables/kept` has all its versions; of `cleaned` the log was cleaned up and the files vacuumed.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc, time::Duration};

use datalake_core::{keys, row::Row, user::UserId};
use datalake_store::{bucket::Bucket, folder::FolderBucket};
use datalake_table::{delta::rows::Edit, settings::TableSettings, table::Table};

use crate::support::{details_at, id, refusal, row, rows, write};

const VERSIONS: u64 = 45;

fn csv(rows: &BTreeMap<UserId, Row>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = "user_id,first_name,last_name,birthts,img_path\n".to_owned();
    for row in rows.values() {
        let image = row.image.as_ref().map(|_| keys::image(row.user_id.as_str())).unwrap_or_default();
        let (first, last, birth) = (
            quoted(&row.record.first_name),
            quoted(&row.record.last_name),
            row.record.birth.as_ms(),
        );
        writeln!(csv, "{},{first},{last},{birth},{image}", row.user_id).unwrap();
    }
    csv
}

/// A month passes: the table's files are so much older.
fn age(root: &Path) {
    let folders = [keys::LOG, keys::INGEST, keys::TABLE].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let file = std::fs::File::options().append(true).open(file).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - Duration::from_hours(30 * 24)).unwrap();
    }
}

/// Users come, change and go. A month passes before version `aged`.
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
    let mut held = None;
    let mut model = BTreeMap::new();
    for number in 0..VERSIONS {
        if aged == Some(number) {
            age(root);
        }
        let value = u8::try_from(number).unwrap();
        let users = if number == 0 { 0..200 } else { number * 7..number * 7 + 5 };
        let mut changes: BTreeMap<UserId, Option<Row>> = users
            .map(|user| user.to_string())
            .map(|user| (id(&user), Some(row(&user, value))))
            .collect();
        if number > 0 {
            changes.insert(id(&(number * 4).to_string()), None);
        }
        for (user_id, row) in &changes {
            match row {
                Some(row) => drop(model.insert(user_id.clone(), row.clone())),
                None => drop(model.remove(user_id)),
            }
        }
        let edits = changes
            .into_iter()
            .map(|(user_id, row)| row.map_or(Edit::Remove(user_id), Edit::Put))
            .collect();
        let staged = table.stage(held.as_ref(), edits).await.unwrap();
        let refusals = [refusal(&format!("src-data/{}.csv", number / 10))];
        let details = details_at(1_700_000_000 + i64::from(value));
        held = Some(table.commit(held.as_ref(), staged, &refusals, &details).await.unwrap());
        if number == 7 {
            write(&*bucket, "version-7.csv", csv(&model)).await;
        }
    }
    write(&*bucket, keys::OUTPUT, csv(&model)).await;
    assert_eq!(rows(&table, &held.unwrap()).await, model);
    table
}

#[tokio::test]
async fn tables_for_other_engines() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tables");
    let kept = filled(&root.join("kept"), None).await;
    assert_eq!(kept.at(7).await.unwrap().number(), 7);

    // Version 39 was the newest for a month: the vacuum writes its checkpoint, since the entries after that of version 20 would linger.
    let cleaned = filled(&root.join("cleaned"), Some(40)).await;
    let summary = cleaned.vacuum().await.unwrap();
    assert!(cleaned.at(38).await.is_err());
    assert_eq!(cleaned.at(39).await.unwrap().number(), 39);
    assert!(summary.data_files_removed > 0, "{summary:?}");
    assert!(summary.rejects_files_removed > 0, "{summary:?}");
    let latest = cleaned.latest().await.unwrap().unwrap();
    assert_eq!(u64::try_from(rows(&cleaned, &latest).await.len()).unwrap(), latest.row_count());
}
