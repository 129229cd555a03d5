//! Concurrent runs over one lake in a folder.

use crate::deaths::{concurrent_runs::check_concurrent_runs, lake::Lake};

#[test]
fn runs_paused_and_killed_at_random_produce_one_history() {
    check_concurrent_runs(Lake::in_folder);
}
