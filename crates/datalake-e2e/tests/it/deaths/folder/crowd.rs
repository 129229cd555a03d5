//! Many processors over one lake in a folder.

use crate::deaths::{crowd::check_crowd, lake::Lake};

#[test]
fn runs_that_are_paused_and_killed_at_random_make_one_history() {
    check_crowd(Lake::in_folder);
}
