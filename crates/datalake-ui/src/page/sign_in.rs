//! Signing in: a form for the token, in the place of every page that needs it, and a cookie in exchange (`session.rs`).

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
        context,
        csp::Page,
        layout::{self, Account, Frame, Redrawn, View},
    },
};
use datalake_api::{
    problem::{Problem, UnauthorizedReason},
    request::{auth::Access, body, parameters::NoParameters, query_string::QueryString, session},
};
use datalake_core::clock::Clock;
use datalake_http::{cross_site::SEC_FETCH_SITE, forwarded::is_https};

pub(crate) const PATH: &str = "/page/sign-in";
pub(crate) const SIGN_OUT: &str = "/page/sign-out";

/// The query parameter and the field with the address of the page that the client requested.
const RETURN_TO: &str = "return_to";

/// A longer address is not returned to: it would not fit into the body with the token.
const ADDRESS_BYTES_MAX: usize = 4096;

const OVERVIEW: &str = "/";

/// Whether a path is that of signing in or out, for which nobody needs the token.
pub(crate) fn is_path(path: &str) -> bool {
    path == PATH || path == SIGN_OUT
}

/// An address of this server. Invariant: it begins with one `/` and has visible ASCII characters without `\` only, so that no browser takes it for
/// an address of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalAddress(String);

impl LocalAddress {
    /// The address, or that of the overview where the client may not be sent there.
    pub(crate) fn or_overview(address: &str) -> Self {
        let is_path_here = address.starts_with('/') && !address.starts_with("//");
        let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let path = address.split(['?', '#']).next().unwrap_or_default();
        match is_path_here && is_plain && address.len() <= ADDRESS_BYTES_MAX && !is_path(path) {
            true => Self(address.to_owned()),
            false => Self(OVERVIEW.to_owned()),
        }
    }

    /// The address of the sign-in page that leads back here.
    pub(crate) fn sign_in(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("{PATH}?{}", query.append_pair(RETURN_TO, &self.0).finish())
    }
}

/// What a sign-in page shows.
#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    /// Where the server is reached.
    pub(crate) origin: &'a str,
    /// Where the client gets after it.
    pub(crate) return_to: LocalAddress,
    /// Whether the token of the last attempt was wrong.
    pub(crate) is_wrong: bool,
    /// Whether a page of another site led here. The browser then withheld the cookie (`SameSite=Strict`), and the page requests itself again.
    pub(crate) is_from_other_site: bool,
    /// How a client gets the token.
    pub(crate) detail: &'a str,
    /// The status of a response without the token.
    pub(crate) status: u16,
}

/// Whether a page of another site led to the request.
pub(crate) fn is_from_other_site(headers: &HeaderMap) -> bool {
    { headers.get(SEC_FETCH_SITE) }.is_some_and(|site| site == "cross-site" || site == "same-site")
}

impl SignIn<'_> {
    pub(crate) fn page(&self) -> Markup {
        let frame = Frame {
            view: View::SignIn,
            title: "Sign in",
            api: None,
            words: layout::SAME,
            command: "curl",
            origin: self.origin,
            // Without the token, a client does not get to know of changes either.
            redrawn: Redrawn::Never,
            account: Account::None,
        };
        frame.page(&self.main())
    }

    fn main(&self) -> Markup {
        let kind = "urn:datalake:problem:unauthorized";
        let line = html! { "This server shows its pages to users who have its token." };
        html! {
            (components::heading("Sign in", &line, &html! {}))
            section.card #problem data-problem=(kind) data-status=(self.status) data-again[self.is_from_other_site] {
                form #sign-in method="post" action=(PATH) {
                    @if self.is_wrong { p.hint.bad #sign-in-error role="alert" { "The token is not valid." } }
                    input type="hidden" name=(RETURN_TO) value=(self.return_to.0);
                    div.field {
                        label for="sign-in-token" { "Token" }
                        input #sign-in-token type="password" name="token" autocomplete="current-password" spellcheck="false" required autofocus
                            aria-describedby=[self.is_wrong.then_some("sign-in-error")];
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

/// The page to return to, by the query.
pub(crate) struct ReturnTo(LocalAddress);

impl<S: Send + Sync> FromRequestParts<S> for ReturnTo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&[RETURN_TO])?;
        Ok(Self(LocalAddress::or_overview(pairs.get(RETURN_TO).unwrap_or_default())))
    }
}

/// The sign-in page. Without a token there is nothing to sign in to.
pub(crate) async fn show(ReturnTo(return_to): ReturnTo, State(access): State<Access>, request: Request) -> Response {
    match access.token() {
        None => Redirect::to(&return_to.0).into_response(),
        Some(token) => {
            let refusal = token.unauthorized(UnauthorizedReason::NoToken);
            let detail = refusal.detail();
            let page = SignIn {
                origin: &context::origin(request.headers(), request.uri()),
                return_to,
                is_wrong: false,
                is_from_other_site: false,
                detail: &detail,
                status: refusal.status().as_u16(),
            };
            Page(page.page()).into_response()
        }
    }
}

/// The fields of the form.
pub(crate) struct Submitted {
    origin: String,
    is_https: bool,
    token: String,
    return_to: LocalAddress,
}

impl<S: Send + Sync> FromRequest<S> for Submitted {
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
            origin: context::origin(&parts.headers, &parts.uri),
            is_https: is_https(&parts.headers),
            // A token that is copied often ends with a line feed.
            token: field("token").unwrap_or_default().trim().to_owned(),
            return_to: LocalAddress::or_overview(&field(RETURN_TO).unwrap_or_default()),
        })
    }
}

/// Signs the browser in, and leads to the page that it requested.
///
/// A wrong token is answered at once. A delay would hold a permit of the request limit, and protect nothing: the API answers wrong tokens at once,
/// too, and a token of 16 random characters cannot be guessed at any rate.
pub(crate) async fn submit(State(access): State<Access>, State(clock): State<Clock>, submitted: Submitted) -> Response {
    let Submitted {
        origin,
        is_https,
        token: given,
        return_to,
    } = submitted;
    let Some(token) = access.token() else {
        return Redirect::to(&return_to.0).into_response();
    };
    if token.matches(given.as_bytes()) {
        let cookie = [(header::SET_COOKIE, token.begin_session(clock.now(), is_https))];
        return (cookie, Redirect::to(&return_to.0)).into_response();
    }
    let refusal = token.unauthorized(UnauthorizedReason::NoToken);
    let detail = refusal.detail();
    let page = SignIn {
        origin: &origin,
        return_to,
        is_wrong: true,
        is_from_other_site: false,
        detail: &detail,
        status: refusal.status().as_u16(),
    };
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (refusal.status(), Page(page.page())).into_response();
    for (name, value) in challenge {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response.extensions_mut().insert(refusal.observed());
    response
}

/// Removes the cookie from the browser. What another client copied of it stays valid until it expires or the token changes.
pub(crate) async fn sign_out(headers: HeaderMap, _: NoParameters) -> Response {
    let cookie = [(header::SET_COOKIE, session::end(is_https(&headers)))];
    (cookie, Redirect::to(OVERVIEW)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, is_kept: bool) {
        let expected = if is_kept { address } else { OVERVIEW };
        assert_eq!(LocalAddress::or_overview(address).0, expected, "{address:?}");
    }

    #[test]
    fn only_pages_of_this_server_are_returned_to() {
        check("/", true);
        check("/page/people?min_age&first_name=%2F%2Fa", true);
        check("/data.csv?order=age#x", true);
        for address in [
            "",
            "page/runs",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\r\nset-cookie: a=b",
            " /data",
            "/é",
            "/page/sign-in?return_to=/",
            "/page/sign-out",
        ] {
            check(address, false);
        }
        check(&format!("/{}", "x".repeat(ADDRESS_BYTES_MAX)), false);
    }

    #[test]
    fn the_sign_in_page_gets_the_address_encoded() {
        let address = LocalAddress::or_overview("/page/people?min_age&order=age");
        assert_eq!(
            address.sign_in(),
            "/page/sign-in?return_to=%2Fpage%2Fpeople%3Fmin_age%26order%3Dage"
        );
    }
}
