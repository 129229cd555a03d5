//! Every key of the lake, in both directions. Nothing else in the product formats or parses a key.

use std::sync::LazyLock;

use regex::Regex;

use crate::{reject::IgnoreCode, report::RunId, user::UserId};

/// Where the sources lie. The product never writes here, `init` and `demo` aside.
pub const SOURCES: &str = "src-data/";
/// The users as CSV: whole, sorted, replaced by each version.
pub const OUTPUT: &str = "processed_data/output.csv";
/// Where the copies of linked pictures lie.
pub const IMAGES: &str = "processed_data/images/";
/// Where the reports of runs lie.
pub const RUNS: &str = "processed_data/runs/";
/// The root of the Delta table.
pub const TABLE: &str = "processed_data/users/";
/// The table's transaction log.
pub const LOG: &str = "processed_data/users/_delta_log/";
/// The ingest state beside the table; Delta readers do not look into folders with `_`.
pub const INGEST: &str = "processed_data/users/_ingest/";
/// Names the newest checkpoint of the table.
pub const LAST_CHECKPOINT: &str = "processed_data/users/_delta_log/_last_checkpoint";
/// Written by each vacuum: its age tells when the next one is due.
pub const LAST_VACUUM: &str = "processed_data/users/_ingest/last_vacuum.json";

/// The kinds of sources that a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `{user_id}.csv`: the user.
    Csv,
    /// `{user_id}.png`: the user's picture.
    Image,
}

/// How the extension of a source is written. Where both exist, the lower-case one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `.csv`, `.png`
    Lower,
    /// `.CSV`, `.PNG`
    Upper,
}

/// A key under `src-data/` that names a user's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceKey {
    /// Whose source it is.
    pub user_id: UserId,
    /// Which of the user's sources.
    pub kind: SourceKind,
    /// How its extension is written.
    pub spelling: Spelling,
}

static SOURCE_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)^(.*)\.(csv|CSV|png|PNG)$").expect("the pattern is a constant that the tests compile"));

/// What a raw key under `src-data/` is: a user's source, an object to ignore, or none at all for the folder marker itself.
pub fn parse_source(key: &str) -> Result<SourceKey, IgnoreCode> {
    let name = key.strip_prefix(SOURCES).ok_or(IgnoreCode::UnknownKind)?;
    if name.contains('/') {
        return Err(IgnoreCode::Nested);
    }
    let captures = SOURCE_NAME.captures(name).ok_or(IgnoreCode::UnknownKind)?;
    let (_, [stem, extension]) = captures.extract();
    let (kind, spelling) = match extension {
        "csv" => (SourceKind::Csv, Spelling::Lower),
        "CSV" => (SourceKind::Csv, Spelling::Upper),
        "png" => (SourceKind::Image, Spelling::Lower),
        _ => (SourceKind::Image, Spelling::Upper),
    };
    let user_id = UserId::parse(stem).map_err(|_| IgnoreCode::BadId)?;
    Ok(SourceKey { user_id, kind, spelling })
}

/// The last key that any source of the user can have: listings are in key order, so past it the user's sources are all known.
pub(crate) fn last_source(user_id: &UserId) -> String {
    format!("{SOURCES}{user_id}.png")
}

/// What every source of a user whose id is not less than `user_id` begins at, or after.
pub(crate) fn first_source_from(user_id: &UserId) -> String {
    format!("{SOURCES}{user_id}")
}

/// The key of a source, by its file name.
pub fn source(name: &str) -> String {
    format!("{SOURCES}{name}")
}

/// The keys that a user's CSV can have; the first one counts where both exist.
pub fn csv_sources(user_id: &UserId) -> [String; 2] {
    ["csv", "CSV"].map(|extension| format!("{SOURCES}{user_id}.{extension}"))
}

/// The keys that a user's picture can have among the sources; the first one counts where both exist.
pub fn image_sources(user_id: &UserId) -> [String; 2] {
    ["png", "PNG"].map(|extension| format!("{SOURCES}{user_id}.{extension}"))
}

/// The copy of a user's picture, and the row's `img_path`.
pub fn image(user_id: &str) -> String {
    image_parts(user_id).concat()
}

/// [`image`] in parts, for who writes a million of them.
pub fn image_parts(user_id: &str) -> [&str; 3] {
    [IMAGES, user_id, ".png"]
}

/// Whose picture a key under `processed_data/images/` is; none where it is nobody's.
pub fn parse_image(key: &str) -> Option<UserId> {
    UserId::parse(key.strip_prefix(IMAGES)?.strip_suffix(".png")?).ok()
}

/// The report of a run.
pub fn run_report(run_id: &RunId) -> String {
    format!("{RUNS}{run_id}.json")
}

/// The run whose report lies under a key; none where it is no report.
pub fn parse_run_report(key: &str) -> Option<RunId> {
    RunId::parse(key.strip_prefix(RUNS)?.strip_suffix(".json")?).ok()
}

/// The log entry that makes a version of the table.
pub fn log_entry(version: u64) -> String {
    format!("{LOG}{version:020}.json")
}

/// A checkpoint of the table: the state at a version in one Parquet file.
pub fn checkpoint(version: u64) -> String {
    format!("{LOG}{version:020}.checkpoint.parquet")
}

/// What lies under a key of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKey {
    /// The entry that makes a version.
    Entry(u64),
    /// A checkpoint of a version.
    Checkpoint(u64),
}

/// The entry or checkpoint under a key; none for everything else in the log's folder.
pub fn parse_log(key: &str) -> Option<LogKey> {
    let name = key.strip_prefix(LOG)?;
    let version = |digits: &str| (digits.len() == 20).then(|| digits.parse().ok()).flatten();
    match name.split_once('.')? {
        (digits, "json") => version(digits).map(LogKey::Entry),
        (digits, "checkpoint.parquet") => version(digits).map(LogKey::Checkpoint),
        _ => None,
    }
}

/// Whether a key is a checkpoint in several parts, or one of the protocol's second version: only other engines write those.
pub fn is_foreign_checkpoint(key: &str) -> bool {
    key.strip_prefix(LOG).is_some_and(|name| name.contains(".checkpoint.")) && parse_log(key).is_none()
}

/// A new segment of the table: its path relative to the table's root, as the log names it. `unique` is a UUID.
pub fn segment_path(unique: &str) -> String {
    format!("part-{unique}.parquet")
}

/// The key of a data file that the log names by a path relative to the table's root.
pub fn in_table(path: &str) -> String {
    format!("{TABLE}{path}")
}

/// The path relative to the table's root of a Parquet data file; none for keys outside the table, for its log and its ingest state.
pub fn parse_in_table(key: &str) -> Option<&str> {
    let path = key.strip_prefix(TABLE)?;
    let hidden = path.split('/').any(|part| part.starts_with(['_', '.']));
    (!hidden && path.ends_with(".parquet")).then_some(path)
}

/// A new file of refused sources. `unique` is a UUID.
pub fn refusals(unique: &str) -> String {
    format!("{INGEST}rejects-{unique}.parquet")
}

/// An object that a run creates twice to see whether the store refuses the second time. `unique` is a UUID: processes may share a run ID.
pub fn create_proof(unique: &str) -> String {
    format!("{INGEST}create-proof-{unique}.json")
}

/// Exists where the store of this identity was seen to refuse the creation of an object that exists. `identity` is in hexadecimal digits.
pub fn store_check(identity: &str) -> String {
    format!("{INGEST}store-{identity}.json")
}

/// What the keys of notes on images begin with.
pub const IMAGE_NOTES: &str = "processed_data/users/_ingest/images-";

/// The users whose image copies a run changes, until it has settled them. `unique` is a UUID: processes may share a run ID.
pub fn image_note(run_id: &RunId, unique: &str) -> String {
    format!("{IMAGE_NOTES}{run_id}.{unique}.json")
}

/// Whether a key is one of the objects of a proof.
pub fn is_create_proof(key: &str) -> bool {
    key.strip_prefix(INGEST).is_some_and(|name| name.starts_with("create-proof-"))
}

/// Whether a key is one of the files of refused sources.
pub fn is_refusals(key: &str) -> bool {
    key.strip_prefix(INGEST)
        .is_some_and(|name| name.starts_with("rejects-") && name.ends_with(".parquet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<(&str, SourceKind, Spelling), IgnoreCode>) {
        let parsed = parse_source(&format!("{SOURCES}{name}"));
        let expected = expected.map(|(id, kind, spelling)| SourceKey {
            user_id: UserId::parse(id).unwrap(),
            kind,
            spelling,
        });
        assert_eq!(parsed, expected, "name: {name:?}");
    }

    #[test]
    fn names_of_sources() {
        use SourceKind::{Csv, Image};
        use Spelling::{Lower, Upper};
        check("1000.csv", Ok(("1000", Csv, Lower)));
        check("0001.png", Ok(("0001", Image, Lower)));
        check("1000.CSV", Ok(("1000", Csv, Upper)));
        check("1000.PNG", Ok(("1000", Image, Upper)));
        check(&format!("{}.csv", "7".repeat(40)), Ok((&"7".repeat(40), Csv, Lower)));
        check(&format!("{}.csv", "7".repeat(64)), Ok((&"7".repeat(64), Csv, Lower)));
        check("A-Z_a.z-09.csv", Ok(("A-Z_a.z-09", Csv, Lower)));
        check("a.csv.csv", Ok(("a.csv", Csv, Lower)));
        check("-.png", Ok(("-", Image, Lower)));
    }

    #[test]
    fn bad_id() {
        let too_long = format!("{}.csv", "7".repeat(65));
        // The first two ids would be `..` and `.`.
        for name in [
            "...csv",
            "..csv",
            ".csv",
            "a b.csv",
            "a%2Fb.csv",
            "é.csv",
            "a\nb.csv",
            "a\u{0}b.png",
            &too_long,
        ] {
            check(name, Err(IgnoreCode::BadId));
        }
    }

    #[test]
    fn unknown_kind() {
        for name in ["1000.Csv", "1000.txt", "1000", ""] {
            check(name, Err(IgnoreCode::UnknownKind));
        }
    }

    #[test]
    fn nested() {
        for name in ["a/1.csv", "a/", "/1.csv"] {
            check(name, Err(IgnoreCode::Nested));
        }
    }

    #[test]
    fn derived_keys_round_trip() {
        let user_id = UserId::parse("a.b").unwrap();
        assert_eq!(parse_image(&image(user_id.as_str())), Some(user_id));
        assert_eq!(parse_image("processed_data/images/a b.png"), None);
        let run_id = RunId::parse("run-1").unwrap();
        assert_eq!(parse_run_report(&run_report(&run_id)), Some(run_id.clone()));
        assert_eq!(parse_log(&log_entry(7)), Some(LogKey::Entry(7)));
        assert_eq!(parse_log(&checkpoint(u64::MAX)), Some(LogKey::Checkpoint(u64::MAX)));
        assert_eq!(parse_log(LAST_CHECKPOINT), None);
        assert_eq!(parse_log("processed_data/users/_delta_log/7.json"), None);
        assert!(is_foreign_checkpoint(
            &checkpoint(7).replace(".parquet", ".0000000001.0000000002.parquet")
        ));
        assert!(!is_foreign_checkpoint(&checkpoint(7)));
        assert!(!is_foreign_checkpoint(&log_entry(7)));
        assert_eq!(parse_in_table(&in_table("part-1.parquet")), Some("part-1.parquet"));
        assert_eq!(parse_in_table(&checkpoint(1)), None);
        assert_eq!(parse_in_table(&refusals("x")), None);
        assert!(is_refusals(&refusals("x")));
        assert!(!is_refusals(LAST_VACUUM));
        assert!(is_create_proof(&create_proof("7")));
        assert!(!is_create_proof(LAST_VACUUM));
        assert!(image_note(&run_id, "7").starts_with(IMAGE_NOTES));
        assert!(!is_refusals(&image_note(&run_id, "7")) && parse_in_table(&image_note(&run_id, "7")).is_none());
    }
}
