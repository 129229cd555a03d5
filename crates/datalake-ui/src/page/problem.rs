//! Problems as pages. The API crate decides the status and the text of a problem; this file renders them.

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use crate::{
    components,
    page::{
        api_address::ApiAddress,
        html_page::HtmlPage,
        layout::{self, Account, Frame, Refresh, View},
        links,
        request_url::{self, path_and_query},
        return_address::ReturnAddress,
        sign_in::{self, SignIn},
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

/// Replaces the body of problems by a page if the client is a browser that opens a page.
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

/// What decides how a problem is rendered for the client of a request.
#[derive(Debug)]
struct Client {
    origin: String,
    address: String,
    prefers_html: bool,
    is_from_other_site: bool,
}

impl Client {
    /// None if no problem of the request is rendered as a page.
    fn of(request: &Request) -> Option<Self> {
        let accept = Accept::from_headers(request.headers());
        // A client that accepts all types equally, such as curl, is not a browser.
        let prefers_html = accept.weight("text/html") > accept.weight("application/problem+json");
        (prefers_html || request.uri().path().starts_with("/page/")).then(|| Self {
            origin: request_url::origin(request.headers(), request.uri()),
            address: path_and_query(request.uri()),
            is_from_other_site: sign_in::is_from_other_site(request.headers()),
            prefers_html,
        })
    }

    /// Whether a problem is rendered as a page: always below `/page/`; elsewhere for a browser that opens the overview or lacks the token that
    /// reads require.
    fn wants_page(&self, status: StatusCode) -> bool {
        let path = self.address.split('?').next().unwrap_or_default();
        let is_page = path.starts_with("/page/") && !path.starts_with(links::ASSETS) && path != links::LIVE;
        is_page || self.prefers_html && (path == links::OVERVIEW || path == "/page" || problem::is_unauthorized(status.as_u16()))
    }

    /// The problem as a page; the sign-in page for an unauthorized request.
    fn page(&self, problem: &ProblemDocument) -> Response {
        let page = match problem::is_unauthorized(problem.status) {
            true => self.sign_in(problem).page(),
            false => self.frame(problem).page(&self.main(problem)),
        };
        let mut response = HtmlPage(page).into_response();
        response.headers_mut().remove(header::CACHE_CONTROL);
        response
    }

    fn frame<'a>(&'a self, problem: &'a ProblemDocument) -> Frame<'a> {
        Frame {
            view: View::Problem,
            title: problem.title,
            api: ApiAddress::of_page(&self.address),
            api_label: layout::API_LABEL,
            curl: "curl",
            origin: &self.origin,
            refresh: Refresh::Problem,
            account: Account::None,
        }
    }

    fn sign_in<'a>(&'a self, problem: &'a ProblemDocument) -> SignIn<'a> {
        SignIn {
            origin: &self.origin,
            return_to: ReturnAddress::or_overview(&self.address),
            is_token_invalid: false,
            is_from_other_site: self.is_from_other_site,
            detail: &problem.detail,
            status: problem.status,
        }
    }

    fn main(&self, problem: &ProblemDocument) -> Markup {
        let subtitle = html! { "Status " (problem.status) };
        html! {
            (components::heading(problem.title, &subtitle, &html! {}))
            section.card #problem data-problem=(problem.kind) data-status=(problem.status) {
                p.wrap { (components::prose(&problem.detail)) }
                (suggestion(problem))
                @if let Some(run) = &problem.run {
                    p { "Run " a href=(links::run(run.run_id())) { (run.run_id()) } }
                }
                p.actions {
                    @let first_page = self.first_page();
                    @if let Some(first_page) = &first_page {
                        a.button.primary #first-page href=(first_page) { "Back to the first page" }
                    }
                    @if let Some((href, label)) = self.parent_view() {
                        a.button.primary[first_page.is_none()] href=(href) { (label) }
                    }
                    a.button href=(links::OVERVIEW) { "Overview" }
                }
            }
        }
    }

    /// The address of this request without its cursor. None if it has no cursor.
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

    /// The list that the requested page belongs to, without its parameters.
    fn parent_view(&self) -> Option<(&'static str, &'static str)> {
        let path = self.address.split('?').next().unwrap_or_default();
        match path.strip_prefix("/page/")?.split('/').next()? {
            "users" => Some((links::USERS, "All users")),
            "runs" => Some((links::RUNS_PAGE, "All runs")),
            "rejects" => Some((links::REJECTS, "Current rejects")),
            "versions" | "changes" => Some((links::VERSIONS, "All versions")),
            _ => None,
        }
    }
}

/// The name that a misspelled parameter or path probably means.
pub(crate) fn suggestion(problem: &ProblemDocument) -> Markup {
    html! { @if let Some(nearest) = &problem.nearest { p { "Did you mean " code { (nearest) } "?" } } }
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

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn problems_of_pages_are_pages_for_every_client() {
        check("/page/users?x", BROWSER, 400, true);
        check("/page/users?x", "*/*", 400, true);
        check("/page/nowhere", "application/json", 404, true);
    }

    #[test]
    fn problems_of_the_overview_are_pages_for_browsers() {
        check("/page", BROWSER, 404, true);
        check("/page", "*/*", 404, false);
        check("/", BROWSER, 400, true);
        check("/", "*/*", 400, false);
    }

    #[test]
    fn problems_of_assets_and_live_updates_are_documents() {
        check("/page/live?x", BROWSER, 400, false);
        check("/page/assets/x.css", BROWSER, 404, false);
    }

    #[test]
    fn unauthorized_browser_gets_a_page_everywhere() {
        check("/", BROWSER, 401, true);
        check("/data", BROWSER, 401, true);
        check("/data", "*/*", 401, false);
        check("/data", "application/json", 401, false);
    }

    #[test]
    fn other_problems_of_the_api_are_documents_for_browsers() {
        check("/data?x", BROWSER, 400, false);
        check("/nowhere", BROWSER, 404, false);
    }

    #[track_caller]
    fn check_first_page(path: &str, expected: Option<&str>) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(Client::of(&request).unwrap().first_page().as_deref(), expected, "{path}");
    }

    #[test]
    fn first_page_is_the_request_without_its_cursor() {
        check_first_page("/page/users?min_age&cursor=1~2&order=age", Some("/page/users?min_age&order=age"));
        check_first_page("/page/users?cursor=1~2", Some("/page/users"));
        check_first_page("/page/users?first_name=cursor", None);
        check_first_page("/page/users", None);
    }
}
