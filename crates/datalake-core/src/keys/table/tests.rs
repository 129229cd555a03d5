//! Keys of the table in both directions, and which of them other parsers must not accept.

use super::*;

#[test]
fn log_keys_round_trip() {
    assert_eq!(parse_log(&log_entry(7)), Some(LogKey::Entry(7)));
    assert_eq!(parse_log(&checkpoint(u64::MAX)), Some(LogKey::Checkpoint(u64::MAX)));
    assert_eq!(parse_log(LAST_CHECKPOINT), None);
    assert_eq!(parse_log("processed_data/users/_delta_log/7.json"), None);
}

#[test]
fn checkpoints_of_other_engines_are_recognized() {
    assert!(is_foreign_checkpoint(
        &checkpoint(7).replace(".parquet", ".0000000001.0000000002.parquet")
    ));
    assert!(!is_foreign_checkpoint(&checkpoint(7)));
    assert!(!is_foreign_checkpoint(&log_entry(7)));
}

#[test]
fn data_files_exclude_log_and_ingest_state() {
    assert_eq!(parse_data_file(&table_file("part-1.parquet")), Some("part-1.parquet"));
    assert_eq!(parse_data_file(&checkpoint(1)), None);
    assert_eq!(parse_data_file(&rejects_file("x", 7)), None);
}

#[test]
fn checksum_is_read_from_own_files_only() {
    assert_eq!(checksum_of(&rejects_file("x", 7)), Some(7));
    assert_eq!(checksum_of(&data_file_path("x", u32::MAX)), Some(u32::MAX));
    assert_eq!(checksum_of("part-00000-7a-c000.snappy.parquet"), None);
    assert_eq!(checksum_of("part-7a-c0000000g.parquet"), None);
    assert_eq!(checksum_of(&checkpoint(1)), None);
}

#[test]
fn ingest_keys_have_one_kind() {
    assert!(is_rejects_file(&rejects_file("x", 7)));
    assert!(!is_rejects_file(LAST_VACUUM));
    assert!(is_create_proof(&create_proof("7")));
    assert!(!is_create_proof(LAST_VACUUM));
    let run_id = RunId::parse("run-1").unwrap();
    let recorded = image_intent(&run_id, "7");
    assert!(recorded.starts_with(IMAGE_INTENTS));
    assert!(!is_rejects_file(&recorded) && parse_data_file(&recorded).is_none());
}
