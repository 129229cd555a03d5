//! Sessions of browsers that have signed in: a cookie with its expiry and an HMAC of the expiry. The server stores no sessions, so every
//! replica accepts the cookie until the token changes.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::request::cookies;

/// A working day. A browser that is left open overnight has to sign in again.
const SESSION_MAX: SignedDuration = SignedDuration::from_hours(12);

const NAME: &str = "datalake_session";

/// Separates the key of sessions from all other uses of the token.
const PURPOSE: &[u8] = b"datalake session cookie, version 1";

/// The key of session cookies, which is derived from the token and changes with it.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl SessionKey {
    /// Derives the key from the token.
    pub fn of_token(token: &str) -> Self {
        Self(hmac(token.as_bytes(), PURPOSE))
    }

    /// The `Set-Cookie` header of a session that begins now.
    pub fn begin(&self, now: Timestamp, is_https: bool) -> HeaderValue {
        let expiry = now.as_second().saturating_add(SESSION_MAX.as_secs());
        set_cookie(&self.value(expiry), SESSION_MAX.as_secs(), is_https)
    }

    /// Whether the request has the cookie of a session that has not expired.
    pub fn is_active(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        cookies::values(headers, NAME).any(|value| self.verify(value, now))
    }

    fn verify(&self, value: &str, now: Timestamp) -> bool {
        let Some(expiry) = value.split('.').next().and_then(|expiry| expiry.parse::<i64>().ok()) else {
            return false;
        };
        let is_authentic = bool::from(self.value(expiry).as_bytes().ct_eq(value.as_bytes()));
        is_authentic && now.as_second() < expiry
    }

    /// The expiry in seconds since 1970, and its HMAC in hexadecimal digits.
    fn value(&self, expiry: i64) -> String {
        let expiry = expiry.to_string();
        let code = hmac(&self.0, expiry.as_bytes());
        code.iter().fold(expiry + ".", |value, byte| format!("{value}{byte:02x}"))
    }
}

/// The `Set-Cookie` that removes the cookie from the browser.
pub fn end(is_https: bool) -> HeaderValue {
    set_cookie("", 0, is_https)
}

/// No script reads the cookie, and no page of another site sends it. Over HTTP, browsers would ignore a cookie with `Secure`.
fn set_cookie(value: &str, max_age: i64, is_https: bool) -> HeaderValue {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).expect("the value has digits and letters only")
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Checks whether a client that sends these cookies at this second has a session under the key of the token.
    #[track_caller]
    fn check(token: &str, cookies: &str, second: i64, expected: bool) {
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookies).unwrap())]);
        let is_active = SessionKey::of_token(token).is_active(&headers, at(second));
        assert_eq!(is_active, expected, "{cookies} at {second}");
    }

    #[test]
    fn session_expires_after_12_hours_and_with_the_token() {
        let key = SessionKey::of_token("right");
        let set = key.begin(at(1000), false);
        let set = set.to_str().unwrap();
        let (cookie, attributes) = set.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
        assert!(key.begin(at(1000), true).to_str().unwrap().ends_with("; Secure"));

        check("right", cookie, 1000, true);
        check("right", cookie, 44_199, true);
        check("right", cookie, 44_200, false);
        check("other", cookie, 1000, false);
        check("right", &format!("a=b; {NAME}=1.2;{cookie}; c"), 1000, true);
        check("right", &cookie.replace(NAME, "datalake_sessions"), 1000, false);
        // A later expiry, a sign, a shorter and a longer code.
        check("right", &cookie.replace("44200", "44201"), 1000, false);
        check("right", &cookie.replace("44200", "+44200"), 1000, false);
        check("right", &cookie[..cookie.len() - 1], 1000, false);
        check("right", &format!("{cookie}0"), 1000, false);
        check("right", &cookie.to_uppercase().replacen(&NAME.to_uppercase(), NAME, 1), 1000, false);
        for value in ["", ".", "44200", "44200.", "99999999999999999999.00", "-1."] {
            check("right", &format!("{NAME}={value}"), 1000, false);
        }
    }

    #[test]
    fn cookie_value_is_an_hmac_under_a_derived_key() {
        // By `printf 44200 | openssl dgst -sha256 -mac HMAC -macopt hexkey:…`, with the key that the same command derives from `right`.
        let value = SessionKey::of_token("right").value(44_200);
        assert_eq!(value, "44200.71b4e353e8548951dd3621eb7f3fa243eb0c80daf7053aa954c1a3ed2d24f7af");
    }

    #[test]
    fn cookie_that_ends_a_session_is_empty() {
        assert_eq!(end(true), format!("{NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"));
    }
}
