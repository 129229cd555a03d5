//! Many processors over one lake on S3.

use crate::deaths::{crowd::check_crowd, lake::Lake, s3_client::S3Client};

#[test]
fn runs_that_are_paused_and_killed_at_random_make_one_history() {
    let client = S3Client::from_environment();
    check_crowd(|| Lake::on_s3(&client));
}
