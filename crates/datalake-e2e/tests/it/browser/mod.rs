//! The web UI in Debian's `chromium`, driven by `chromium-driver`: what users see and do there, compared with the API's responses. Elements are
//! found by `id`, `name` and `data-` attributes, not by their text or style.

mod axe;
mod datasets;
mod driver;
mod filter_form;
mod first_steps;
mod harness;
mod history;
mod hostile;
mod keyboard;
mod lakes;
mod layout;
mod live;
mod overview;
mod runs;
mod screenshots;
mod shortcuts;
mod sign_in;
mod theme;
mod user;
mod users;
mod views;
