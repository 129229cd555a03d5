//! The pages in Debian's `chromium` with `chromium-driver`, compared with the responses of the API. Tests find elements by `id`, `name` and
//! `data-` attributes, not by text or style.

mod axe;
mod driver;
mod harness;
mod history;
mod keyboard;
mod lakes;
mod live;
mod overview;
mod runs;
mod screenshots;
mod sign_in;
mod unusual_lakes;
mod user;
mod users;
mod users_form;
mod views;
