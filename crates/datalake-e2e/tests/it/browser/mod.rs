//! The page, in Debian's `chromium` by its `chromium-driver`: what people see and do there, compared with what the API answers. Elements
//! are found by `id`, `name` and `data-` attributes, never by wording or by how they look.

mod axe;
mod harness;
mod hostile;
mod keyboard;
mod lakes;
mod live;
mod people;
mod runs;
mod screenshots;
mod views;
