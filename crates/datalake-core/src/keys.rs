//! Every key of the lake, in both directions. Nothing else in the product formats or parses a key.

use std::sync::LazyLock;

use regex::Regex;

use crate::{reject::IgnoreCode, report::RunId, text, user::UserId};

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
    /// `{user_id}.png`: the user's image.
    Image,
}

/// How the extension of a source is written. Where both exist, the lower-case one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionCase {
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
    pub spelling: ExtensionCase,
}

static SOURCE_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)^(.*)\.(csv|CSV|png|PNG)$").expect("the pattern is a constant that the tests compile"));

/// Names of temporary and sidecar files, matched without regard to case. The documentation lists them (docs/src/input.md).
const TEMPORARY_NAMES: &[&str] = &[
    // macOS metadata next to a file; Thumbnails and view settings of file managers.
    r"\._.*",
    r"\.ds_store",
    r"thumbs\.db",
    r"desktop\.ini",
    // Locks and owner files of LibreOffice and Microsoft Office.
    r"\.~.*",
    r"~\$.*",
    // Backups and swap files of editors: Emacs, Vim, GNOME.
    r".*~",
    r"\.#.*",
    r"#.*#",
    r".*\.sw[a-p]",
    r".*\.(bak|orig|old|save)",
    r"\.goutputstream-.*",
    // Unfinished copies: rsync, browsers, SFTP and download tools.
    r"\..*\.(csv|png)\.[a-z0-9]{6}",
    r".*\.(part|partial|tmp|temp|filepart|crdownload|download|opdownload|aria2|!ut)",
    r".*\.(part|partial|tmp|temp)\.(csv|png)",
    // Names that got their extension twice.
    r".*\.csv\.csv",
    r".*\.png\.png",
    // Conflicts: Syncthing, Dropbox, Nextcloud.
    r".*\.sync-conflict-.*",
    r"~syncthing~.*",
    r"\.syncthing\..*",
    r".*conflicted copy.*",
    // Removed or replaced files that are still open: NFS, FUSE.
    r"\.nfs[0-9a-f]{8,}",
    r"\.fuse_hidden.*",
];

static TEMPORARY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!("(?si)^(?:{})$", TEMPORARY_NAMES.join("|"));
    Regex::new(&pattern).expect("the patterns are constants that the tests compile")
});

/// What a raw key under `src-data/` is: a user's source, or an object to ignore. The folder marker itself is neither; callers leave it out.
pub fn parse_source(key: &str) -> Result<SourceKey, IgnoreCode> {
    let name = key.strip_prefix(SOURCES).ok_or(IgnoreCode::UnknownKind)?;
    if name.contains('/') {
        return Err(IgnoreCode::Nested);
    }
    if TEMPORARY_NAME.is_match(name) {
        return Err(IgnoreCode::Temporary);
    }
    let captures = SOURCE_NAME.captures(name).ok_or(IgnoreCode::UnknownKind)?;
    let (_, [stem, extension]) = captures.extract();
    let (kind, spelling) = match extension {
        "csv" => (SourceKind::Csv, ExtensionCase::Lower),
        "CSV" => (SourceKind::Csv, ExtensionCase::Upper),
        "png" => (SourceKind::Image, ExtensionCase::Lower),
        _ => (SourceKind::Image, ExtensionCase::Upper),
    };
    let user_id = UserId::parse(stem).map_err(|_| IgnoreCode::BadId)?;
    Ok(SourceKey { user_id, kind, spelling })
}

/// How a name differs from the nearest one that is a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameDifference {
    /// Only in the case of its extension: `1.Png`.
    Case,
    /// Only by white space or invisible characters: `1.csv `.
    Blank,
    /// By another extension after that of a source: `1.csv.txt`.
    SecondExtension,
    /// By the extension of another image format: `1.jpg`.
    ImageType,
    /// By the extension of another table format: `1.xlsx`.
    TableType,
}

/// The source that an ignored name was probably meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The user whose source it would be.
    pub user_id: UserId,
    /// Which of the user's sources it would be.
    pub kind: SourceKind,
    /// The key that the source would have.
    pub key: String,
    /// How the name differs from that key.
    pub difference: NameDifference,
}

const IMAGE_TYPES: &[&str] = &[
    "apng", "avif", "bmp", "gif", "heic", "heif", "jfif", "jpe", "jpeg", "jpg", "jxl", "svg", "tif", "tiff", "webp",
];

const TABLE_TYPES: &[&str] = &["numbers", "ods", "parquet", "psv", "tab", "tsv", "xls", "xlsm", "xlsx"];

/// The source that an ignored object was probably meant to be; none where its name is close to no source's.
pub fn near_miss_of(key: &str) -> Option<NearMiss> {
    match parse_source(key) {
        // An ID is bad by white space alone in ` 1.csv`.
        Err(IgnoreCode::UnknownKind | IgnoreCode::BadId) => near_miss(key.strip_prefix(SOURCES)?),
        _ => None,
    }
}

/// The source that a file name without a folder was probably meant to be, if the name is not a source's but close to one.
pub(crate) fn near_miss(name: &str) -> Option<NearMiss> {
    let new = |stem: &str, extension: &str, difference| {
        let kind = match extension {
            "csv" => SourceKind::Csv,
            _ => SourceKind::Image,
        };
        let key = source(&format!("{stem}.{extension}"));
        // A name that is ignored for another reason is no correction.
        let user_id = parse_source(&key).ok()?.user_id;
        Some(NearMiss {
            user_id,
            kind,
            key,
            difference,
        })
    };
    let own = |extension: &str| ["csv", "png"].into_iter().find(|known| extension.eq_ignore_ascii_case(known));
    let is_within = |character: &char| character.is_whitespace() || !text::is_invisible(*character);
    let visible: String = name.chars().filter(is_within).collect();
    let (stem, extension) = visible.trim().rsplit_once('.')?;
    let stem = stem.trim_end();
    if stem.len() + 1 + extension.len() != name.len() {
        return new(stem, own(extension)?, NameDifference::Blank);
    }
    if let Some(extension) = own(extension) {
        return new(stem, extension, NameDifference::Case);
    }
    if let Some((stem, first)) = stem.rsplit_once('.')
        && let Some(first) = own(first)
    {
        return new(stem, first, NameDifference::SecondExtension);
    }
    let lower = extension.to_ascii_lowercase();
    if IMAGE_TYPES.contains(&&*lower) {
        return new(stem, "png", NameDifference::ImageType);
    }
    TABLE_TYPES
        .contains(&&*lower)
        .then(|| new(stem, "csv", NameDifference::TableType))?
}

/// The user whose source an object is, or would be under a name that is close to its own.
pub fn user_of(key: &str) -> Option<UserId> {
    match parse_source(key) {
        Ok(source) => Some(source.user_id),
        Err(_) => near_miss_of(key).map(|near| near.user_id),
    }
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

/// A new data file of the table: its path relative to the table's root, as the log names it. `unique` is a UUID; `checksum` is the CRC-32 of the
/// file's bytes.
pub fn segment_path(unique: &str, checksum: u32) -> String {
    format!("part-{unique}-c{checksum:08x}.parquet")
}

/// The CRC-32 that the name of a Parquet file of this product contains; none for other files, such as those of other engines.
pub fn checksum_of(key: &str) -> Option<u32> {
    let (_, digits) = key.strip_suffix(".parquet")?.rsplit_once("-c")?;
    (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The key of a data file that the log names by a path relative to the table's root.
pub fn table_file(path: &str) -> String {
    format!("{TABLE}{path}")
}

/// The path relative to the table's root of a Parquet data file; none for keys outside the table, for its log and its ingest state.
pub fn parse_data_file(key: &str) -> Option<&str> {
    let path = key.strip_prefix(TABLE)?;
    let hidden = path.split('/').any(|part| part.starts_with(['_', '.']));
    (!hidden && path.ends_with(".parquet")).then_some(path)
}

/// A new file of refused sources. `unique` is a UUID; `checksum` is the CRC-32 of the file's bytes.
pub fn rejects_file(unique: &str, checksum: u32) -> String {
    format!("{INGEST}rejects-{unique}-c{checksum:08x}.parquet")
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
pub fn is_rejects_file(key: &str) -> bool {
    key.strip_prefix(INGEST)
        .is_some_and(|name| name.starts_with("rejects-") && name.ends_with(".parquet"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lower("1000.csv", "1000", SourceKind::Csv, ExtensionCase::Lower)]
    #[case::image("0001.png", "0001", SourceKind::Image, ExtensionCase::Lower)]
    #[case::upper_csv("1000.CSV", "1000", SourceKind::Csv, ExtensionCase::Upper)]
    #[case::upper_image("1000.PNG", "1000", SourceKind::Image, ExtensionCase::Upper)]
    #[case::long(&format!("{}.csv", "7".repeat(64)), &"7".repeat(64), SourceKind::Csv, ExtensionCase::Lower)]
    #[case::all_characters("A-Z_a.z-09.csv", "A-Z_a.z-09", SourceKind::Csv, ExtensionCase::Lower)]
    #[case::other_extension_within("a.png.csv", "a.png", SourceKind::Csv, ExtensionCase::Lower)]
    #[case::hyphen("-.png", "-", SourceKind::Image, ExtensionCase::Lower)]
    #[case::dots("....csv", "...", SourceKind::Csv, ExtensionCase::Lower)]
    #[case::hidden(".1.csv", ".1", SourceKind::Csv, ExtensionCase::Lower)]
    #[case::ends_like_a_word("depart.csv", "depart", SourceKind::Csv, ExtensionCase::Lower)]
    #[case::begins_like_a_word("part.1.csv", "part.1", SourceKind::Csv, ExtensionCase::Lower)]
    fn names_of_sources_are_ids_with_an_extension(
        #[case] name: &str,
        #[case] id: &str,
        #[case] kind: SourceKind,
        #[case] spelling: ExtensionCase,
    ) {
        let user_id = UserId::parse(id).unwrap();
        let expected = SourceKey { user_id, kind, spelling };
        assert_eq!(parse_source(&source(name)), Ok(expected), "name: {name:?}");
    }

    #[rstest]
    // The first two IDs would be `..` and `.`.
    #[case::two_dots("...csv")]
    #[case::dot("..csv")]
    #[case::nothing(".csv")]
    #[case::space("a b.csv")]
    #[case::percent("a%2Fb.csv")]
    #[case::letter_beyond_ascii("é.csv")]
    #[case::line_feed("a\nb.csv")]
    #[case::nul("a\u{0}b.png")]
    #[case::parentheses("1 (1).csv")]
    #[case::zero_width_space("1\u{200b}.csv")]
    #[case::backslash("a\\1.csv")]
    #[case::full_width_digit("１.csv")]
    #[case::too_long(&format!("{}.csv", "7".repeat(65)))]
    fn other_characters_or_a_longer_id_are_bad_id(#[case] name: &str) {
        assert_eq!(parse_source(&source(name)), Err(IgnoreCode::BadId));
    }

    #[rstest]
    #[case::mixed_case("1000.Csv")]
    #[case::text("1000.txt")]
    #[case::none("1000")]
    #[case::jpeg("1000.jpg")]
    #[case::space_after("1000.csv ")]
    #[case::second_extension("1000.csv.gz")]
    #[case::csv_alone("csv")]
    fn another_extension_or_none_is_unknown_kind(#[case] name: &str) {
        assert_eq!(parse_source(&source(name)), Err(IgnoreCode::UnknownKind));
    }

    #[rstest]
    #[case::apple_double("._1000.csv")]
    #[case::libre_office_lock(".~lock.1000.csv#")]
    #[case::office_owner("~$1000.csv")]
    #[case::backup("1000.csv~")]
    #[case::rsync(".1000.csv.aB3xYz")]
    #[case::rsync_image(".1000.png.aB3xYz")]
    #[case::part_before_the_extension("1000.part.csv")]
    #[case::part_after_the_extension("1000.csv.part")]
    #[case::upper_case_part("1000.PART.CSV")]
    #[case::tmp("1000.tmp")]
    #[case::tmp_image("1000.png.tmp")]
    #[case::tmp_before_the_extension("1000.tmp.png")]
    #[case::csv_twice("1003.csv.csv")]
    #[case::png_twice("1003.png.png")]
    #[case::syncthing_conflict("x.sync-conflict-20260101-120000-ABCDEFG.csv")]
    #[case::syncthing_temporary(".syncthing.1000.csv.tmp")]
    #[case::dropbox_conflict("1000 (Ada's conflicted copy 2026-01-01).csv")]
    #[case::vim(".1000.csv.swp")]
    #[case::emacs_lock(".#1000.csv")]
    #[case::emacs_save("#1000.csv#")]
    #[case::gnome(".goutputstream-ABC123")]
    #[case::win_scp("1000.csv.filepart")]
    #[case::browser("1000.csv.crdownload")]
    #[case::finder(".DS_Store")]
    #[case::explorer("Thumbs.db")]
    #[case::nfs(".nfs000000000001")]
    #[case::fuse(".fuse_hidden0000000100000002")]
    #[case::backup_extension("1000.csv.bak")]
    fn names_of_temporary_and_sidecar_files_are_temporary(#[case] name: &str) {
        assert_eq!(parse_source(&source(name)), Err(IgnoreCode::Temporary));
    }

    #[rstest]
    #[case::source("a/1.csv")]
    #[case::marker("a/")]
    #[case::empty_folder_name("/1.csv")]
    #[case::temporary("a/._1.csv")]
    fn objects_in_folders_are_nested(#[case] name: &str) {
        assert_eq!(parse_source(&source(name)), Err(IgnoreCode::Nested));
    }

    #[rstest]
    #[case::case("1.Png", Some(("1.png", NameDifference::Case)))]
    #[case::case_of_csv("a.b.cSV", Some(("a.b.csv", NameDifference::Case)))]
    #[case::jpeg("1.jpg", Some(("1.png", NameDifference::ImageType)))]
    #[case::upper_jpeg("1.JPEG", Some(("1.png", NameDifference::ImageType)))]
    #[case::workbook("1.xlsx", Some(("1.csv", NameDifference::TableType)))]
    #[case::hidden_extension("1.csv.txt", Some(("1.csv", NameDifference::SecondExtension)))]
    #[case::compressed("1.PNG.gz", Some(("1.png", NameDifference::SecondExtension)))]
    #[case::space_after("1.csv ", Some(("1.csv", NameDifference::Blank)))]
    #[case::space_before(" 1.png", Some(("1.png", NameDifference::Blank)))]
    #[case::byte_order_mark("\u{feff}1.CSV", Some(("1.csv", NameDifference::Blank)))]
    #[case::bad_id("é.Png", None)]
    #[case::text("notes.txt", None)]
    #[case::other("notes.md", None)]
    #[case::none("README", None)]
    fn near_misses_name_the_source_that_was_meant(#[case] name: &str, #[case] expected: Option<(&str, NameDifference)>) {
        let near = near_miss(name);
        assert_eq!(user_of(&source(name)), near.as_ref().map(|near| near.user_id.clone()));
        let found = near.map(|near| (near.key, near.difference));
        assert_eq!(found, expected.map(|(target, difference)| (source(target), difference)));
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_one_outcome(name in "(\\PC|[ ._~#/-]|csv|png){0,12}(\\.(csv|Png|jpg|tmp|\\PC))?") {
            let key = source(&name);
            let parsed = parse_source(&key);
            let near = near_miss(&name);
            proptest::prop_assert!(near.is_none_or(|near| parse_source(&near.key).is_ok_and(|source| source.user_id == near.user_id)));
            if let Ok(source) = parsed {
                proptest::prop_assert_eq!(user_of(&key), Some(source.user_id));
            }
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
        assert_eq!(parse_data_file(&table_file("part-1.parquet")), Some("part-1.parquet"));
        assert_eq!(parse_data_file(&checkpoint(1)), None);
        assert_eq!(checksum_of(&rejects_file("x", 7)), Some(7));
        assert_eq!(checksum_of(&segment_path("x", u32::MAX)), Some(u32::MAX));
        assert_eq!(checksum_of("part-00000-7a-c000.snappy.parquet"), None);
        assert_eq!(checksum_of("part-7a-c0000000g.parquet"), None);
        assert_eq!(checksum_of(&checkpoint(1)), None);
        assert_eq!(parse_data_file(&rejects_file("x", 7)), None);
        assert!(is_rejects_file(&rejects_file("x", 7)));
        assert!(!is_rejects_file(LAST_VACUUM));
        assert!(is_create_proof(&create_proof("7")));
        assert!(!is_create_proof(LAST_VACUUM));
        assert!(image_note(&run_id, "7").starts_with(IMAGE_NOTES));
        assert!(!is_rejects_file(&image_note(&run_id, "7")) && parse_data_file(&image_note(&run_id, "7")).is_none());
    }
}
