//! What all pages share: their frame, context, links and headers, the sign-in page, problems as pages, and live updates.

pub(crate) mod api_address;
pub mod context;
pub(crate) mod html_page;
pub(crate) mod lake_status;
pub mod layout;
pub(crate) mod links;
pub(crate) mod live;
pub(crate) mod page_size;
pub mod problem;
pub(crate) mod query;
pub(crate) mod request_url;
pub(crate) mod return_address;
pub(crate) mod run_permission;
pub(crate) mod sign_in;
pub(crate) mod site;
pub(crate) mod store_unreachable;
pub(crate) mod theme;
pub(crate) mod time_zone;
