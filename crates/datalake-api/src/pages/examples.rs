//! Requests to begin with, each with what this server answers now: by the very routes that answer everybody.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use maud::{Markup, html};
use tower::ServiceExt;

use crate::{
    examples::{self, Example},
    extract::NoParameters,
    pages::{
        layout::View,
        parts, people,
        policy::Page,
        visit::{ApiAddress, Visit},
    },
    problem,
    shared_read::SharedRead,
    state::ApiState,
};
use datalake_http::clients::OfClient;

/// Of an answer, the beginning tells what it looks like.
const SHOWN_BYTES_MAX: usize = 400;

/// Requests in flight for one page: some read the store, none is large.
const AT_ONCE: usize = 4;

/// What takes longer is not waited for: the other answers are there.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What the page says of an answer's headers: those that belong to the rows.
const HEADERS: [&str; 2] = ["x-total-count", "datalake-version"];

/// The routes of the API, asked without a connection.
#[derive(Clone, Debug)]
struct InProcess {
    router: Router,
    /// The client of the page, whose limits the requests count towards.
    client: OfClient,
}

/// The examples with their responses, of which one that takes too long is missing.
type Answered = Arc<[(Example, Option<Answer>)]>;

/// What an example is answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    content_type: String,
    /// Name and value.
    headers: Vec<(&'static str, String)>,
    body: Shown,
}

/// A body as the page shows it.
#[derive(Debug)]
enum Shown {
    Text {
        beginning: String,
        /// Whether that is all of it; with the bytes of the whole where they are known.
        rest: Rest,
    },
    Picture,
    /// Bytes that are no text.
    Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    Known { bytes: u64 },
    Unknown,
}

/// Where the page is.
pub(crate) const PATH: &str = "/page/examples";

/// The page. `api` are the routes that it asks.
pub(crate) fn router(api: &Router<ApiState>) -> Router<ApiState> {
    let api = api.clone();
    let responses = Arc::new(SharedRead::default());
    let show = async move |visit: Visit, _: NoParameters, client: OfClient, State(state): State<ApiState>| {
        let api = api.clone().layer(middleware::from_fn(|request, next: middleware::Next| {
            problem::write_documents(request, |request| next.run(request))
        }));
        let api = InProcess {
            router: api.with_state(state),
            client,
        };
        show(&visit, &api, &responses).await
    };
    Router::new().route(PATH, get(show))
}

async fn show(visit: &Visit, api: &InProcess, responses: &SharedRead<(Answered, Answered)>) -> Response {
    // One page makes many requests: clients that open it at the same time share them.
    let read = async || {
        let basic = answered(examples::basic(), api).await;
        (basic, answered(examples::further(&visit.known.table.held), api).await)
    };
    let (basic, further) = responses.get(|_| true, read).await;
    let frame = visit.frame(View::Examples, "Examples").api(ApiAddress::new("/"));
    let frame = frame
        .words("The list of these examples, asked of the API:")
        .command("curl -H 'Accept: application/json'");
    Page(frame.page(&page(&basic, &further, &visit.origin))).into_response()
}

async fn answered(examples: Vec<Example>, api: &InProcess) -> Answered {
    let answers = examples.into_iter().map(async |example| {
        let answer = tokio::time::timeout(ANSWER_MAX, api.answer(&example.href)).await;
        (example, answer.ok())
    });
    stream::iter(answers).buffered(AT_ONCE).collect::<Vec<_>>().await.into()
}

impl InProcess {
    async fn answer(&self, href: &str) -> Answer {
        let request = Request::get(href).extension(self.client.clone()).body(Body::empty());
        let request = request.expect("every example is an address");
        let answer = self.router.clone().oneshot(request).await;
        let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
        Answer {
            status: parts.status,
            content_type: text(&parts.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default(),
            headers: HEADERS
                .into_iter()
                .filter_map(|name| Some((name, text(&parts.headers, name)?)))
                .collect(),
            body: Shown::of(body, text(&parts.headers, header::CONTENT_TYPE.as_str()).as_deref()).await,
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

impl Shown {
    /// Takes no more of the body than is shown.
    async fn of(body: Body, content_type: Option<&str>) -> Self {
        if content_type.is_some_and(|content_type| content_type.starts_with("image/")) {
            return Self::Picture;
        }
        let whole = body.size_hint().exact();
        let mut pieces = body.into_data_stream();
        let (mut taken, mut is_ended) = (Vec::new(), false);
        while taken.len() <= SHOWN_BYTES_MAX && !is_ended {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    // One byte more than is shown tells that there is more.
                    let bytes = piece.len().min(SHOWN_BYTES_MAX + 1);
                    taken.extend_from_slice(piece.get(..bytes).unwrap_or_default());
                }
                Some(Err(_)) | None => is_ended = true,
            }
        }
        let is_cut = taken.len() > SHOWN_BYTES_MAX;
        taken.truncate(SHOWN_BYTES_MAX);
        let rest = match (is_cut, whole) {
            (false, _) => Rest::Nothing,
            (true, Some(bytes)) => Rest::Known { bytes },
            (true, None) => Rest::Unknown,
        };
        beginning(taken, is_cut).map_or(Self::Binary, |beginning| Self::Text { beginning, rest })
    }
}

/// The bytes as text; a letter that was cut in two is left out. None where they are no text.
fn beginning(mut bytes: Vec<u8>, is_cut: bool) -> Option<String> {
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
        && is_cut
    {
        bytes.truncate(error.valid_up_to());
    }
    String::from_utf8(bytes).ok()
}

fn page(basic: &[(Example, Option<Answer>)], further: &[(Example, Option<Answer>)], origin: &str) -> Markup {
    let line = html! { "Requests to begin with, and what this server answers them now: " a href="#basic" { "the twelve basic ones" } " and " a href="#further" { "further ones" } "." };
    html! {
        (parts::heading("Examples", &line, &html! { a.button href="/docs/" { "API documentation" } }))
        h2 #basic { "Basic: who is there, how old, with a picture or without" }
        @for (example, answer) in basic { (one(example, answer.as_ref(), origin)) }
        h2 #further { "Further: time, formats, one user, runs, this server" }
        @for (example, answer) in further { (one(example, answer.as_ref(), origin)) }
    }
}

fn one(example: &Example, answer: Option<&Answer>, origin: &str) -> Markup {
    let Example { href, title } = example;
    html! {
        section.card.example data-example=(href) {
            header {
                h3 { (capitalized(title)) }
                span.small {
                    a href=(href) { "Open" }
                    @if let Some(people) = as_people(href) { " · " a href=(people) { "As a page" } }
                }
            }
            (parts::curl(origin, &ApiAddress::new(href)))
            @match answer {
                Some(answer) => (shown(answer, href, title)),
                None => p.small.muted { "This takes longer than a page waits for. Ask it by itself." },
            }
        }
    }
}

fn shown(answer: &Answer, href: &str, title: &str) -> Markup {
    html! {
        @match &answer.body {
            Shown::Text { beginning, rest } => {
                pre tabindex="0" role="region" aria-label={ "Answer: " (title) } data-answer data-status=(answer.status.as_u16()) { code { (beginning) @if *rest != Rest::Nothing { "…" } } }
                (note(answer, *rest))
            }
            Shown::Picture => {
                p { img.portrait src=(href) alt={ "Answer: " (title) } width="128" height="128" loading="lazy" data-answer data-status=(answer.status.as_u16()); }
                (note(answer, Rest::Nothing))
            }
            Shown::Binary => (note(answer, Rest::Unknown)),
        }
    }
}

/// Status, type, headers, and how much more there is.
fn note(answer: &Answer, rest: Rest) -> Markup {
    html! {
        p.small.muted {
            (answer.status.as_u16()) " · " (answer.content_type)
            @for (name, value) in &answer.headers { " · " span.nowrap { (name) ": " (value) } }
            @match rest {
                Rest::Nothing => {},
                Rest::Known { bytes } => { " · the first " (parts::number(SHOWN_BYTES_MAX)) " of " (parts::number(bytes)) " bytes" },
                Rest::Unknown => { " · the first " (parts::number(SHOWN_BYTES_MAX)) " bytes" },
            }
        }
    }
}

/// The page that shows the same rows, where there is one.
fn as_people(href: &str) -> Option<String> {
    let rest = href.strip_prefix("/data")?;
    match rest.split_once('?') {
        None if rest.is_empty() => Some(people::PATH.to_owned()),
        Some(("", _)) => Some(format!("{}{rest}", people::PATH)),
        _ => None,
    }
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(body: &str, beginning_bytes: usize, rest: Rest) {
        let body = Body::from(body.to_owned());
        let shown = Shown::of(body, Some("application/json")).await;
        let Shown::Text { beginning, rest: found } = shown else {
            panic!("{shown:?}")
        };
        assert_eq!((beginning.len(), found), (beginning_bytes, rest));
    }

    #[tokio::test]
    async fn long_answers_are_cut() {
        check("[]", 2, Rest::Nothing).await;
        check(&"x".repeat(400), 400, Rest::Nothing).await;
        check(&"x".repeat(401), 400, Rest::Known { bytes: 401 }).await;
        // Letters are not cut in two.
        check(&format!("{}ëëëëë", "x".repeat(399)), 399, Rest::Known { bytes: 409 }).await;
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>("0123456789"));
        let shown = Shown::of(Body::from_stream(endless), None).await;
        assert!(matches!(shown, Shown::Text { rest: Rest::Unknown, .. }), "{shown:?}");
    }

    #[tokio::test]
    async fn what_is_no_text_is_not_shown_as_one() {
        assert!(matches!(Shown::of(Body::from(vec![0xff, 0]), None).await, Shown::Binary));
        assert!(matches!(Shown::of(Body::from("x"), Some("image/png")).await, Shown::Picture));
    }

    #[test]
    fn pages_of_examples() {
        assert_eq!(as_people("/data").as_deref(), Some("/page/people"));
        assert_eq!(as_people("/data?min_age&x=1").as_deref(), Some("/page/people?min_age&x=1"));
        for href in ["/data.csv?limit=5", "/data/1000", "/stats", "/"] {
            assert_eq!(as_people(href), None, "{href}");
        }
        assert_eq!(capitalized("every user"), "Every user");
    }
}
