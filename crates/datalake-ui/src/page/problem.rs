//! A problem as a page. Its status and its words are those of `problem.rs`; here is only how they look.

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use crate::{
    ASSETS, components,
    page::{
        api_address::ApiAddress,
        context,
        csp::Page,
        layout::{self, Account, Frame, Redrawn, View},
        sign_in::{self, LocalAddress, SignIn},
    },
};
use datalake_api::{
    problem::{
        self, Problem,
        document::{ProblemDocument, replace_body},
    },
    request::cursor::CURSOR,
};
use datalake_http::accept::Accept;

/// Replaces problems by pages where the client is a browser that opens a page.
pub async fn show_problems(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let Some(client) = Client::of(&request) else {
        return next(request).await;
    };
    let instance = request.uri().path().to_owned();
    let mut response = next(request).await;
    if !client.wants_page(response.status()) {
        return response;
    }
    match response.extensions_mut().remove::<Problem>() {
        None => response,
        Some(problem) => replace_body(response, problem, instance, |document| client.page(&document)),
    }
}

/// The client of a request, as far as that decides how a problem is written.
#[derive(Debug)]
struct Client {
    origin: String,
    address: String,
    prefers_html: bool,
    is_from_other_site: bool,
}

impl Client {
    /// None if no problem of the request is written as a page.
    fn of(request: &Request) -> Option<Self> {
        let accept = Accept::from_headers(request.headers());
        let prefers_html = accept.weight("text/html") > accept.weight("application/problem+json");
        (prefers_html || request.uri().path().starts_with("/page/")).then(|| Self {
            origin: context::origin(request.headers(), request.uri()),
            address: context::address(request.uri()),
            // A client that accepts every type alike, such as curl, is no browser.
            is_from_other_site: sign_in::is_from_other_site(request.headers()),
            prefers_html,
        })
    }

    /// Whether a problem is written as a page: always below `/page/`; elsewhere for a browser that opens the overview, or that cannot send the
    /// token that reads require.
    fn wants_page(&self, status: StatusCode) -> bool {
        let path = self.address.split('?').next().unwrap_or_default();
        let is_page = path.starts_with("/page/") && !path.starts_with(ASSETS) && path != "/page/live";
        is_page || self.prefers_html && (path == "/" || path == "/page" || problem::is_unauthorized(status.as_u16()))
    }

    /// The problem as a page; an unauthorized request gets the sign-in page.
    fn page(&self, problem: &ProblemDocument) -> Response {
        let page = match problem::is_unauthorized(problem.status) {
            true => self.sign_in(problem).page(),
            false => self.frame(problem).page(&self.words(problem)),
        };
        let mut response = Page(page).into_response();
        response.headers_mut().remove(header::CACHE_CONTROL);
        response
    }

    fn frame<'a>(&'a self, problem: &'a ProblemDocument) -> Frame<'a> {
        Frame {
            view: View::Failure,
            title: problem.title,
            api: ApiAddress::of_page(&self.address),
            words: layout::SAME,
            command: "curl",
            origin: &self.origin,
            redrawn: Redrawn::Problem,
            account: Account::None,
        }
    }

    fn sign_in<'a>(&'a self, problem: &'a ProblemDocument) -> SignIn<'a> {
        SignIn {
            origin: &self.origin,
            return_to: LocalAddress::or_overview(&self.address),
            is_wrong: false,
            is_from_other_site: self.is_from_other_site,
            detail: &problem.detail,
            status: problem.status,
        }
    }

    fn words(&self, problem: &ProblemDocument) -> Markup {
        let line = html! { "Status " (problem.status) };
        html! {
            (components::heading(problem.title, &line, &html! {}))
            section.card #problem data-problem=(problem.kind) data-status=(problem.status) {
                p.wrap { (components::prose(&problem.detail)) }
                @if let Some(nearest) = &problem.nearest {
                    p { "The nearest known name is " code { (nearest) } "." }
                }
                @if let Some(run) = &problem.run {
                    p { "The run: " a href={ "/page/runs/" (run.run_id()) } { (run.run_id()) } }
                }
                p.actions {
                    @let first = self.first_page();
                    @if let Some(first) = &first {
                        a.button.primary #first-page href=(first) { "Begin anew with the first page" }
                    }
                    @if let Some(back) = self.way_back() {
                        a.button.primary[first.is_none()] href=(back.0) { (back.1) }
                    }
                    a.button href="/" { "Overview" }
                }
            }
        }
    }

    /// Of a page behind a cursor, the first one: the same request without the cursor.
    fn first_page(&self) -> Option<String> {
        let (path, query) = self.address.split_once('?')?;
        let is_cursor = |pair: &&str| pair.split('=').next() == Some(CURSOR);
        let others: Vec<_> = query.split('&').filter(|pair| !is_cursor(pair)).collect();
        if others.len() == query.split('&').count() {
            return None;
        }
        let separator = if others.is_empty() { "" } else { "?" };
        Some(format!("{path}{separator}{}", others.join("&")))
    }

    /// The view that the address belongs to, without what was asked of it.
    fn way_back(&self) -> Option<(&'static str, &'static str)> {
        let path = self.address.split('?').next().unwrap_or_default();
        match path.strip_prefix("/page/")?.split('/').next()? {
            "people" => Some(("/page/people", "All people")),
            "runs" => Some(("/page/runs", "All runs")),
            "rejects" => Some(("/page/rejects", "Rejects now")),
            "versions" | "changes" => Some(("/page/versions", "All versions")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[track_caller]
    fn check(path: &str, accept: &str, status: u16, expected: bool) {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let wants_page = Client::of(&request).is_some_and(|client| client.wants_page(StatusCode::from_u16(status).unwrap()));
        assert_eq!(wants_page, expected, "{path}, Accept: {accept}, {status}");
    }

    #[test]
    fn who_gets_a_page() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        check("/page/people?x", BROWSER, 400, true);
        check("/page/people?x", "*/*", 400, true);
        check("/page/nowhere", "application/json", 404, true);
        check("/page", BROWSER, 404, true);
        check("/page", "*/*", 404, false);
        check("/page/live?x", BROWSER, 400, false);
        check("/page/assets/x.css", BROWSER, 404, false);
        check("/", BROWSER, 400, true);
        check("/", "*/*", 400, false);
        check("/", BROWSER, 401, true);
        check("/data", BROWSER, 401, true);
        check("/data", "*/*", 401, false);
        check("/data", "application/json", 401, false);
        // The API's own addresses answer browsers as they answer everybody.
        check("/data?x", BROWSER, 400, false);
        check("/nowhere", BROWSER, 404, false);
    }

    #[track_caller]
    fn check_first_page(path: &str, expected: Option<&str>) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(Client::of(&request).unwrap().first_page().as_deref(), expected, "{path}");
    }

    #[test]
    fn first_pages() {
        check_first_page("/page/people?min_age&cursor=1~2&order=age", Some("/page/people?min_age&order=age"));
        check_first_page("/page/people?cursor=1~2", Some("/page/people"));
        check_first_page("/page/people?first_name=cursor", None);
        check_first_page("/page/people", None);
    }
}
