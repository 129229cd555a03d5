//! How pages name the lake, and the arguments of commands that work on it.

use std::sync::Arc;

/// The name and the address of the lake. Cheap to clone. The default names no lake.
#[derive(Clone, Debug, Default)]
pub struct LakeLabel(Arc<Label>);

#[derive(Debug, Default)]
struct Label {
    title: Option<String>,
    name: String,
    address: String,
    arguments: String,
}

impl LakeLabel {
    /// `title` is the operator's choice; `name` that of the bucket or folder. `address` is the lake's URL or path. `arguments` are the
    /// command-line arguments that select the lake, quoted for a shell.
    pub fn new(title: Option<String>, name: String, address: String, arguments: String) -> Self {
        Self(Arc::new(Label {
            title,
            name,
            address,
            arguments,
        }))
    }

    /// The title of the lake, otherwise its name; none if neither is known.
    pub fn name(&self) -> Option<&str> {
        let name = self.0.title.as_deref().unwrap_or(&self.0.name);
        (!name.is_empty()).then_some(name)
    }

    /// The title that the operator has chosen. Clients that may not read the lake see only this.
    pub fn public_name(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// The URL or path of the lake, for clients that may start runs.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// The command-line arguments that select the lake, for clients that may start runs.
    pub fn arguments(&self) -> &str {
        &self.0.arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_title_is_public() {
        let label = |title: Option<&str>| LakeLabel::new(title.map(str::to_owned), "bucket".into(), "s3://bucket".into(), String::new());
        assert_eq!((label(None).name(), label(None).public_name()), (Some("bucket"), None));
        assert_eq!(
            (label(Some("Sales")).name(), label(Some("Sales")).public_name()),
            (Some("Sales"), Some("Sales"))
        );
        assert_eq!(LakeLabel::default().name(), None);
    }
}
