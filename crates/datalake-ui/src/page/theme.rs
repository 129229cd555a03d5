//! The theme of pages: the server renders the user's choice, which a cookie remembers, so that pages do not flash and need no script.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use url::form_urlencoded;

use crate::page::{
    links,
    return_address::{RETURN_TO, ReturnAddress},
};
use datalake_api::{
    problem::Problem,
    request::{body, parameters::NoParameters},
};
use datalake_http::forwarded::is_https;

const COOKIE: &str = "datalake_theme";

/// The name of the form's buttons.
const FIELD: &str = "theme";

/// A year: the choice is of no value to others.
const MAX_AGE_SECONDS: u32 = 365 * 86_400;

/// The colors of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Those of the user's system.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The choice in the request's cookie. An unknown value is ignored: another release may have set it.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let headers = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = headers
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut themes = cookies.filter_map(|(name, value)| (name == COOKIE).then(|| Self::parse(value)).flatten());
        themes.next().unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// The value of `data-theme`; none if the system decides.
    pub(crate) fn attribute(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }

    /// The value of the document's `color-scheme`.
    pub(crate) fn color_scheme(self) -> &'static str {
        match self {
            Self::System => "light dark",
            Self::Light | Self::Dark => self.as_str(),
        }
    }

    /// A button for each theme, which leads back to `address`.
    pub(crate) fn form(self, address: &ReturnAddress) -> Markup {
        html! {
            form.theme #theme method="post" action=(links::THEME) {
                input type="hidden" name=(RETURN_TO) value=(address.as_str());
                fieldset {
                    legend { "Theme" }
                    @for theme in Self::ALL {
                        button type="submit" name=(FIELD) value=(theme.as_str()) aria-pressed=((theme == self).to_string()) { (theme.label()) }
                    }
                }
            }
        }
    }

    fn set_cookie(self, is_https: bool) -> HeaderValue {
        let max_age = if self == Self::System { 0 } else { MAX_AGE_SECONDS };
        let secure = if is_https { "; Secure" } else { "" };
        let text = format!(
            "{COOKIE}={}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}",
            self.as_str()
        );
        HeaderValue::try_from(text).expect("the value has digits and letters only")
    }
}

/// The submitted form.
pub(crate) struct ThemeForm {
    theme: Theme,
    return_to: ReturnAddress,
    is_https: bool,
}

impl<S: Send + Sync> FromRequest<S> for ThemeForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let NoParameters = NoParameters::from_request_parts(&mut parts, state).await?;
        let bytes = body::read(body).await?;
        let field = |name: &str| form_urlencoded::parse(&bytes).find_map(|(found, value)| (found == name).then(|| value.into_owned()));
        Ok(Self {
            theme: field(FIELD).and_then(|text| Theme::parse(&text)).unwrap_or_default(),
            return_to: ReturnAddress::or_overview(&field(RETURN_TO).unwrap_or_default()),
            is_https: is_https(&parts.headers),
        })
    }
}

/// Remembers the choice in the browser, and redirects it to the page that it came from.
pub(crate) async fn choose(form: ThemeForm) -> Response {
    let cookie = [(header::SET_COOKIE, form.theme.set_cookie(form.is_https))];
    (cookie, Redirect::to(form.return_to.as_str())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookies: &str, expected: Theme) {
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookies).unwrap())]);
        assert_eq!(Theme::from_headers(&headers), expected, "{cookies}");
    }

    #[test]
    fn theme_is_the_first_known_value_of_the_cookie() {
        check("datalake_theme=dark", Theme::Dark);
        check("a=b; datalake_theme=light", Theme::Light);
        check("datalake_theme=blue; datalake_theme=dark", Theme::Dark);
        check("datalake_theme=blue", Theme::System);
        check("other_theme=dark", Theme::System);
    }

    #[test]
    fn system_theme_removes_the_cookie() {
        let cookie = |theme: Theme| theme.set_cookie(true).to_str().unwrap().to_owned();
        assert_eq!(
            cookie(Theme::System),
            "datalake_theme=system; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
        assert!(cookie(Theme::Dark).contains("Max-Age=31536000"));
    }
}
