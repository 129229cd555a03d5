//! Tests of file system errors: cause, remedy and whether they are retried.

use datalake_core::keys;

use super::*;

#[track_caller]
fn check(kind: impl Into<io::Error>, is_retried: bool, parts: &[&str]) {
    let error = store_error(keys::OUTPUT, kind.into());
    assert_eq!(matches!(error, StoreError::Unavailable { .. }), is_retried, "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn file_system_errors_are_reported_with_cause_and_remedy() {
    const NO_SPACE: i32 = 28;
    const QUOTA: i32 = 122;
    check(
        io::Error::from_raw_os_error(NO_SPACE),
        true,
        &["cannot write processed_data/output.csv: No space left on device", "free space"],
    );
    check(io::Error::from_raw_os_error(QUOTA), true, &["quota exceeded", "free space"]);
    check(
        io::ErrorKind::ReadOnlyFilesystem,
        false,
        &["mount the folder of the lake with write access"],
    );
    check(io::ErrorKind::PermissionDenied, false, &["permission denied", "owner and the mode"]);
    check(io::Error::from_raw_os_error(5), false, &["Input/output error", "check the disk"]);
}

/// File systems without hard links return one of these kinds.
#[test]
fn missing_hard_links_are_reported_with_cause_and_remedy() {
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
        let error = no_hard_links("a", Path::new("/media/stick"), &kind.into());
        assert!(error.is_not_supported());
        let message = error.to_string();
        for part in ["hard links", "--single-writer", "/media/stick"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
