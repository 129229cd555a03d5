//! The file that contains the bearer token: its content, its updates and its permissions.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use datalake_api::request::auth::Token;

/// The time between two reads of the file, which has a few bytes in the page cache.
const POLL_PERIOD: Duration = Duration::from_secs(5);

/// The permission to read for users that are neither the owner nor in the group.
const OTHERS_READ: u32 = 0o004;

/// Reads the token.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read it: {error}; it must contain only the token"))?;
    // Editors and `echo` end a file with a line feed, which a header cannot contain.
    let token = text.trim();
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token.to_owned()),
        false => Err("it contains no token; a token consists of visible ASCII characters".to_owned()),
    }
}

/// Replaces the token when the file changes, so that a Secret can be rotated. The previous token then becomes invalid.
pub(crate) async fn follow(file: &Path, token: &Token) {
    let mut last_reason = None;
    loop {
        tokio::time::sleep(POLL_PERIOD).await;
        match read(file) {
            Ok(text) => {
                last_reason = None;
                if token.replace(&text) {
                    tracing::info!("token replaced");
                }
            }
            Err(reason) => {
                if last_reason.as_ref() != Some(&reason) {
                    tracing::warn!(file = %file.display(), reason, "cannot read token file; the last token remains valid");
                    last_reason = Some(reason);
                }
            }
        }
    }
}

/// Logs a warning if every user of the machine can read the token.
///
/// A Secret in a Kubernetes volume is not reported: its files have mode 0644 by default, and its container has no other users.
pub(crate) fn warn_if_readable_by_all(file: &Path) {
    if let Some(mode) = mode_if_readable_by_all(file) {
        tracing::warn!(
            file = %file.display(),
            mode = format!("{mode:04o}"),
            "every user of this machine can read the token; run `chmod o-r` on its file"
        );
    }
}

fn mode_if_readable_by_all(file: &Path) -> Option<u32> {
    let mode = file.metadata().ok()?.permissions().mode() & 0o7777;
    (mode & OTHERS_READ != 0 && !is_of_kubelet(file)).then_some(mode)
}

/// Whether the kubelet writes the file: all files of its volumes are links into `..data`, which it replaces as a whole.
fn is_of_kubelet(file: &Path) -> bool {
    file.is_symlink() && file.parent().is_some_and(|folder| folder.join("..data").is_symlink())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changed_file_replaces_the_token_and_missing_file_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first\n").unwrap();
        let token = Token::new(&read(&file).unwrap());
        let wait_after = async |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            // In virtual time, the file is read again before this ends.
            let _elapsed = tokio::time::timeout(POLL_PERIOD * 2, super::follow(&file, &token)).await;
        };
        wait_after(Some("second\n")).await;
        assert!(!token.replace("second"), "the second token is valid");
        wait_after(None).await;
        wait_after(Some("")).await;
        assert!(!token.replace("second"), "neither a missing nor an empty file changes that");
    }

    #[test]
    fn readable_token_file_is_reported_outside_of_kubernetes() {
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
