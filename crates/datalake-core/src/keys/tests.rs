//! Keys of published objects in both directions.

use super::*;
use crate::dataset::Dataset;

#[test]
fn image_and_report_keys_round_trip() {
    let (image, row_id) = (&Dataset::users().files()[0], RowId::parse("a.b").unwrap());
    assert_eq!(parse_copy(image, &image.path(row_id.as_str()).concat()), Some(row_id));
    assert_eq!(parse_copy(image, "processed_data/images/a b.png"), None);
    let run_id = RunId::parse("run-1").unwrap();
    assert_eq!(parse_run_report(&run_report(&run_id)), Some(run_id.clone()));
    assert_eq!(parse_run_report(OUTPUT), None);
    assert_eq!(parse_run_report(&run_progress(&run_id)), None);
    assert_eq!(parse_run_progress(&run_report(&run_id)), None);
    assert_eq!(parse_run_progress(&run_progress(&run_id)), Some(run_id));
}
