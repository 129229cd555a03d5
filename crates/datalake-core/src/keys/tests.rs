//! Keys of published objects in both directions.

use super::*;

#[test]
fn image_and_report_keys_round_trip() {
    let row_id = RowId::parse("a.b").unwrap();
    assert_eq!(
        parse_image(Dataset::users(), &image(Dataset::users(), row_id.as_str())),
        Some(row_id)
    );
    assert_eq!(parse_image(Dataset::users(), "processed_data/images/a b.png"), None);
    let run_id = RunId::parse("run-1").unwrap();
    assert_eq!(parse_run_report(&run_report(&run_id)), Some(run_id.clone()));
    assert_eq!(parse_run_report(OUTPUT), None);
    assert_eq!(parse_run_report(&run_progress(&run_id)), None);
    assert_eq!(parse_run_progress(&run_report(&run_id)), None);
    assert_eq!(parse_run_progress(&run_progress(&run_id)), Some(run_id));
}
