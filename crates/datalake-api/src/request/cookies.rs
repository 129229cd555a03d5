//! Cookies with preferences of a browser: their values, and the headers that set them.

use axum::http::{HeaderMap, HeaderValue, header};

/// A year: a preference is of no value to others.
const MAX_AGE_SECONDS: u32 = 365 * 86_400;

/// The values of all cookies with this name. Cookies of other paths or domains may have the same name.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let headers = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = headers
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    cookies.filter_map(move |(found, value)| (found == name).then_some(value))
}

/// The `Set-Cookie` header that remembers a preference; for a default it removes the cookie.
pub fn remember(name: &str, value: &'static str, is_default: bool, is_https: bool) -> HeaderValue {
    let max_age = if is_default { 0 } else { MAX_AGE_SECONDS };
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).expect("names and values of preferences have digits and letters only")
}
