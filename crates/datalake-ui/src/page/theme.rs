//! The form that chooses the theme of pages, and the time zone of their times.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use url::form_urlencoded;

use crate::page::{
    links,
    return_address::{RETURN_TO, ReturnAddress},
    site::Site,
    time_zone::TimeZone,
};
use datalake_api::{
    problem::Problem,
    request::{body, parameters::NoParameters},
    theme::Theme,
};
use datalake_http::client_scheme::is_https;

/// The names of the form's buttons.
const THEME: &str = "theme";
const TIMES: &str = "times";

/// A button for each theme, and one for the time zone, which lead back to `address`. The script shows the latter.
pub(crate) fn form(site: &Site, address: &ReturnAddress) -> Markup {
    let zone = site.time_zone;
    html! {
        form.theme #theme method="post" action=(links::THEME) {
            input type="hidden" name=(RETURN_TO) value=(address.as_str());
            fieldset {
                legend { "Theme" }
                @for theme in Theme::ALL {
                    button type="submit" name=(THEME) value=(theme.as_str()) aria-pressed=((theme == site.theme).to_string()) { (label(theme)) }
                }
            }
            button.plain #local-times type="submit" name=(TIMES) value=(zone.other().as_str())
                aria-pressed=((zone == TimeZone::Local).to_string()) hidden { "Local times" }
        }
    }
}

fn label(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "System",
        Theme::Light => "Light",
        Theme::Dark => "Dark",
    }
}

/// The submitted form.
pub(crate) struct ThemeForm {
    cookie: HeaderValue,
    return_to: ReturnAddress,
}

impl<S: Send + Sync> FromRequest<S> for ThemeForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let NoParameters = NoParameters::from_request_parts(&mut parts, state).await?;
        let bytes = body::read(body).await?;
        let field = |name: &str| form_urlencoded::parse(&bytes).find_map(|(found, value)| (found == name).then(|| value.into_owned()));
        let is_https = is_https(&parts.headers);
        Ok(Self {
            cookie: match field(TIMES) {
                Some(text) => TimeZone::parse(&text).unwrap_or_default().set_cookie(is_https),
                None => { field(THEME).and_then(|text| Theme::parse(&text)) }
                    .unwrap_or_default()
                    .set_cookie(is_https),
            },
            return_to: ReturnAddress::or_overview(&field(RETURN_TO).unwrap_or_default()),
        })
    }
}

/// Remembers the choice in the browser, and redirects it to the page that it came from.
pub(crate) async fn choose(form: ThemeForm) -> Response {
    ([(header::SET_COOKIE, form.cookie)], Redirect::to(form.return_to.as_str())).into_response()
}
