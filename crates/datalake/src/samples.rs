//! The sample sources, which the executable contains.

use std::collections::BTreeMap;

use bytes::Bytes;
use datalake_core::{dataset::Dataset, keys};
use include_dir::{Dir, File, include_dir};

static SAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/src-data");

/// The samples that are sources of users, by file name.
pub(crate) fn by_file_name() -> BTreeMap<String, Bytes> {
    let named = |file: &'static File<'static>| Some((file.path().to_str()?.to_owned(), Bytes::from_static(file.contents())));
    SAMPLES
        .files()
        .filter_map(named)
        .filter(|(name, _)| keys::parse_source(Dataset::users(), &keys::source(name)).is_ok())
        .collect()
}
