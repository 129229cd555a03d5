//! The theme of pages, which a cookie remembers: the server renders it, so pages do not flash and need no script.

use axum::http::{HeaderMap, HeaderValue};

use crate::request::cookies;

const COOKIE: &str = "datalake_theme";

/// The colors of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Those of the user's system.
    #[default]
    System,
    /// Dark text on a light ground.
    Light,
    /// Light text on a dark ground.
    Dark,
}

impl Theme {
    /// All themes, in the order of their buttons.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The choice in the request's cookie. An unknown value is ignored: another release may have set it.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        cookies::values(headers, COOKIE).find_map(Self::parse).unwrap_or_default()
    }

    /// The theme with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    /// The name of the theme in forms and in the cookie.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The value of `data-theme`; none if the system decides.
    pub fn attribute(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }

    /// The value of the document's `color-scheme`.
    pub fn color_scheme(self) -> &'static str {
        match self {
            Self::System => "light dark",
            Self::Light | Self::Dark => self.as_str(),
        }
    }

    /// The `Set-Cookie` header that remembers the theme.
    pub fn set_cookie(self, is_https: bool) -> HeaderValue {
        cookies::remember(COOKIE, self.as_str(), self == Self::System, is_https)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

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
