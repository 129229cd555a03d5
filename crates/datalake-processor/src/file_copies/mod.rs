//! Copies of files: an object at `copy_to` for each row that links the file, such as `processed_data/images/{user_id}.png` for the users.
//!
//! The copies are a view of the table that is published beside it. [`copy_sync::CopySync`] is the only entry: it copies newly linked files
//! before the commit, reconciles the copies with the rows after it, and compares all copies with the rows once a day.

mod compare;
mod copies;
mod copy_intents;
pub(crate) mod copy_new;
mod copy_state;
pub(crate) mod copy_sync;
mod fence;
pub(crate) mod former_copies;
mod reconcile;
