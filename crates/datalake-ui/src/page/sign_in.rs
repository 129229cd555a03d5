//! Signing in: a form for the token replaces every page that requires it. In exchange for the token the browser gets a session cookie.

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use url::form_urlencoded;

use crate::{
    components,
    page::{
        api_address::ApiAddress,
        html_page::HtmlPage,
        layout::{self, Account, Frame, Refresh, View},
        links, request_url,
        return_address::{RETURN_TO, ReturnAddress},
        site::Site,
    },
};
use datalake_api::{
    lake_label::LakeLabel,
    problem::{Problem, UnauthorizedReason},
    request::{auth::Access, body, parameters::NoParameters, query_string::QueryString, session},
    snapshots::watch::TableWatch,
};
use datalake_core::{clock::Clock, dataset::Dataset};
use datalake_http::{client_scheme::is_https, cross_site::SEC_FETCH_SITE};

/// The data of the sign-in page.
#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    pub(crate) site: &'a Site,
    /// Scheme, host and port of the server.
    pub(crate) origin: &'a str,
    pub(crate) return_to: ReturnAddress,
    /// Whether the last attempt sent an invalid token.
    pub(crate) is_token_invalid: bool,
    /// Whether a page of another site linked here. The browser then did not send the cookie (`SameSite=Strict`), so the script requests the page
    /// again.
    pub(crate) is_from_other_site: bool,
    /// How to obtain the token.
    pub(crate) detail: &'a str,
    /// The status of a response without the token.
    pub(crate) status: u16,
    /// The declaration of the rows, for their nouns.
    pub(crate) dataset: &'a Dataset,
}

/// Whether a page of another site linked to the requested address.
pub(crate) fn is_from_other_site(headers: &HeaderMap) -> bool {
    { headers.get(SEC_FETCH_SITE) }.is_some_and(|site| site == "cross-site" || site == "same-site")
}

impl SignIn<'_> {
    pub(crate) fn page(&self) -> Markup {
        let frame = Frame {
            view: View::SignIn,
            title: "Sign in",
            dataset: self.dataset,
            site: self.site,
            notice: None,
            address: self.return_to.clone(),
            api: None,
            api_label: layout::API_LABEL,
            curl: "curl",
            origin: self.origin,
            // Live updates require the token as well.
            refresh: Refresh::Never,
            rejected_count: 0,
            search: None,
            account: Account::None,
        };
        frame.page(&self.main())
    }

    fn main(&self) -> Markup {
        let kind = format!("{}#unauthorized", links::PROBLEM_REFERENCE);
        let subtitle = html! { "A token is required to view the pages of this server." };
        html! {
            (components::heading("Sign in", &subtitle, &html! {}))
            section.card #problem data-problem=(kind) data-status=(self.status) data-reload[self.is_from_other_site] {
                form #sign-in method="post" action=(links::SIGN_IN) {
                    @if self.is_token_invalid { p.hint.error #sign-in-error role="alert" { "Invalid token." } }
                    input type="hidden" name=(RETURN_TO) value=(self.return_to.as_str());
                    div.field {
                        label for="sign-in-token" { "Token" }
                        input #sign-in-token type="password" name="token" autocomplete="current-password" spellcheck="false" required autofocus
                            aria-describedby=[self.is_token_invalid.then_some("sign-in-error")];
                        span.hint { "You stay signed in for 12 hours, or until you sign out or the token changes." }
                    }
                    div.actions { button.primary type="submit" { "Sign in" } }
                }
            }
            section.card aria-labelledby="without-browser" {
                h2 #without-browser { "Without a browser" }
                p.wrap.small { (components::prose(self.detail)) }
                (components::command("curl -H \"Authorization: Bearer $TOKEN\"", self.origin, &ApiAddress::new("/data")))
            }
        }
    }
}

/// The parameter `return_to` of the sign-in page.
pub(crate) struct ReturnTo(ReturnAddress);

impl<S: Send + Sync> FromRequestParts<S> for ReturnTo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&[RETURN_TO])?;
        Ok(Self(ReturnAddress::or_overview(pairs.get(RETURN_TO).unwrap_or_default())))
    }
}

/// The sign-in page; a redirect if the server requires no token.
pub(crate) async fn show(
    ReturnTo(return_to): ReturnTo,
    State(access): State<Access>,
    State(label): State<LakeLabel>,
    State(table): State<TableWatch>,
    request: Request,
) -> Response {
    match access.token() {
        None => Redirect::to(return_to.as_str()).into_response(),
        Some(token) => {
            let problem = token.unauthorized(UnauthorizedReason::NoToken);
            let detail = problem.detail();
            let page = SignIn {
                site: &Site::public(&label, request.headers()),
                origin: &request_url::origin(request.headers(), request.uri()),
                return_to,
                is_token_invalid: false,
                is_from_other_site: false,
                detail: &detail,
                status: problem.status().as_u16(),
                dataset: &table.dataset(),
            };
            HtmlPage(page.page()).into_response()
        }
    }
}

/// The submitted form.
pub(crate) struct SignInForm {
    headers: HeaderMap,
    origin: String,
    is_https: bool,
    token: String,
    return_to: ReturnAddress,
}

impl<S: Send + Sync> FromRequest<S> for SignInForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let NoParameters = NoParameters::from_request_parts(&mut parts, state).await?;
        let bytes = body::read(body).await?;
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(&bytes);
            fields.find_map(|(found, value)| (found == name).then(|| value.into_owned()))
        };
        Ok(Self {
            origin: request_url::origin(&parts.headers, &parts.uri),
            is_https: is_https(&parts.headers),
            // A copied token often ends with a line feed.
            token: field("token").unwrap_or_default().trim().to_owned(),
            return_to: ReturnAddress::or_overview(&field(RETURN_TO).unwrap_or_default()),
            headers: parts.headers,
        })
    }
}

/// Signs the browser in and redirects it to the page that it requested.
///
/// An invalid token is answered without a delay. A delay would occupy a permit of the request limit without protecting anything: the API does
/// not delay either, and a token of 16 random characters cannot be guessed.
pub(crate) async fn submit(
    State(access): State<Access>,
    State(label): State<LakeLabel>,
    State(clock): State<Clock>,
    State(table): State<TableWatch>,
    form: SignInForm,
) -> Response {
    let SignInForm {
        headers,
        origin,
        is_https,
        token: submitted,
        return_to,
    } = form;
    let Some(token) = access.token() else {
        return Redirect::to(return_to.as_str()).into_response();
    };
    if token.matches(submitted.as_bytes()) {
        let cookie = [(header::SET_COOKIE, token.begin_session(clock.now(), is_https))];
        return (cookie, Redirect::to(return_to.as_str())).into_response();
    }
    let problem = token.unauthorized(UnauthorizedReason::NoToken);
    let detail = problem.detail();
    let page = SignIn {
        site: &Site::public(&label, &headers),
        origin: &origin,
        return_to,
        is_token_invalid: true,
        is_from_other_site: false,
        detail: &detail,
        status: problem.status().as_u16(),
        dataset: &table.dataset(),
    };
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (problem.status(), HtmlPage(page.page())).into_response();
    for (name, value) in challenge {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response.extensions_mut().insert(problem.observed());
    response
}

/// Removes the cookie from the browser. A copy of the cookie stays valid until it expires or the token changes.
pub(crate) async fn sign_out(headers: HeaderMap, _: NoParameters) -> Response {
    let cookie = [(header::SET_COOKIE, session::end(is_https(&headers)))];
    (cookie, Redirect::to(links::OVERVIEW)).into_response()
}
