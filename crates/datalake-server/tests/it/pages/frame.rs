//! The frame of every page, its headers, and the assets.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use datalake_api::{
    lake_label::LakeLabel,
    request::auth::{Access, Token},
};

use crate::{
    fixture::{Answer, Lake},
    pages::{BROWSER, browse, checked},
};

#[tokio::test]
async fn page_has_security_and_caching_headers() {
    let lake = Lake::of_users().await;
    let answer = browse(&lake, "/").await;
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("vary"), "accept");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn page_links_only_to_its_own_server() {
    let lake = Lake::of_users().await;
    let page = checked(&browse(&lake, "/").await);
    for address in page.values("href").into_iter().chain(page.values("src")) {
        assert!(address.starts_with('/') || address.starts_with('#'), "{address}");
    }
}

#[tokio::test]
async fn footer_has_the_api_request_for_the_same_data() {
    let lake = Lake::of_users().await;
    let page = checked(&browse(&lake, "/").await);
    assert_eq!(page.api(), "/stats");
    assert_eq!(page.text("footer code"), "curl 'http://lake.example.com/stats'");
    assert_eq!(page.values("data-version"), ["0"]);
}

#[tokio::test]
async fn assets_are_small_immutable_and_load_nothing() {
    let lake = Lake::of_users().await;
    let answer = browse(&lake, "/").await;
    let page = checked(&answer);
    let mut bytes = answer.body.len();
    let addresses = [page.values("href"), page.values("src")].concat();
    let assets: BTreeSet<_> = addresses
        .into_iter()
        .filter(|address| address.starts_with("/page/assets/"))
        .collect();
    // Style, script and icon of all pages; styles and scripts of runs and of charts.
    assert_eq!(assets.len(), 7, "{assets:?}");
    for asset in assets {
        let answer = lake.get(asset).await;
        assert_eq!(answer.status, StatusCode::OK, "{asset}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{asset}");
        let expected = match asset.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(answer.header("content-type"), expected, "{asset}");
        for forbidden in ["url(", "@import", "import(", "http:", "https:", "Storage", "cookie"] {
            let text = answer.body.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(forbidden), "{forbidden} in {asset}");
        }
        bytes += answer.body.len();
    }
    assert!(bytes < 80 * 1024, "{bytes} bytes");
    assert_eq!(lake.get("/page/assets/page-000000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_name_the_lake() {
    let lake = Lake::of_users().await;
    let page = checked(&browse(&lake, "/").await);
    assert_eq!(page.text("head > title"), "Overview · sample-bucket");
    assert_eq!(page.text(".brand .lake"), "/ sample-bucket");
    let problem = checked(&browse(&lake, "/page/nowhere").await);
    assert_eq!(problem.text(".brand .lake"), "/ sample-bucket");
}

#[tokio::test]
async fn sign_in_page_names_only_the_chosen_title() {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new("right"));
    for path in ["/", "/page/sign-in", "/page/nowhere"] {
        let page = checked(&browse(&lake, path).await);
        assert_eq!(
            (page.text("title"), page.count(".lake")),
            ("Sign in · datalake".to_owned(), 0),
            "{path}"
        );
    }
    lake.parts.lake_label = LakeLabel::new(Some("Sales".to_owned()), "bucket".to_owned(), String::new(), String::new());
    let page = checked(&browse(&lake, "/").await);
    assert_eq!(page.text("title"), "Sign in · Sales");
}

/// Submits the form of the theme and the time zone, and returns the cookie.
async fn choose(lake: &Lake, choice: &str) -> String {
    let request = Request::post("/page/theme").header("content-type", "application/x-www-form-urlencoded");
    let form = format!("return_to=%2Fpage%2Fruns%3Flimit%3D5&{choice}");
    let answer = lake.send(request.body(form.into()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/page/runs?limit=5"),
        "{choice}"
    );
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn chosen_theme_is_rendered_without_javascript() {
    let mut lake = Lake::of_users().await;
    // Clients that must sign in can choose a theme as well.
    lake.parts.access = Access::ProtectAll(Token::new("right"));
    for (theme, attribute) in [("dark", Some("dark")), ("light", Some("light")), ("system", None), ("blue", None)] {
        let cookie = choose(&lake, &format!("theme={theme}")).await;
        let page = checked(&get_with_cookie(&lake, "/", &cookie).await);
        assert_eq!(page.attributes("html", "data-theme").first().copied(), attribute, "{theme}");
        assert_eq!(page.count("#theme [aria-pressed=true]"), 1, "{theme}");
    }
}

async fn get_with_cookie(lake: &Lake, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header("accept", BROWSER).header("cookie", cookie);
    lake.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn chosen_theme_is_that_of_the_api_documentation() {
    let lake = Lake::of_users().await;
    let cookie = choose(&lake, "theme=dark").await;
    let docs = get_with_cookie(&lake, "/docs/", &cookie).await;
    assert!(docs.body.contains("<html lang=\"en\" data-theme=\"dark\">"), "{}", docs.body);
    assert_eq!(docs.header("cache-control"), "private, no-cache");
    assert!(!lake.get("/docs/").await.body.contains("data-theme"));
}

#[tokio::test]
async fn chosen_time_zone_is_remembered() {
    let lake = Lake::of_users().await;
    for (choice, attribute, other) in [("local", Some("local"), "utc"), ("utc", None, "local"), ("moon", None, "local")] {
        let cookie = choose(&lake, &format!("times={choice}")).await;
        let page = checked(&get_with_cookie(&lake, "/", &cookie).await);
        assert_eq!(page.attributes("html", "data-times").first().copied(), attribute, "{choice}");
        assert_eq!(page.attribute("#local-times", "value"), other, "{choice}");
    }
}

#[tokio::test]
async fn icon_has_an_address_that_browsers_guess() {
    let answer = Lake::of_users().await.get("/favicon.ico").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/svg+xml"));
}

#[tokio::test]
async fn unreachable_store_has_a_banner_on_every_page() {
    let lake = Lake::of_users().await;
    lake.set_down(true);
    lake.watch.refresh_now().await;
    for path in [
        "/",
        "/page/users",
        "/page/users/1000",
        "/page/runs",
        "/page/rejects",
        "/page/examples",
    ] {
        let page = checked(&browse(&lake, path).await);
        assert_eq!(page.values("data-banner"), ["store-unreachable"], "{path}");
        assert_eq!(page.values("data-store"), ["unreachable"], "{path}");
    }
}

#[tokio::test]
async fn root_is_a_page_or_the_json_index() {
    let lake = Lake::of_users().await;
    for (accept, is_page) in [(BROWSER, true), ("*/*", true), ("application/json", false)] {
        let request = Request::get("/").header("accept", accept).body(Body::empty()).unwrap();
        let answer = lake.send(request).await;
        assert_eq!(answer.header("content-type").starts_with("text/html"), is_page, "{accept}");
    }
    let head = lake.send(Request::head("/").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
}
