//! Reads the declaration file of `--dataset`.

use std::{fs, path::Path, sync::Arc};

use datalake_core::dataset::Dataset;

use crate::exit::UsageError;

/// The text and the dataset of `--dataset`, if it is given. An empty path counts as not given: an environment may set every variable.
pub(crate) fn read_given(path: Option<&Path>) -> Result<Option<(String, Arc<Dataset>)>, UsageError> {
    path.filter(|path| !path.as_os_str().is_empty()).map(read).transpose()
}

/// Reads a declaration. Fails if it is invalid, or if runs do not support it.
fn read(path: &Path) -> Result<(String, Arc<Dataset>), UsageError> {
    let failed = |error: &dyn std::fmt::Display| UsageError(format!("cannot use the declaration {}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let dataset = Dataset::parse(&text).map_err(|error| failed(&error))?;
    dataset.check_supported().map_err(|error| failed(&error))?;
    Ok((text, Arc::new(dataset)))
}

/// The dataset of `--dataset`, if it is given.
pub(crate) fn dataset(path: Option<&Path>) -> Result<Option<Arc<Dataset>>, UsageError> {
    read_given(path).map(|read| read.map(|(_, dataset)| dataset))
}
