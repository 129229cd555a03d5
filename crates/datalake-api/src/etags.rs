//! Strong entity tags and compression: bytes that differ must not share a tag (RFC 9110, 8.8.3.3).
//!
//! Handlers know the tag of what they answer before it is compressed. Outside of the compression its tag gets the coding's name, and the
//! tags that a client sends back lose it again: handlers see their own tags only.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};

/// The codings of `compression.rs`.
const CODINGS: [&str; 2] = ["gzip", "zstd"];

/// Names the coding in the answer's tag, and takes its name from the request's.
pub(crate) async fn etags(mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let sent = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    for name in [header::IF_NONE_MATCH, header::IF_MATCH] {
        strip(request.headers_mut(), &name);
    }
    let mut response = next(request).await;
    if response.headers().contains_key(header::ETAG) {
        vary(response.headers_mut());
    }
    if response.status() == StatusCode::NOT_MODIFIED {
        echo(response.headers_mut(), &sent);
    } else {
        name_coding(response.headers_mut());
    }
    response
}

/// Takes the codings' names from the tags of a header.
fn strip(headers: &mut HeaderMap, name: &HeaderName) {
    let plain = headers.get_all(name).iter().map(plain).collect::<Vec<_>>();
    headers.remove(name);
    for value in plain {
        headers.append(name.clone(), value);
    }
}

/// The same list of tags without codings; what is no list of tags as it is.
fn plain(value: &HeaderValue) -> HeaderValue {
    let Ok(text) = value.to_str() else {
        return value.clone();
    };
    // Quotes cannot be escaped: every second part stands between two of them. Commas may stand there, too.
    let parts = text.split('"').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 1 { without_coding(part) } else { part });
    HeaderValue::try_from(parts.collect::<Vec<_>>().join("\"")).unwrap_or_else(|_| value.clone())
}

fn without_coding(tag: &str) -> &str {
    let named = |coding: &&str| tag.strip_suffix(*coding).and_then(|rest| rest.strip_suffix('-'));
    CODINGS.iter().find_map(named).unwrap_or(tag)
}

/// A client that asked by the tag of compressed bytes is told that these are still right.
fn echo(headers: &mut HeaderMap, sent: &[HeaderValue]) {
    let tag = headers
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok())
        .and_then(inside)
        .map(str::to_owned);
    let Some(tag) = tag else {
        return;
    };
    let lists = sent.iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split('"').skip(1).step_by(2));
    let asked = tags.find(|sent| without_coding(sent) == tag).unwrap_or(&tag);
    let asked = HeaderValue::try_from(format!("\"{asked}\"")).expect("made of two values of headers");
    headers.insert(header::ETAG, asked);
}

/// Whether the answer is compressed depends on its size and its type, which a 304 does not know: each answer with an ETag says that it may be.
fn vary(headers: &mut HeaderMap) {
    let varies = headers.get_all(header::VARY).iter().any(|value| value == "accept-encoding");
    if !varies {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// The text of a strong tag.
fn inside(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
}

/// Names the coding in a strong tag. A weak one says of all codings alike that they mean the same.
fn name_coding(headers: &mut HeaderMap) {
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    let coding = coding.filter(|coding| CODINGS.contains(coding));
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).and_then(inside);
    if let (Some(coding), Some(tag)) = (coding, tag) {
        let tag = HeaderValue::try_from(format!("\"{tag}-{coding}\"")).expect("made of two values of headers");
        headers.insert(header::ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Body,
        middleware::{self, Next},
        routing::get,
    };
    use tower::ServiceExt;

    use super::*;

    #[track_caller]
    fn check_plain(sent: &'static str, expected: &str) {
        assert_eq!(plain(&HeaderValue::from_static(sent)), expected, "sent: {sent}");
    }

    #[test]
    fn codings_are_taken_from_lists_of_tags() {
        check_plain("\"a-gzip\"", "\"a\"");
        check_plain("\"a-zstd\"", "\"a\"");
        check_plain("\"a\"", "\"a\"");
        check_plain("*", "*");
        check_plain("", "");
        check_plain("W/\"a-gzip\", \"b\",\"c-zstd\"", "W/\"a\", \"b\",\"c\"");
        check_plain("\"a-gzip-zstd\"", "\"a-gzip\"");
        check_plain("\"a,-gzip\", \"b-gzip,c\"", "\"a,\", \"b-gzip,c\"");
        check_plain("\"gzip\", \"-gzip\", \"a-br\"", "\"gzip\", \"\", \"a-br\"");
        // Not quoted: no tag.
        check_plain("a-gzip", "a-gzip");
        check_plain("\"a\" b-gzip", "\"a\" b-gzip");
    }

    /// What the client gets for the tag of a resource whose own is `tag`, in the coding.
    async fn check(tag: &'static str, coding: Option<&'static str>, sent: Option<&'static str>, expected: (u16, &str)) {
        let handler = async move |headers: HeaderMap| {
            let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|sent| sent == tag);
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert(header::ETAG, HeaderValue::from_static(tag));
            match (is_known, coding) {
                (true, _) => *response.status_mut() = StatusCode::NOT_MODIFIED,
                (false, Some(coding)) => {
                    response
                        .headers_mut()
                        .insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
                }
                (false, None) => {}
            }
            response
        };
        let router = Router::new()
            .route("/", get(handler))
            .layer(middleware::from_fn(|request, next: Next| {
                etags(request, |request| next.run(request))
            }));
        let mut request = Request::get("/").body(Body::empty()).unwrap();
        if let Some(sent) = sent {
            request.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_static(sent));
        }
        let response = router.oneshot(request).await.unwrap();
        let got = (response.status().as_u16(), response.headers()[header::ETAG].to_str().unwrap());
        assert_eq!(got, expected, "tag: {tag}, coding: {coding:?}, sent: {sent:?}");
        let varies = response.headers().get(header::VARY).is_some_and(|vary| vary == "accept-encoding");
        assert!(varies, "a 304 varies as the answer with bytes does");
    }

    #[tokio::test]
    async fn tags_tell_codings_apart() {
        check("\"a\"", None, None, (200, "\"a\"")).await;
        check("\"a\"", Some("gzip"), None, (200, "\"a-gzip\"")).await;
        check("\"a\"", Some("zstd"), None, (200, "\"a-zstd\"")).await;
        check("\"a\"", Some("br"), None, (200, "\"a\"")).await;
        check("W/\"a\"", Some("gzip"), None, (200, "W/\"a\"")).await;
        check("\"a\"", Some("gzip"), Some("\"a-gzip\""), (304, "\"a-gzip\"")).await;
        check("\"a\"", None, Some("\"a-zstd\""), (304, "\"a-zstd\"")).await;
        check("\"a\"", None, Some("\"a\""), (304, "\"a\"")).await;
        check("\"a\"", Some("gzip"), Some("\"b-gzip\""), (200, "\"a-gzip\"")).await;
        check("W/\"a\"", Some("gzip"), Some("W/\"a-gzip\""), (304, "W/\"a\"")).await;
    }
}
