//! Lakes in a folder.

mod boundaries;
mod crowd;
mod damage;
mod long_pauses;
