//! The page, in Debian's `chromium` by its `chromium-driver`: what people see and do there, compared with what the API answers. Elements
//! are found by `id`, `name` and `data-` attributes, never by wording or by how they look.

mod axe;
mod driver;
mod harness;
mod history;
mod hostile;
mod keyboard;
mod lakes;
mod live;
mod overview;
mod people;
mod people_form;
mod person;
mod runs;
mod screenshots;
mod sign_in;
mod views;
