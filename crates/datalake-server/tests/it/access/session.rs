//! The session of a browser: the cookie, its end, and the address after signing in.

use axum::http::{Method, StatusCode};
use datalake_core::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use url::form_urlencoded;

use super::{TOKEN, browse, cookie, protected, return_to, send, sign_in, status};
use crate::fixture;

#[tokio::test]
async fn session_lasts_12_hours() {
    let lake = protected().await;
    let answer = sign_in(&lake, TOKEN, "/page/users?min_age", &[]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/page/users?min_age")
    );
    assert_eq!((answer.header("cache-control"), answer.body.as_str()), ("no-store", ""));
    let (cookie, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    assert!(!cookie.contains(TOKEN), "{cookie}");

    let page = browse(&lake, "/page/users?min_age", Some(cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("id=\"sign-out\"") && !page.body.contains("/page/sign-in"),
        "{}",
        page.body
    );
    assert_eq!(status(&lake, &format!("theme=dark; {cookie}")).await, StatusCode::OK);
    // Another replica shares only the token.
    assert_eq!(status(&protected().await, cookie).await, StatusCode::OK);
    // A copied token may end with a line feed.
    assert_eq!(sign_in(&lake, &format!("{TOKEN}\n"), "/", &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn cookie_is_secure_over_https() {
    let lake = protected().await;
    for (name, value, expected) in [
        ("x-forwarded-proto", "https", true),
        ("forwarded", "for=192.0.2.1;proto=https;host=data.example.com", true),
        ("x-forwarded-proto", "http", false),
    ] {
        let answer = sign_in(&lake, TOKEN, "/", &[(name, value)]).await;
        let is_secure = answer.header("set-cookie").ends_with("; SameSite=Strict; Secure");
        assert_eq!(is_secure, expected, "{name}: {value}");
    }
}

fn in_12_hours() -> Timestamp {
    fixture::now() + SignedDuration::from_hours(12)
}

fn a_second_earlier() -> Timestamp {
    in_12_hours() - SignedDuration::from_secs(1)
}

#[tokio::test]
async fn expired_forged_and_superseded_cookies_are_rejected() {
    let mut lake = protected().await;
    let token = lake.parts.access.token().unwrap().clone();
    let cookie = cookie(&lake).await;
    assert_eq!(status(&lake, &cookie).await, StatusCode::OK);
    let (name_and_expiry, code) = cookie.split_once('.').unwrap();
    let (name, expiry) = name_and_expiry.split_once('=').unwrap();
    let later = expiry.parse::<i64>().unwrap() + 1;
    for forged in [
        format!("{name}={later}.{code}"),
        format!("{name}={expiry}.{}", "0".repeat(64)),
        format!("{name}={expiry}."),
        format!("{name}={expiry}"),
        format!("{name}="),
        format!("other={expiry}.{code}"),
    ] {
        assert_eq!(status(&lake, &forged).await, StatusCode::UNAUTHORIZED, "{forged}");
    }

    lake.parts.clock = Clock::new(a_second_earlier);
    assert_eq!(status(&lake, &cookie).await, StatusCode::OK);
    lake.parts.clock = Clock::new(in_12_hours);
    assert_eq!(status(&lake, &cookie).await, StatusCode::UNAUTHORIZED);
    lake.parts.clock = Clock::new(fixture::now);

    assert!(token.replace("another-token"));
    assert_eq!(status(&lake, &cookie).await, StatusCode::UNAUTHORIZED);
    assert!(token.replace(TOKEN));
    assert_eq!(status(&lake, &cookie).await, StatusCode::OK);
}

#[tokio::test]
async fn signing_in_leads_to_pages_of_this_server_alone() {
    let lake = protected().await;
    for (address, expected) in [
        ("/page/runs", "/page/runs"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nset-cookie: a=b", "/"),
        ("evil.example", "/"),
        ("/page/sign-out", "/"),
        ("", "/"),
    ] {
        let answer = sign_in(&lake, TOKEN, address, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, expected),
            "{address:?}"
        );
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", address)
            .finish();
        let page = browse(&lake, &format!("/page/sign-in?{form}"), None).await;
        assert_eq!(return_to(&page.body), expected, "{address:?}");
    }
}

#[tokio::test]
async fn signing_out_removes_the_cookie() {
    let lake = protected().await;
    let answer = send(&lake, Method::POST, "/page/sign-out", &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(
        answer.header("set-cookie"),
        "datalake_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    );
    assert_eq!(browse(&lake, "/page/sign-out", None).await.status, StatusCode::METHOD_NOT_ALLOWED);
}
