//! Whether a page can show a user's image.

/// Whether there is an image to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageState {
    /// The latest version has an image, which is available.
    Available {
        version: u64,
    },
    /// An earlier version had an image. Images are kept only for the latest version.
    NotKept,
    None,
}

impl ImageState {
    /// The image of a row at `version`.
    pub(crate) fn of(has_image: bool, version: u64, latest: u64) -> Self {
        match has_image {
            true if version == latest => Self::Available { version },
            true => Self::NotKept,
            false => Self::None,
        }
    }
}
