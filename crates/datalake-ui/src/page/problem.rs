//! Problems as pages. The API crate decides the status and the text of a problem; this file renders them.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use crate::{
    components::{self, labels, run},
    page::{
        api_address::ApiAddress,
        html_page::HtmlPage,
        layout::{self, Account, Frame, Refresh, View},
        links,
        query::Query,
        request_url::{self, path_and_query},
        return_address::ReturnAddress,
        sign_in::{self, SignIn},
        site::Site,
    },
};
use datalake_api::{
    lake_label::LakeLabel,
    problem::{
        self, Problem,
        document::{ProblemDocument, replace_body},
    },
    request::{cursor::CURSOR, row_path},
    snapshots::watch::TableWatch,
};
use datalake_core::dataset::Dataset;
use datalake_http::accept::Accept;

/// Replaces the body of problems by a page if the client is a browser that opens a page. `label` names the lake, and `table` its rows.
pub async fn show_problems(
    label: &LakeLabel,
    table: &TableWatch,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let Some(client) = Client::of(label, || table.dataset(), &request) else {
        return next(request).await;
    };
    let instance = row_path::sent(&request).to_owned();
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
    site: Site,
    /// Without the name of the lake, unless the operator has chosen it.
    public_site: Site,
    origin: String,
    address: String,
    prefers_html: bool,
    is_from_other_site: bool,
    /// The declaration of the rows.
    dataset: Arc<Dataset>,
}

impl Client {
    /// None if no problem of the request is rendered as a page.
    fn of(label: &LakeLabel, dataset: impl FnOnce() -> Arc<Dataset>, request: &Request) -> Option<Self> {
        let accept = Accept::from_headers(request.headers());
        // A client that accepts all types equally, such as curl, is not a browser.
        let prefers_html = accept.weight("text/html") > accept.weight("application/problem+json");
        (prefers_html || request.uri().path().starts_with("/page/")).then(|| Self {
            site: Site::of(label, request.headers()),
            public_site: Site::public(label, request.headers()),
            origin: request_url::origin(request.headers(), request.uri()),
            address: path_and_query(request.uri()),
            is_from_other_site: sign_in::is_from_other_site(request.headers()),
            prefers_html,
            dataset: dataset(),
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
            title: page_title(problem),
            dataset: &self.dataset,
            site: &self.site,
            notice: None,
            address: ReturnAddress::or_overview(&self.address),
            api: ApiAddress::of_page(&self.address),
            api_label: layout::API_LABEL,
            curl: "curl",
            origin: &self.origin,
            refresh: Refresh::Problem,
            rejected_count: 0,
            search: Some(String::new()),
            account: Account::None,
        }
    }

    fn sign_in<'a>(&'a self, problem: &'a ProblemDocument) -> SignIn<'a> {
        SignIn {
            site: &self.public_site,
            origin: &self.origin,
            return_to: ReturnAddress::or_overview(&self.address),
            is_token_invalid: false,
            is_from_other_site: self.is_from_other_site,
            detail: &problem.detail,
            status: problem.status,
            dataset: &self.dataset,
        }
    }

    fn main(&self, problem: &ProblemDocument) -> Markup {
        let subtitle = html! { "Status " (problem.status) };
        let (path, query) = (self.address.split('?').next().unwrap_or_default(), Query::of_address(&self.address));
        let is_without_table = kind_name(problem) == "no-table-yet";
        html! {
            (components::heading(page_title(problem), &subtitle, &html! {}))
            section.card #problem data-problem=(problem.kind) data-status=(problem.status) {
                @match (is_without_table, kind_name(problem)) {
                    (true, _) => (no_table(problem)),
                    (_, "no-such-path") if problem.nearest.is_none() => p { "Check the address, or go to the overview." },
                    _ => (problem_message(problem, path, &query)),
                }
                p.actions {
                    @let first_page = self.first_page();
                    @if let Some(first_page) = &first_page {
                        a.button.primary #first-page href=(first_page) { "Back to the first page" }
                    }
                    // Without a table, the list has the same problem.
                    @if let Some((href, label)) = self.parent_view().filter(|_| !is_without_table) {
                        a.button.primary[first_page.is_none()] href=(href) { (label) }
                    }
                    @if !is_without_table || problem.run.is_some() { a.button href=(links::OVERVIEW) { "Overview" } }
                    a.button href=(problem.kind) { "About this problem" }
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
    fn parent_view(&self) -> Option<(&'static str, String)> {
        let path = self.address.split('?').next().unwrap_or_default();
        match path.strip_prefix("/page/")?.split('/').next()? {
            "users" => Some((links::ROWS, format!("All {}", labels::rows(&self.dataset)))),
            "runs" => Some((links::RUNS_PAGE, "All runs".to_owned())),
            "rejects" => Some((links::REJECTS, "Current rejects".to_owned())),
            "versions" | "changes" => Some((links::VERSIONS, "All versions".to_owned())),
            _ => None,
        }
    }
}

/// The end of a document's `type`.
fn kind_name(problem: &ProblemDocument) -> &str {
    problem.kind.rsplit('#').next().unwrap_or_default()
}

/// The title of a problem. On a page, a path is the address of a page.
fn page_title(problem: &ProblemDocument) -> &str {
    match kind_name(problem) {
        "no-such-path" => "Page not found",
        "no-table-yet" => "No data yet",
        _ => &problem.title,
    }
}

/// Why there is no table, and the one next step.
fn no_table(problem: &ProblemDocument) -> Markup {
    html! {
        @match &problem.run {
            Some(run) => {
                p { "The first successful run creates the table. State of the last run: " (run::label_of_code(run.state())) "." }
                p { a.button.primary #last-run href=(links::run(run.run_id())) { "See the last run" } }
            }
            None => {
                p { "The first successful run creates the table. No run has started yet." }
                p { a.button.primary #set-up href=(links::OVERVIEW) { "Set up this lake" } }
            }
        }
    }
}

/// The cause of a problem, a link that corrects a misspelled name, and the known names on request.
pub(crate) fn problem_message(problem: &ProblemDocument, path: &str, query: &Query) -> Markup {
    let correction = problem.nearest.as_deref().map(|nearest| match &problem.parameter {
        Some(parameter) => (nearest, query.renamed(parameter, nearest).address(path)),
        None => (nearest, nearest.to_owned()),
    });
    html! {
        p.wrap {
            @match (&problem.parameter, &problem.known) {
                (Some(parameter), Some(_)) => { "Unknown parameter " code { (parameter) } "." },
                _ => (components::prose(&problem.cause)),
            }
            @if let Some((nearest, href)) = &correction {
                " Did you mean "
                // A pattern such as /data/{user_id} is no address.
                @if href.contains('{') { code { (nearest) } } @else { a #correction href=(href) { code { (nearest) } } }
                "?"
            }
        }
        @if let Some(known) = &problem.known {
            details #known-names { summary { "Known parameters" } p.wrap { (known) } }
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
        let wants_page = Client::of(&LakeLabel::default(), Dataset::shared_users, &request)
            .is_some_and(|client| client.wants_page(StatusCode::from_u16(status).unwrap()));
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
        assert_eq!(
            Client::of(&LakeLabel::default(), Dataset::shared_users, &request)
                .unwrap()
                .first_page()
                .as_deref(),
            expected,
            "{path}"
        );
    }

    #[test]
    fn first_page_is_the_request_without_its_cursor() {
        check_first_page("/page/users?min_age&cursor=1~2&order=age", Some("/page/users?min_age&order=age"));
        check_first_page("/page/users?cursor=1~2", Some("/page/users"));
        check_first_page("/page/users?first_name=cursor", None);
        check_first_page("/page/users", None);
    }
}
