//! The header `Prefer` (RFC 7240): optional behavior that a client requests.

use std::time::Duration;

use axum::http::HeaderMap;

/// The longest wait. Proxies time out after a longer one.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The value of `wait`: how long the server may wait for a result before it responds, at most one minute. Returns `None` without the preference, or if
/// it is not a number of seconds, because malformed preferences are ignored (RFC 7240, section 2).
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    // The first of several values applies (RFC 7240, section 2).
    let value = preferences.find_map(wait_value)?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // A number that overflows exceeds the maximum.
    is_number.then(|| value.parse().map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX))
}

/// The value of a `wait` preference, without parameters and quotes.
fn wait_value(preference: &str) -> Option<&str> {
    let (without_parameters, _) = preference.split_once(';').unwrap_or((preference, ""));
    let (name, value) = without_parameters.split_once('=').unwrap_or((without_parameters, ""));
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
    fn first_wait_applies_up_to_a_minute() {
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
