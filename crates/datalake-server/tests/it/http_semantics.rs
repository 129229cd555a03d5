//! HTTP semantics: methods, CORS, compression and its ETags, headers of every response, and connections over a real socket.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};
use datalake_http::allowed_hosts::AllowedHosts;
use tokio::io::AsyncReadExt;

use crate::{
    fixture::{Answer, Lake, put},
    raw_requests::Served,
};

async fn send(lake: &Lake, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri(path), |request, (name, value)| {
            request.header(*name, *value)
        });
    lake.send(request.body(Body::empty()).unwrap()).await
}

async fn check_options(lake: &Lake, path: &str, allowed: &str) {
    let answer = send(lake, Method::OPTIONS, path, &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NO_CONTENT, ""), "{path}");
    assert_eq!(answer.header("allow"), allowed, "{path}");
}

#[tokio::test]
async fn options_name_the_methods() {
    let lake = Lake::of_users().await;
    check_options(&lake, "/", "GET,HEAD").await;
    check_options(&lake, "/data", "GET,HEAD,POST").await;
    check_options(&lake, "/data/1000", "GET,HEAD").await;
    check_options(&lake, "/data/1000/image", "GET,HEAD").await;
    check_options(&lake, "/stats", "GET,HEAD").await;
    check_options(&lake, "/runs", "GET,HEAD").await;
    check_options(&lake, "/runs/run-1", "GET,HEAD,DELETE").await;
    check_options(&lake, "/rejects", "GET,HEAD").await;
    check_options(&lake, "/readyz", "GET,HEAD").await;
    check_options(&lake, "/openapi.json", "GET,HEAD").await;
    let nowhere = send(&lake, Method::OPTIONS, "/nowhere", &[]).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}

const ORIGIN: &str = "https://app.example.com";

/// A lake whose responses the pages of one site may read.
async fn shared() -> Lake {
    let mut lake = Lake::of_users().await;
    lake.parts.cors_origins = vec![ORIGIN.parse().unwrap(), "http://localhost:3000".parse().unwrap()];
    lake
}

/// The allowed origin of the response to a page of `origin`.
async fn check_reader(lake: &Lake, path: &str, origin: &str, reader: Option<&str>) {
    let answer = send(lake, Method::GET, path, &[("origin", origin)]).await;
    let allowed = answer
        .headers
        .get("access-control-allow-origin")
        .map(|value| value.to_str().unwrap());
    assert_eq!(allowed, reader, "{path} for {origin}");
    let exposed = answer.headers.get("access-control-expose-headers");
    assert_eq!(exposed.is_some(), reader.is_some(), "{path} for {origin}");
    if let Some(exposed) = exposed {
        let exposed = exposed.to_str().unwrap();
        for name in [
            "datalake-version",
            "etag",
            "link",
            "x-total-count",
            "location",
            "retry-after",
            "x-request-id",
        ] {
            assert!(exposed.split(',').any(|found| found == name), "{name} is not in {exposed}");
        }
    }
}

#[tokio::test]
async fn pages_of_listed_sites_may_read() {
    let lake = shared().await;
    check_reader(&lake, "/data", ORIGIN, Some(ORIGIN)).await;
    check_reader(&lake, "/data", "http://localhost:3000", Some("http://localhost:3000")).await;
    // Problems as well: a page could not show the error otherwise.
    check_reader(&lake, "/data?x", ORIGIN, Some(ORIGIN)).await;
    check_reader(&lake, "/nowhere", ORIGIN, Some(ORIGIN)).await;
    check_reader(&lake, "/data", "https://evil.example", None).await;
    check_reader(&lake, "/data", "https://app.example.com.evil.example", None).await;
    check_reader(&lake, "/data", "http://app.example.com", None).await;
    check_reader(&lake, "/data", "null", None).await;
    let varying = send(&lake, Method::GET, "/stats", &[]).await;
    assert!(varying.headers.get_all("vary").iter().any(|value| value == "origin"));
    check_reader(&Lake::of_users().await, "/data", ORIGIN, None).await;
}

#[tokio::test]
async fn disallowed_host_returns_421_except_for_probes() {
    let mut lake = Lake::of_users().await;
    lake.parts.allowed_hosts = AllowedHosts::Loopback(["mybox".parse().unwrap()].into());
    for host in ["localhost:8080", "127.0.0.1", "mybox:1"] {
        let answer = send(&lake, Method::GET, "/data", &[("host", host)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{host}");
    }
    for path in ["/", "/data", "/data/1000/image", "/openapi.json", "/nowhere"] {
        let answer = send(&lake, Method::GET, path, &[("host", "evil.example:8080")]).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert!(answer.body.contains("`evil.example`"), "{path}: {}", answer.body);
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = send(&lake, Method::GET, path, &[("host", "10-1-2-3.pod")]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_start_and_stop_no_runs() {
    let lake = shared().await;
    let of = async |method: Method, path: &str, site: &str, origin: &str| {
        let headers = [("sec-fetch-site", site), ("origin", origin), ("host", "localhost:8080")];
        send(&lake, method, path, &headers).await.status
    };
    for (method, path) in [(Method::POST, "/data"), (Method::DELETE, "/runs/run-1")] {
        let evil = of(method.clone(), path, "cross-site", "https://evil.example").await;
        assert_eq!(evil, StatusCode::FORBIDDEN, "{method}");
        // Not rejected for its site: this server starts no runs.
        let own = of(method.clone(), path, "same-origin", "http://localhost:8080").await;
        assert_ne!(own, StatusCode::FORBIDDEN, "{method}");
        let allowed = of(method.clone(), path, "cross-site", ORIGIN).await;
        assert_ne!(allowed, StatusCode::FORBIDDEN, "{method}");
    }
    assert_eq!(of(Method::GET, "/data", "cross-site", "https://evil.example").await, StatusCode::OK);
}

async fn ask_first(lake: &Lake, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,idempotency-key"),
    ];
    send(lake, Method::OPTIONS, "/data", &headers).await
}

#[tokio::test]
async fn preflight_lists_allowed_headers() {
    let mut lake = shared().await;
    // A browser asks without the token that the page then sends.
    lake.parts.access = Access::ProtectAll(Token::new("right"));
    let answer = ask_first(&lake, ORIGIN).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(answer.header("access-control-allow-methods"), "GET,HEAD,POST,DELETE,OPTIONS");
    let allowed = answer.header("access-control-allow-headers");
    assert_eq!(
        allowed,
        "authorization,content-type,idempotency-key,prefer,if-match,if-none-match,if-modified-since,if-unmodified-since,\
         range,if-range,last-event-id"
    );
    // Credentials of the browser, such as its session, are only for the server's own pages.
    assert!(answer.headers.get("access-control-allow-credentials").is_none());
    assert_eq!(answer.header("access-control-max-age"), "600");
    let stranger = ask_first(&lake, "https://evil.example").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    // Not a preflight: a client requests the methods of a path.
    let open = shared().await;
    for headers in [vec![], vec![("origin", ORIGIN)]] {
        let answer = send(&open, Method::OPTIONS, "/data", &headers).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (StatusCode::NO_CONTENT, "GET,HEAD,POST"),
            "{headers:?}"
        );
    }
    let private = Lake::of_users().await;
    let answer = ask_first(&private, ORIGIN).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn every_response_has_browser_security_headers() {
    let lake = Lake::of_users().await;
    for path in [
        "/",
        "/data",
        "/data/1000/image",
        "/data/unknown",
        "/nowhere",
        "/data?x",
        "/openapi.json",
        "/healthz",
    ] {
        let answer = lake.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            // Pages have forms, which browsers would send with `Origin: null`.
            ("referrer-policy", if path == "/" { "same-origin" } else { "no-referrer" }),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            let found = answer.headers.get_all(name).iter().collect::<Vec<_>>();
            assert_eq!(found, [value], "{path}: {name}");
        }
    }
}

/// The content coding of the response to a client that accepts `accepted`.
async fn coding(lake: &Lake, path: &str, accepted: &str) -> Option<String> {
    let request = Request::get(path).header("accept-encoding", accepted).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(lake.router(), request).await.unwrap();
    let coding = response.headers().get("content-encoding");
    coding.map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn rows_are_compressed_and_images_are_not() {
    let lake = Lake::of_users().await;
    let rows = (0..100).map(|number| put(&format!("u{number}"), "Abe", "1990-01-01", false));
    lake.commit(rows.collect()).await;
    lake.watch.refresh_now().await;
    assert_eq!(coding(&lake, "/data", "gzip").await.as_deref(), Some("gzip"));
    assert_eq!(coding(&lake, "/data", "zstd").await.as_deref(), Some("zstd"));
    assert_eq!(coding(&lake, "/data", "br").await, None);
    assert_eq!(coding(&lake, "/openapi.json", "gzip").await.as_deref(), Some("gzip"));
    assert_eq!(coding(&lake, "/data/1000/image", "gzip").await, None);
    // Compression would make these larger, or hardly smaller.
    assert_eq!(coding(&lake, "/data/1000", "gzip").await, None);
    assert_eq!(coding(&lake, "/healthz", "gzip").await, None);
    assert_eq!(coding(&lake, "/nowhere", "gzip").await, None);
}

#[tokio::test]
async fn response_in_flight_is_completed_on_shutdown() {
    let served = Served::new(&Lake::of_users().await).await;
    let mut client = served.connected(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = vec![0; 15];
    client.read_exact(&mut answer).await.unwrap();
    served.end().await;
    client.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with('}'), "{answer}");
}
