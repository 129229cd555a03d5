//! The filter form: its redirects, its values, and validation errors.

use std::sync::Arc;

use datalake_core::{
    dataset::{Dataset, Value},
    row::{Provenance, Row},
    row_id::RowId,
    run::RunId,
};
use datalake_table::delta::edit::Edit;
use url::form_urlencoded::Serializer;

use crate::{
    fixture::{Lake, now},
    html::Document,
    pages::{checked, page},
};

#[tokio::test]
async fn submitted_form_redirects_to_the_parameters_of_the_api() {
    let lake = Lake::of_users().await;
    for (submitted, expected) in [
        (
            "form=users&is_image_exists=&min_age=&max_age=&on=&column=&operator=exact&value=&order_by=&direction=asc&limit=50",
            "/page/users?limit=50",
        ),
        ("form=users&q=lee&age_mode=lowest&min_age=&max_age=", "/page/users?q=lee&min_age"),
        (
            "form=users&min_age=30&age_mode=highest-from&is_image_exists=True",
            "/page/users?is_image_exists=True&min_age=30&max_age",
        ),
        (
            "form=users&column=first_name&operator=contains&value=%3Cb%3E&view=gallery",
            "/page/users?first_name__contains=%3Cb%3E&view=gallery",
        ),
        (
            "form=users&order_by=age&direction=desc&order_by=last_name&direction=asc",
            "/page/users?order=age.desc,last_name",
        ),
    ] {
        let answer = lake.get(&format!("/page/users?{submitted}")).await;
        assert_eq!(answer.status.as_u16(), 303, "{submitted}");
        assert_eq!(answer.header("location"), expected, "{submitted}");
    }
}

#[tokio::test]
async fn redirect_cannot_inject_a_header_or_leave_the_server() {
    let lake = Lake::of_users().await;
    for (submitted, expected) in [
        ("form=users&on=%0D%0ASet-Cookie:x", "/page/users?on=Set-Cookie:x"),
        ("form=users&value=//elsewhere.example", "/page/users?value=%2F%2Felsewhere.example"),
    ] {
        let answer = lake.get(&format!("/page/users?{submitted}")).await;
        assert_eq!(answer.header("location"), expected, "{submitted}");
    }
}

#[tokio::test]
async fn redirect_leads_to_the_filtered_users() {
    let lake = Lake::of_users().await;
    let answer = lake
        .get("/page/users?form=users&min_age=&age_mode=lowest&column=last_name&operator=exact&value=Last")
        .await;
    let users = page(&lake, answer.header("location")).await;
    assert_eq!(users.values("data-user-id"), ["1", "1002"]);
}

#[tokio::test]
async fn form_is_redirected_without_a_table() {
    let answer = Lake::empty().get("/page/users?form=users").await;
    assert_eq!(answer.header("location"), "/page/users");
}

#[tokio::test]
async fn unchanged_form_returns_to_the_same_page() {
    let lake = Lake::of_users().await;
    for query in [
        "limit=50",
        "is_image_exists=True&min_age=30&max_age&limit=10",
        "first_name__contains=%3Ca&last_name=Last&order=age.desc,first_name&limit=50",
        "on=2020-01-01&limit=7",
        "img_path__isnull&select=age,user_id&limit=50&version=0&view=gallery",
        "limit=50&as_of=2026-11-24T12:00:00Z",
        "q=Zo%C3%AB+L&min_age&max_age=40&birthts__gte=86400000&birthts__lt=5&limit=50",
    ] {
        let path = format!("/page/users?{query}");
        let submitted = submitted(&page(&lake, &path).await);
        let answer = lake.get(&format!("/page/users?{submitted}")).await;
        assert_eq!(answer.header("location"), path, "{submitted}");
    }
}

#[tokio::test]
async fn unchanged_form_of_an_earlier_version_returns_to_the_same_page() {
    let lake = Lake::of_users().await;
    let other = "source.key = 'src-data/{plant_id}.csv'\n[columns]\nheight = 'number'\n";
    let other = Arc::new(Dataset::parse(other).unwrap());
    let plant = Row {
        row_id: RowId::parse("rose").unwrap(),
        values: [Some(Value::Number(2.0))].into(),
        csv: Provenance {
            etag: "csv".into(),
            size: 1,
            modified: now(),
        },
        files: Box::default(),
        run_id: RunId::parse("run-2").unwrap(),
    };
    lake.commit_of(&other, "run-2", now(), vec![Edit::Put(plant)], &[]).await;
    lake.watch.refresh_now().await;
    for query in [
        "min_age=30&max_age&last_name=Last&limit=50&version=0",
        "is_image_exists=True&min_age=30&max_age&birthts__lt=631238400000&limit=10&as_of=2026-11-24T11:30:00Z",
        "min_height=1.5&limit=50&version=1",
        "min_height=1.5&limit=50",
    ] {
        let path = format!("/page/users?{query}");
        let submitted = submitted(&page(&lake, &path).await);
        let answer = lake.get(&format!("/page/users?{submitted}")).await;
        assert_eq!(answer.header("location"), path, "{submitted}");
    }
}

/// What a browser sends if the form is submitted unchanged.
pub(super) fn submitted(page: &Document) -> String {
    let mut pairs = Serializer::new(String::new());
    for control in page.select("#user-filters input, #user-filters select, [form=user-filters]") {
        let name = control.attr("name").unwrap();
        let value = match (control.value().name(), control.attr("type")) {
            ("select", _) => {
                let options: Vec<_> = control.child_elements().collect();
                let selected = options.iter().rev().find(|option| option.attr("selected").is_some());
                selected.or(options.first()).unwrap().attr("value")
            }
            (_, Some("checkbox")) => control.attr("checked").map(|_| control.attr("value").unwrap_or("on")),
            _ => control.attr("value"),
        };
        if let Some(value) = value {
            pairs.append_pair(name, value);
        }
    }
    pairs.finish()
}

#[tokio::test]
async fn invalid_value_is_kept_with_the_error_next_to_its_field() {
    let lake = Lake::of_users().await;
    for (query, field) in [
        ("is_image_exists=True&min_age=-1&max_age=40&limit=10", "min_age"),
        ("min_age=30&max_age=forty&limit=50", "max_age"),
        ("is_image_exists=perhaps&limit=50", "is_image_exists"),
        ("on=yesterday&order=age.desc&limit=50", "on"),
        ("first_name=Ada&limit=50&version=99", "version"),
        ("limit=50&version=one", "version"),
        ("limit=50&as_of=1999-01-01", "as_of"),
        ("limit=0&view=gallery", "limit"),
    ] {
        let path = format!("/page/users?{query}");
        let invalid = lake.get(&path).await;
        let of_api = lake.get(&format!("/data?{}", query.replace("&view=gallery", ""))).await;
        assert_eq!(invalid.status, of_api.status, "{query}");
        assert_eq!(invalid.header("cache-control"), "no-store", "{query}");
        let users = checked(&invalid);
        assert_eq!(users.values("data-view"), ["users"], "{query}");
        let input = users.one(&format!("#user-filters #{field}"));
        assert_eq!(input.attr("aria-invalid"), Some("true"), "{query}");
        assert_eq!(input.attr("aria-describedby"), Some("filter-error"), "{query}");
        let error = users.text("#filter-error").trim_end_matches('.').to_lowercase();
        let detail = of_api.json()["detail"].as_str().unwrap().to_lowercase();
        assert!(!error.is_empty() && detail.contains(&error), "{query}: {error}, not {detail}");
        let answer = lake.get(&format!("/page/users?{}", submitted(&users))).await;
        assert_eq!(answer.header("location"), path);
    }
}

#[tokio::test]
async fn error_without_a_field_keeps_the_other_values() {
    let lake = Lake::of_users().await;
    for (query, kept) in [
        ("minage=30&is_image_exists=True", "/page/users?is_image_exists=True&limit=50"),
        ("last_name__like=x", "/page/users?last_name__like=x&limit=50"),
        ("order=height", "/page/users?order=height&limit=50"),
        ("select=height", "/page/users?select=height&limit=50"),
        ("view=carousel&min_age=3", "/page/users?min_age=3&limit=50"),
        ("version=9&as_of=2026-11-24", "/page/users?limit=50&version=9&as_of=2026-11-24"),
    ] {
        let invalid = lake.get(&format!("/page/users?{query}")).await;
        assert_eq!(invalid.status, 400, "{query}");
        let answer = lake.get(&format!("/page/users?{}", submitted(&checked(&invalid)))).await;
        assert_eq!(answer.header("location"), kept, "{query}");
    }
}

#[tokio::test]
async fn unknown_filter_has_a_link_that_corrects_it() {
    let lake = Lake::of_users().await;
    let invalid = checked(&lake.get("/page/users?minage=30&order=age").await);
    assert_eq!(invalid.link("correction"), Some("/page/users?min_age=30&order=age"));
    let text = invalid.text("[data-banner=invalid-filter]");
    assert!(text.contains("Unknown parameter minage. Did you mean min_age?"), "{text}");
    assert_eq!(text.matches("Did you mean").count(), 1, "{text}");
    assert!(invalid.text("#known-names").contains("is_image_exists"));
    // An error with a field is shown there, and only there.
    let invalid = checked(&lake.get("/page/users?min_age=x").await);
    assert_eq!(invalid.texts("main").concat().matches("whole number of years").count(), 1);
}

#[tokio::test]
async fn days_of_births_are_filters() {
    let lake = Lake::of_users().await;
    let answer = lake
        .get("/page/users?form=users&column=birthts&operator=lte&value=1990-01-01")
        .await;
    assert_eq!(answer.header("location"), "/page/users?birthts__lt=631238400000");
    let users = page(&lake, answer.header("location")).await;
    assert_eq!(users.attributes(".condition input[type=date]", "value"), ["1990-01-02"]);
    assert!(
        users.text("#active-filters").contains("Born is before 1990-01-02"),
        "{}",
        users.text("#active-filters")
    );
}

#[tokio::test]
async fn invalid_cursor_is_a_problem_page() {
    let lake = Lake::of_users().await;
    let answer = lake.get("/page/users?cursor=zzz").await;
    assert_eq!(checked(&answer).values("data-view"), ["problem"]);
}
