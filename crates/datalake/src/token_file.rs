//! Permissions of the file with the token.

use std::path::Path;

/// Read by users of the machine that are neither the owner nor in the group.
#[cfg(unix)]
const OTHERS_READ: u32 = 0o004;

/// Logs a warning if every user of the machine can read the token.
///
/// A Secret in a volume of Kubernetes is not reported: its files are 0644 by default, and the container that they are mounted into has no other
/// users.
#[cfg(unix)]
pub(crate) fn warn_if_readable_by_all(file: &Path) {
    if let Some(mode) = mode_if_readable_by_all(file) {
        tracing::warn!(
            file = %file.display(),
            mode = format!("{mode:04o}"),
            "every user of this machine can read the token; run `chmod o-r` on its file"
        );
    }
}

/// Other systems have no mode.
#[cfg(not(unix))]
pub(crate) fn warn_if_readable_by_all(_: &Path) {}

#[cfg(unix)]
fn mode_if_readable_by_all(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().ok()?.permissions().mode() & 0o7777;
    (mode & OTHERS_READ != 0 && !is_of_kubelet(file)).then_some(mode)
}

/// Whether the file is part of a volume that the kubelet writes: all of its files are links into `..data`, which is replaced as a whole.
#[cfg(unix)]
fn is_of_kubelet(file: &Path) -> bool {
    file.is_symlink() && file.parent().is_some_and(|folder| folder.join("..data").is_symlink())
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn a_token_that_others_can_read_is_reported_outside_of_kubernetes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "token").unwrap();
        for (mode, expected) in [
            (0o600, None),
            (0o640, None),
            (0o644, Some(0o644)),
            (0o444, Some(0o444)),
            (0o604, Some(0o604)),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(mode_if_readable_by_all(&file), expected, "{mode:o}");
        }
        // A link has no permissions of its own.
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(mode_if_readable_by_all(&link), Some(0o604));
        assert_eq!(mode_if_readable_by_all(&folder.path().join("missing")), None);

        let volume = folder.path().join("volume");
        fs::create_dir_all(volume.join("..2026_11_24")).unwrap();
        fs::write(volume.join("..2026_11_24/token"), "token").unwrap();
        fs::set_permissions(volume.join("..2026_11_24/token"), fs::Permissions::from_mode(0o644)).unwrap();
        symlink("..2026_11_24", volume.join("..data")).unwrap();
        symlink("..data/token", volume.join("token")).unwrap();
        assert_eq!(mode_if_readable_by_all(&volume.join("token")), None);
    }
}
