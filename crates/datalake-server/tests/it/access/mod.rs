//! Access with the token, with a browser session, and without either.

mod cross_site;
mod run_details;
mod session;
mod token;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use datalake_api::request::auth::{Access, Token};
use url::form_urlencoded;

use crate::fixture::{Answer, Lake};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const TOKEN: &str = "a-token-of-the-tests";

const HOST: &str = "data.example.com";

async fn send(lake: &Lake, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::HOST, HOST);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    lake.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn browse(lake: &Lake, path: &str, cookie: Option<&str>) -> Answer {
    let cookie = cookie.map(|cookie| ("cookie", cookie));
    let headers: Vec<_> = [("accept", BROWSER)].into_iter().chain(cookie).collect();
    send(lake, Method::GET, path, &headers, "").await
}

/// A lake whose reads need the token.
async fn protected() -> Lake {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new(TOKEN));
    lake
}

/// Submits the form of the sign-in page.
async fn sign_in(lake: &Lake, token: &str, return_to: &str, headers: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("return_to", return_to)
        .finish();
    let headers = [
        &[("content-type", "application/x-www-form-urlencoded"), ("accept", BROWSER)],
        headers,
    ]
    .concat();
    send(lake, Method::POST, "/page/sign-in", &headers, &form).await
}

/// The cookie that a browser has after signing in.
async fn cookie(lake: &Lake) -> String {
    let answer = sign_in(lake, TOKEN, "/", &[]).await;
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn status(lake: &Lake, cookie: &str) -> StatusCode {
    send(lake, Method::GET, "/data", &[("cookie", cookie)], "").await.status
}

/// The address in the form of a sign-in page.
#[track_caller]
fn return_to(page: &str) -> String {
    let (_, rest) = page
        .split_once("name=\"return_to\" value=\"")
        .unwrap_or_else(|| panic!("no form: {page}"));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}
