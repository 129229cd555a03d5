//! The users page: it shows the rows that `/data` returns.

use axum::http::StatusCode;
use url::form_urlencoded;

use crate::{
    fixture::{Lake, ids, put},
    pages::{checked, page},
};

/// Table and gallery show the rows of the API's response in its order, and their total.
async fn check(lake: &Lake, query: &str) {
    for view in ["table", "gallery"] {
        let path = format!("/page/users?{query}&view={view}");
        let shown = lake.get(&path).await;
        let users = checked(&shown);
        let answer = lake.get(&format!("/data?{query}")).await;
        assert_eq!(users.values("data-user-id"), ids(&answer.json()), "{path}");
        assert_eq!(users.values("data-total"), [answer.header("x-total-count")], "{path}");
        assert_eq!(lake.get(users.api()).await.body, answer.body, "{path}");
        assert_eq!(shown.header("datalake-version"), answer.header("datalake-version"), "{path}");
    }
}

#[tokio::test]
async fn page_shows_the_rows_of_the_api() {
    let lake = Lake::of_users().await;
    lake.commit(vec![put("1000", "Bo", "1990-01-01", true)]).await;
    lake.watch.refresh_now().await;
    for query in [
        "",
        "is_image_exists=True",
        "is_image_exists=False",
        "min_age",
        "max_age=",
        "min_age&max_age",
        "min_age=30&max_age=40",
        "on=2020-01-01&min_age=16",
        "first_name__contains=e&order=age.desc",
        "first_name__not=Ada&first_name__not=Bo",
        "first_name__in=Ada,Fay&order=first_name.desc,age",
        "img_path__isnull",
        "birthts__gte=0&age__lt=40",
        "limit=2",
        "version=0",
        "as_of=2026-11-24T12:00:00Z",
        "min_version=1",
        "last_name=Unknown",
        "user_id=1",
        "select=user_id,age",
        "q=a",
        "q=last%201000",
        "q=E&order=age",
        "q=unknown",
    ] {
        check(&lake, query).await;
    }
}

#[tokio::test]
async fn invalid_requests_have_the_status_of_the_api() {
    let lake = Lake::of_users().await;
    for (path, status, kind) in [
        ("/page/users?minage=1", 400, "invalid-parameter"),
        ("/page/users?min_age=x", 400, "invalid-parameter"),
        ("/page/users?first_name__like=x", 400, "invalid-parameter"),
        ("/page/users?limit=51", 400, "invalid-parameter"),
        ("/page/users?q", 400, "invalid-parameter"),
        ("/page/users?view=list", 400, "invalid-parameter"),
        ("/page/users?view=table&view=gallery", 400, "invalid-parameter"),
        ("/page/users?cursor=1", 400, "invalid-parameter"),
        ("/page/users?version=9", 404, "no-such-version"),
        ("/page/users/1000?frobnicate", 400, "invalid-parameter"),
        ("/page/users/unknown", 404, "no-such-user"),
        ("/page/users/no%20one", 404, "no-such-user"),
        ("/page/users/%ff", 400, "invalid-path"),
        ("/page/examples?x", 400, "invalid-parameter"),
    ] {
        let answer = lake.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let kinds = [format!("/docs/problems#{kind}")];
        assert_eq!(checked(&answer).values("data-problem"), kinds, "{path}");
    }
}

#[tokio::test]
async fn pages_without_a_table_respond_with_503() {
    let empty = Lake::empty();
    empty.watch.refresh_now().await;
    for path in ["/page/users", "/page/users/1000"] {
        assert_eq!(empty.get(path).await.status.as_u16(), 503, "{path}");
    }
    page(&empty, "/page/examples").await;
}

#[tokio::test]
async fn pagination_uses_the_cursors_of_the_api() {
    let lake = Lake::of_users().await;
    for query in [
        "limit=2",
        "limit=3&order=age.desc",
        "limit=1&is_image_exists=True",
        "limit=2&first_name__not=Ada&order=first_name",
        "limit=1&q=a",
    ] {
        let (mut path, mut address) = (format!("/page/users?{query}&view=gallery"), format!("/data?{query}"));
        let (mut before, mut pages): (_, Vec<Vec<String>>) = (0, Vec::new());
        loop {
            let users = page(&lake, &path).await;
            let answer = lake.get(&address).await;
            let rows = answer.json();
            let found = users.values("data-user-id");
            assert_eq!(found, ids(&rows), "{path}");
            assert_eq!(users.attribute("#range", "data-first"), (before + 1).to_string(), "{path}");
            assert_eq!(users.attribute("#range", "data-last"), (before + found.len()).to_string(), "{path}");
            assert_eq!(users.has("#first-page"), before > 0, "{path}");
            // The previous page shows the rows that this loop has seen before.
            let previous = users.link("previous-page").map(str::to_owned);
            match (pages.last(), previous) {
                (Some(expected), Some(previous)) => {
                    assert_eq!(page(&lake, &previous).await.values("data-user-id"), *expected, "{path}");
                }
                (None, None) => {}
                (expected, previous) => panic!("{path}: {expected:?}, {previous:?}"),
            }
            pages.push(found.iter().map(|user_id| (*user_id).to_owned()).collect());
            before += found.len();
            let next = users.link("next-page").map(str::to_owned);
            let link = answer.headers.get("link").map(|link| link.to_str().unwrap());
            let expected = link.map(|link| link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned());
            let of_api = next
                .as_ref()
                .map(|next| next.replace("/page/users", "/data").replace("&view=gallery", ""));
            assert_eq!(of_api, expected, "{path}");
            let (Some(next), Some(expected)) = (next, expected) else { break };
            (path, address) = (next, expected);
        }
        assert_eq!(before.to_string(), lake.get(&address).await.header("x-total-count"), "{query}");
    }
}

#[tokio::test]
async fn number_of_a_page_leads_to_it() {
    let lake = Lake::of_users().await;
    for query in ["limit=1", "limit=2&order=age.desc&view=gallery", "limit=1&min_age=0&q=a"] {
        let first = page(&lake, &format!("/page/users?{query}")).await;
        let mut expected: Vec<Vec<String>> = Vec::new();
        let mut current = first;
        loop {
            expected.push(current.values("data-user-id").iter().map(|id| (*id).to_owned()).collect());
            assert_eq!(
                current.attribute("form.jump [name=page]", "value"),
                expected.len().to_string(),
                "{query}"
            );
            let list = current.attribute("form.jump [name=of]", "value").to_owned();
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("of", &list)
                .append_pair("page", "1")
                .finish();
            let answer = lake.get(&format!("/page/users?{form}")).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            assert_eq!(answer.header("location"), format!("/page/users?{list}&page=1"));
            let Some(next) = current.link("next-page").map(str::to_owned) else {
                break;
            };
            current = page(&lake, &next).await;
        }
        assert!(expected.len() > 2, "{query}");
        // Too large a number leads to the last page.
        for (number, expected) in (1..).zip(expected.iter().chain(expected.last())) {
            let answer = lake.get(&format!("/page/users?{query}&page={number}")).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{query}, page {number}");
            let target = answer.header("location").to_owned();
            assert_eq!(target.contains("view=gallery"), query.contains("view=gallery"), "{target}");
            assert_eq!(page(&lake, &target).await.values("data-user-id"), *expected, "{target}");
        }
    }
    for number in ["0", "-1", "x", ""] {
        let answer = lake.get(&format!("/page/users?page={number}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{number:?}");
    }
    assert!(!page(&lake, "/page/users").await.has("form.jump"), "one page");
}

#[tokio::test]
async fn next_pages_have_the_version_of_the_first() {
    let lake = Lake::of_users().await;
    let first = page(&lake, "/page/users?limit=2").await;
    lake.commit(vec![put("0000", "New", "2000-01-01", true)]).await;
    lake.watch.refresh_now().await;
    let second = page(&lake, first.link("next-page").unwrap()).await;
    assert_eq!(second.values("data-user-id"), ["1000", "1001"]);
    assert_eq!(second.values("data-banner"), ["other-version"]);
    assert!(!second.has("main img"), "images are those of the latest version");
    let first_page = second.link("first-page").unwrap();
    assert_eq!(first_page, "/page/users?limit=2&version=0");
    assert_eq!(page(&lake, first_page).await.values("data-user-id"), ["0001", "1"]);
    second.check_link("/data.csv?version=0");
}

#[tokio::test]
async fn cursor_of_a_rebuilt_table_returns_410_with_a_link_to_the_first_page() {
    let lake = Lake::of_users().await;
    let first = page(&lake, "/page/users?limit=2").await;
    let next = first.link("next-page").unwrap();
    let gone = lake.get(&next.replace("cursor=0~", "cursor=0~x")).await;
    assert_eq!(gone.status.as_u16(), 410, "{}", gone.body);
    assert_eq!(checked(&gone).link("first-page"), Some("/page/users?limit=2"));
}

#[tokio::test]
async fn column_headers_sort_and_reverse() {
    let lake = Lake::of_users().await;
    let unsorted = page(&lake, "/page/users?min_age=0").await;
    assert_eq!(unsorted.attributes("thead th", "aria-sort"), ["ascending"]);
    let columns = unsorted.attributes("thead th", "data-column");
    assert_eq!(columns, ["img_path", "user_id", "first_name", "last_name", "birthts", "age"]);
    let hrefs = unsorted.attributes("thead a", "href");
    for (index, (column, href)) in columns.iter().zip(hrefs).enumerate() {
        let order = if *column == "user_id" { "user_id.desc" } else { column };
        assert_eq!(href, format!("/page/users?min_age=0&order={order}"));
        let sorted = page(&lake, href).await;
        let answer = lake.get(&format!("/data?min_age=0&order={order}")).await;
        assert_eq!(sorted.values("data-user-id"), ids(&answer.json()), "{href}");
        let reversed = match *column {
            "user_id" => "/page/users?min_age=0".to_owned(),
            column => format!("/page/users?min_age=0&order={column}.desc"),
        };
        assert_eq!(sorted.attributes("thead a", "href")[index], reversed);
    }
}

#[tokio::test]
async fn search_finds_prefixes_first_and_keeps_filters() {
    let lake = Lake::of_users().await;
    lake.commit(vec![
        put("5", "Żaneta", "1990-01-01", true),
        put("4", "Sużan", "1990-01-01", true),
        put("6", "ŻANA", "1990-01-01", false),
    ])
    .await;
    lake.watch.refresh_now().await;
    let found = page(&lake, "/page/users?q=%C5%BC").await;
    assert_eq!(found.values("data-user-id"), ["5", "6", "4"]);
    assert_eq!(found.attributes("thead th", "aria-sort"), [""; 0]);
    assert_eq!(found.attribute("#search", "value"), "ż");
    assert_eq!(found.attribute("#search", "form"), "user-filters");
    found.check_link("/page/users?q=%C5%BC&order=user_id");
    let sorted = page(&lake, "/page/users?q=%C5%BC&order=user_id").await;
    assert_eq!(sorted.values("data-user-id"), ["4", "5", "6"]);
    let filtered = page(&lake, "/page/users?q=%C5%BC&is_image_exists=True").await;
    assert_eq!(filtered.values("data-user-id"), ["5", "4"]);
    filtered.check_link("/page/users?is_image_exists=True");
    // Without JavaScript, an empty search box is sent, too.
    let empty = lake.get("/page/users?form=search&q=").await;
    assert_eq!(empty.header("location"), "/page/users");
    let elsewhere = page(&lake, "/page/rejects").await;
    assert_eq!(elsewhere.attribute("form.search", "action"), "/page/users");
}

#[tokio::test]
async fn page_sizes_keep_the_filters() {
    let lake = Lake::of_users().await;
    let users = page(&lake, "/page/users?min_age=0&limit=10").await;
    let sizes = users.attributes("#page-sizes a", "href");
    assert_eq!(sizes, ["25", "50"].map(|limit| format!("/page/users?min_age=0&limit={limit}")));
    assert_eq!(users.texts("#page-sizes [aria-current]"), ["10"]);
}

#[tokio::test]
async fn first_text_column_links_to_the_user() {
    let lake = Lake::of_users().await;
    for (query, column) in [
        ("", "first_name"),
        ("?select=last_name,first_name", "last_name"),
        ("?select=age,user_id", "user_id"),
        ("?select=age", "age"),
    ] {
        let users = page(&lake, &format!("/page/users{query}")).await;
        let columns = users.attributes("thead th", "data-column");
        let link = users
            .select("#user-list tbody tr:first-child > *")
            .iter()
            .position(|cell| cell.value().name() == "th");
        assert_eq!(link.map(|index| columns[index]), Some(column), "{query}");
        assert!(users.has("#user-list tbody th a[href^='/page/users/']"), "{query}");
    }
}

#[tokio::test]
async fn downloads_contain_the_rows_of_all_pages() {
    let lake = Lake::of_users().await;
    let users = page(&lake, "/page/users?is_image_exists=True&limit=1&view=gallery&order=age").await;
    let downloads = users.attributes("#downloads a", "href");
    let expected = ["json", "ndjson", "csv", "parquet", "arrow"].map(|name| format!("/data.{name}?is_image_exists=True&order=age"));
    assert_eq!(downloads, expected);
    let json = lake.get(downloads[0]).await;
    assert_eq!(ids(&json.json()), ["1002", "1000", "0001", "1003"]);
    let csv = lake.get(downloads[2]).await;
    assert_eq!(
        (csv.header("content-type"), csv.body.lines().count()),
        ("text/csv; charset=utf-8", 5)
    );
}

#[tokio::test]
async fn view_mode_link_keeps_the_page() {
    let lake = Lake::of_users().await;
    let first = page(&lake, "/page/users?limit=2&min_age=0").await;
    let second = page(&lake, first.link("next-page").unwrap()).await;
    let gallery = page(&lake, second.attribute("a[data-view-mode=gallery]", "href")).await;
    assert_eq!(gallery.values("data-user-id"), second.values("data-user-id"));
    assert_eq!(gallery.attribute("#user-list", "data-view-mode"), "gallery");
}

#[tokio::test]
async fn hostile_names_are_escaped() {
    let lake = Lake::of_users().await;
    let hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let names = [hostile, "\u{202e}مرحبا", &"W".repeat(1_000), "O'Hara & Søn"];
    let edits = names.iter().enumerate();
    lake.commit(
        edits
            .map(|(index, name)| put(&format!("9{index}"), name, "2000-01-01", true))
            .collect(),
    )
    .await;
    lake.watch.refresh_now().await;
    let encoded: String = url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
    let query = format!("/page/users?first_name={encoded}");
    for path in [
        "/page/users",
        "/page/users?view=gallery",
        "/page/users/90",
        "/page/examples",
        &query,
        "/page/users?cursor=%3Cscript%3E",
    ] {
        let page = checked(&lake.get(path).await);
        assert_eq!(page.count("script"), page.count("head > script[src]"), "{path}");
        assert!(!page.has("img[onerror]"), "{path}");
    }
    assert_eq!(page(&lake, &query).await.values("data-user-id"), ["90"]);
}

#[tokio::test]
async fn facets_count_the_users_of_further_filters() {
    let lake = Lake::of_users().await;
    for query in [
        "",
        "is_image_exists=True",
        "min_age=30",
        "q=a",
        "last_name=Last&is_image_exists=False",
    ] {
        let users = page(&lake, &format!("/page/users?{query}")).await;
        let others = |names: &[&str]| {
            let pairs = query.split('&').filter(|pair| !names.contains(&pair.split('=').next().unwrap()));
            format!("/stats?{}", pairs.collect::<Vec<_>>().join("&"))
        };
        let stats = lake.get(others(&["is_image_exists"]).trim_end_matches('?')).await.json();
        let labels = users.texts("#is_image_exists option");
        assert_eq!(labels[1], format!("With image ({})", stats["with_image"]), "{query}");
        assert_eq!(labels[2], format!("Without image ({})", stats["without_image"]), "{query}");
        for href in users.attributes("#age-facets a", "href") {
            let rows = lake.get(&href.replace("/page/users", "/data")).await.json();
            assert!(!rows.as_array().unwrap().is_empty(), "{href}");
        }
    }
    let all = page(&lake, "/page/users").await;
    assert!(all.count("#age-facets a") > 1);
}
