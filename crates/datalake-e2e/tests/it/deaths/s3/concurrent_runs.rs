//! Concurrent runs over one lake on S3.

use crate::deaths::{concurrent_runs::check_concurrent_runs, lake::Lake, s3_client::S3Client};

#[test]
fn runs_paused_and_killed_at_random_produce_one_history() {
    let client = S3Client::from_environment();
    check_concurrent_runs(|| Lake::on_s3(&client));
}
