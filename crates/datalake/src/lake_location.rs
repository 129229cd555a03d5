//! Rejects a lake inside a lake, before anything is written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use datalake_core::keys;
use datalake_store::lake_url::LakeUrl;

use crate::exit::UsageError;

/// The folders of a lake. The last one contains the private files of a lake in a folder.
fn parts() -> [&'static str; 3] {
    let processed = keys::OUTPUT.split('/').next().unwrap_or_default();
    [keys::SOURCES.trim_end_matches('/'), processed, keys::PRIVATE]
}

/// Fails if the URL is that of a folder in a lake.
pub(crate) fn check(lake: &LakeUrl) -> Result<(), UsageError> {
    match lake {
        LakeUrl::S3 { bucket, prefix } => {
            // A prefix with such a folder is inside the sources or the data of the lake above it.
            let names: Vec<&str> = prefix.trim_end_matches('/').split('/').collect();
            let Some(depth) = names.iter().position(|name| parts().contains(name)) else {
                return Ok(());
            };
            let parent = names[..depth].iter().flat_map(|name| [*name, "/"]).collect();
            Err(part_of(
                lake,
                &LakeUrl::S3 {
                    bucket: bucket.clone(),
                    prefix: parent,
                },
            ))
        }
        LakeUrl::Folder(path) => check_folder(lake, &resolved(path)),
    }
}

fn check_folder(lake: &LakeUrl, path: &Path) -> Result<(), UsageError> {
    for (depth, inner) in path.ancestors().enumerate() {
        let (Some(name), Some(parent)) = (inner.file_name().and_then(|name| name.to_str()), inner.parent()) else {
            continue;
        };
        // A parent folder may have such a name by chance, and contain lakes. The lake's own name is always a mistake.
        let is_part = parts().contains(&name) && (depth == 0 || is_lake(parent));
        if is_part {
            return Err(part_of(lake, &LakeUrl::Folder(parent.to_owned())));
        }
    }
    Ok(())
}

/// Whether the folder is a lake that was processed.
fn is_lake(folder: &Path) -> bool {
    parts()[1..].iter().any(|part| folder.join(part).is_dir())
}

fn part_of(lake: &LakeUrl, whole: &LakeUrl) -> UsageError {
    UsageError(format!(
        "--lake {lake} is inside a lake, which has its sources in src-data/ and its results in processed_data/; write --lake {whole}, or choose another location"
    ))
}

/// Fails if the folder with the sources to upload does not exist, or is in the lake.
pub(crate) fn check_sources(folder: &Path, lake: &LakeUrl) -> Result<(), UsageError> {
    let error = |reason: String| UsageError(format!("--from {} {reason}", folder.display()));
    match fs::metadata(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(error("does not exist; pass the folder with the sources".to_owned()));
        }
        Err(cause) => return Err(error(format!("cannot be read: {cause}"))),
        Ok(metadata) if !metadata.is_dir() => return Err(error("is not a folder; pass the folder with the sources".to_owned())),
        Ok(_) => {}
    }
    let LakeUrl::Folder(lake) = lake else { return Ok(()) };
    match resolved(folder).starts_with(resolved(lake)) {
        true => Err(error(format!(
            "is in the lake {} itself; the sources in its src-data/ need no upload",
            lake.display()
        ))),
        false => Ok(()),
    }
}

/// The absolute path without links. The last components need not exist.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|existing| {
        let rest = path.strip_prefix(existing).ok()?;
        Some(fs::canonicalize(existing).ok()?.join(rest))
    });
    found.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(url: &str, whole: Option<&str>) {
        let result = check(&url.parse().unwrap());
        match (&result, whole) {
            (Ok(()), None) => {}
            (Err(error), Some(whole)) if error.0.contains(&format!("write --lake {whole},")) => {}
            _ => panic!("{url}: {result:?}"),
        }
    }

    #[test]
    fn url_inside_a_lake_is_rejected() {
        check_url("s3://bucket", None);
        check_url("s3://bucket/src-data/team", Some("s3://bucket"));
        check_url("s3://bucket/a/processed_data/b/c", Some("s3://bucket/a"));
        check_url("s3://bucket/src-data", Some("s3://bucket"));
        check_url("s3://bucket/a/src-data/", Some("s3://bucket/a"));
        check_url("s3://bucket/a/processed_data", Some("s3://bucket/a"));
        check_url("/nowhere/src-data", Some("/nowhere"));
        check_url("/nowhere/src-data/", Some("/nowhere"));
        check_url("/nowhere/src-data/lake", None);
        check_url("/nowhere/.datalake", Some("/nowhere"));
    }

    #[test]
    fn folder_inside_a_lake_is_rejected() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        fs::create_dir_all(root.join("lake/src-data/deep")).unwrap();
        fs::create_dir_all(root.join("lake/processed_data")).unwrap();
        std::os::unix::fs::symlink(root.join("lake/src-data"), root.join("link")).unwrap();
        let lake = format!("{}/lake", root.display());
        check_url(&lake, None);
        check_url(&format!("{lake}/src-data/deep/new"), Some(&lake));
        check_url(&format!("{}/link", root.display()), Some(&lake));
        check_url(&format!("{lake}/other"), None);

        let from = |folder: &str| check_sources(&root.join(folder), &lake.parse().unwrap());
        assert!(from("").is_ok());
        for folder in ["lake", "lake/src-data", "link", "lake/src-data/deep"] {
            assert!(from(folder).unwrap_err().0.contains("itself"), "{folder}");
        }
        assert!(from("nowhere").unwrap_err().0.contains("does not exist"));
    }
}
