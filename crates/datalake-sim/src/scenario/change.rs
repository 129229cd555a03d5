//! Changes of the sources by the data owner.

use datalake_core::keys;

use crate::{
    sources::{broken_csv, broken_png, csv, declaration, png},
    world::Edit,
};

/// A change that the data owner made before the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new user.
    Add,
    /// New values of a user.
    Values,
    /// The removal of a user.
    Delete,
    /// The first image of a user.
    Link,
    /// The removal of an image.
    Unlink,
    /// A new image of a user.
    Replace,
    /// A CSV becomes invalid.
    Reject,
    /// An image becomes invalid.
    RejectImage,
    /// The same bytes are stored again.
    Touch,
    /// A declaration of the same sources, with another type and a derived column.
    Declare,
}

impl Change {
    /// Every kind of change.
    pub const ALL: [Self; 10] = [
        Self::Add,
        Self::Values,
        Self::Delete,
        Self::Link,
        Self::Unlink,
        Self::Replace,
        Self::Reject,
        Self::RejectImage,
        Self::Touch,
        Self::Declare,
    ];

    /// The name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Values => "values",
            Self::Delete => "delete",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::Replace => "replace",
            Self::Reject => "reject",
            Self::RejectImage => "reject-image",
            Self::Touch => "touch",
            Self::Declare => "declare",
        }
    }

    /// The edits that make the change in the prepared lake.
    pub(super) fn edits(self) -> Vec<Edit> {
        match self {
            Self::Add => vec![put("5.csv", csv("Five"))],
            Self::Values => vec![put("1.csv", csv("Changed"))],
            Self::Delete => vec![remove("2.csv"), remove("2.png")],
            Self::Link => vec![put("3.png", png("three"))],
            Self::Unlink => vec![remove("1.png")],
            Self::Replace => vec![put("1.png", png("replaced"))],
            Self::Reject => vec![put("1.csv", broken_csv("one"))],
            Self::RejectImage => vec![put("1.png", broken_png("one"))],
            Self::Touch => vec![salted("1.csv", csv("One"), 7), salted("1.png", png("one"), 7)],
            Self::Declare => vec![declare("string")],
        }
    }

    /// The edits that undo the change.
    pub(super) fn undo(self) -> Vec<Edit> {
        match self {
            Self::Add => vec![remove("5.csv")],
            Self::Values | Self::Reject => vec![put("1.csv", csv("One"))],
            Self::Delete => vec![put("2.csv", csv("Two")), put("2.png", png("two"))],
            Self::Link => vec![remove("3.png")],
            Self::Unlink | Self::Replace | Self::RejectImage => vec![put("1.png", png("one"))],
            Self::Touch => vec![put("1.csv", csv("One")), put("1.png", png("one"))],
            Self::Declare => vec![undeclare()],
        }
    }

    /// The edits that make the changed sources invalid, or the declaration another one.
    pub(super) fn invalidate(self) -> Vec<Edit> {
        match self {
            Self::Add => vec![put("5.csv", broken_csv("spoiled"))],
            Self::Values | Self::Reject => vec![put("1.csv", broken_csv("spoiled"))],
            Self::Delete => vec![put("2.csv", broken_csv("spoiled"))],
            Self::Link => vec![put("3.png", broken_png("spoiled"))],
            Self::Unlink | Self::Replace | Self::RejectImage | Self::Touch => vec![put("1.png", broken_png("spoiled"))],
            // An invalid declaration would end every run; this one is valid, and changes the columns again.
            Self::Declare => vec![declare("integer")],
        }
    }
}

/// Replaces a source.
pub(crate) fn put(name: &str, bytes: bytes::Bytes) -> Edit {
    salted(name, bytes, 0)
}

/// Declares the dataset, with this type of birth times.
pub(crate) fn declare(birth_type: &str) -> Edit {
    Edit {
        key: keys::DECLARATION.to_owned(),
        bytes: Some(declaration(birth_type)),
        salt: 0,
    }
}

/// Removes the declaration.
pub(crate) fn undeclare() -> Edit {
    Edit {
        key: keys::DECLARATION.to_owned(),
        bytes: None,
        salt: 0,
    }
}

/// Replaces a source. In stores with unique ETags, each salt gives a different ETag for the same bytes.
pub(crate) fn salted(name: &str, bytes: bytes::Bytes, salt: u32) -> Edit {
    Edit {
        key: keys::source(name),
        bytes: Some(bytes),
        salt,
    }
}

/// Removes a source.
pub(crate) fn remove(name: &str) -> Edit {
    Edit {
        key: keys::source(name),
        bytes: None,
        salt: 0,
    }
}
