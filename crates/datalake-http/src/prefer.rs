//! The header `Prefer` (RFC 7240): what a client would like and does not insist on.

use std::time::Duration;

use axum::http::HeaderMap;

/// A wait holds a connection open: over this, proxies give up before the server does.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// How long the client would like to wait for the end of what it starts, at most a minute; none where it does not say, or says it in a way
/// that is no number of seconds: a preference that is not understood is passed over.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    // Of a preference that is given more than once, the first counts.
    let value = preferences.find_map(wait_value)?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than a number has room for are more than the bound, too.
    is_number.then(|| value.parse().map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX))
}

/// The value of the preference `wait`, its parameters left out.
fn wait_value(preference: &str) -> Option<&str> {
    let (named, _) = preference.split_once(';').unwrap_or((preference, ""));
    let (name, value) = named.split_once('=').unwrap_or((named, ""));
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    name.trim().eq_ignore_ascii_case("wait").then_some(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&'static str], seconds: Option<u64>) {
        let headers = values
            .iter()
            .map(|value| ("prefer".parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(wait(&headers), seconds.map(Duration::from_secs), "Prefer: {values:?}");
    }

    #[test]
    fn waits() {
        check(&[], None);
        check(&["wait=30"], Some(30));
        check(&["Wait = 30"], Some(30));
        check(&["wait=\"30\""], Some(30));
        check(&["respond-async, wait=10"], Some(10));
        check(&["respond-async", "wait=10; why=not"], Some(10));
        check(&["wait=10, wait=20"], Some(10));
        check(&["wait=0"], Some(0));
        check(&["wait=3600"], Some(60));
        check(&["wait=99999999999999999999999"], Some(60));
        check(&["wait=x, wait=20"], None);
        check(&["wait"], None);
        check(&["wait="], None);
        check(&["wait=-1"], None);
        check(&["waiting=3"], None);
    }
}
