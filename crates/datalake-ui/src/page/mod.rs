//! What every page has: its frame, its context, the sign-in page, problems as pages, and the policy of the browser.

pub(crate) mod api_address;
pub mod context;
pub(crate) mod csp;
pub mod layout;
pub(crate) mod live;
pub mod problem;
pub(crate) mod run_permission;
pub(crate) mod sign_in;
