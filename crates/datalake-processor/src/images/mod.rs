//! Image copies: an object at `copy_to` for each row that links an image, such as `processed_data/images/{user_id}.png` for the users.
//!
//! The copies are a view of the table that is published beside it. [`image_sync::ImageSync`] is the only entry: it copies newly linked images
//! before the commit, reconciles the copies with the rows after it, and compares all copies with the rows once a day.

mod compare;
mod copies;
pub(crate) mod copy_new;
mod copy_state;
mod fence;
pub(crate) mod former_copies;
mod image_intents;
pub(crate) mod image_sync;
mod reconcile;
