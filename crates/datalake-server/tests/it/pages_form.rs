//! The form of the people's filters: what it sends, what it keeps, and what it says of what is refused.

use crate::{
    fixture::Lake,
    pages_people::{attributes, element, page, unescaped},
};

#[tokio::test]
async fn forms_are_led_to_what_they_mean() {
    let lake = Lake::of_users().await;
    for (sent, expected) in [
        (
            "form=people&is_image_exists=&min_age=&max_age=&on=&column=&operator=exact&value=&order_by=&direction=asc&limit=50",
            "/page/people?limit=50",
        ),
        ("form=people&min_age=&youngest=on&max_age=", "/page/people?min_age"),
        (
            "form=people&min_age=30&oldest=on&is_image_exists=True",
            "/page/people?is_image_exists=True&min_age=30&max_age",
        ),
        (
            "form=people&column=first_name&operator=contains&value=%3Cb%3E&view=gallery",
            "/page/people?first_name__contains=%3Cb%3E&view=gallery",
        ),
        (
            "form=people&order_by=age&direction=desc&order_by=last_name&direction=asc",
            "/page/people?order=age.desc,last_name",
        ),
        // A line feed or another host cannot be led to.
        ("form=people&on=%0D%0ASet-Cookie:x", "/page/people?on=Set-Cookie:x"),
        (
            "form=people&value=//elsewhere.example",
            "/page/people?value=%2F%2Felsewhere.example",
        ),
    ] {
        let answer = lake.get(&format!("/page/people?{sent}")).await;
        assert_eq!(answer.status.as_u16(), 303, "{sent}");
        assert_eq!(answer.header("location"), expected, "{sent}");
    }
    // What a form sends is led to a page that answers.
    let answer = lake
        .get("/page/people?form=people&min_age=&youngest=on&column=last_name&operator=exact&value=Last")
        .await;
    let led = page(&lake, answer.header("location")).await;
    assert_eq!(attributes(&led.body, "data-user-id"), ["1", "1002"]);
    // Without a table as well: the page that comes then says so.
    let empty = Lake::empty();
    assert_eq!(empty.get("/page/people?form=people").await.header("location"), "/page/people");
}

/// An untouched form asks for the page that it stands on: its fields are filled with what the page was asked.
#[tokio::test]
async fn an_untouched_form_changes_nothing() {
    let lake = Lake::of_users().await;
    for query in [
        "limit=50",
        "is_image_exists=True&min_age=30&max_age&limit=10",
        "first_name__contains=%3Ca&last_name=Last&order=age.desc,first_name&limit=50",
        "on=2020-01-01&limit=7",
        "img_path__isnull&select=age,user_id&limit=50&version=0&view=gallery",
        "limit=50&as_of=2026-11-24T12:00:00Z",
    ] {
        let path = format!("/page/people?{query}");
        let sent = sent_by_form(&page(&lake, &path).await.body);
        let answer = lake.get(&format!("/page/people?{sent}")).await;
        assert_eq!(answer.header("location"), path, "{sent}");
    }
}

/// What a browser sends of the form of filters as it stands.
fn sent_by_form(page: &str) -> String {
    let form = &page[page.find("id=\"people-filters\"").unwrap()..];
    let form = &form[..form.find("</form>").unwrap()];
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    let mut select = None;
    for tag in form.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let attribute = |name| attributes(&format!(" {tag}"), name).pop();
        let is_there = |name: &str| tag.split(' ').any(|word| word == name);
        match tag.split(' ').next().unwrap() {
            "select" => select = attribute("name").map(|name| (name, None::<String>)),
            "option" => {
                let (_, value) = select.as_mut().unwrap();
                if value.is_none() || is_there("selected") {
                    *value = attribute("value");
                }
            }
            "/select" => {
                let (name, value) = select.take().unwrap();
                pairs.append_pair(&name, &value.unwrap());
            }
            "input" if attribute("type").as_deref() == Some("checkbox") && !is_there("checked") => {}
            "input" if attribute("type").as_deref() == Some("checkbox") => {
                pairs.append_pair(&attribute("name").unwrap(), attribute("value").as_deref().unwrap_or("on"));
            }
            "input" => {
                pairs.append_pair(&attribute("name").unwrap(), &attribute("value").unwrap());
            }
            _ => {}
        }
    }
    pairs.finish()
}

/// A refused question stands in the form as it was asked, with what is wrong beside the field; sent again, it is the same.
#[tokio::test]
async fn what_is_refused_stays_to_be_mended() {
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
        let path = format!("/page/people?{query}");
        let refused = lake.get(&path).await;
        let answered = lake.get(&format!("/data?{}", query.replace("&view=gallery", ""))).await;
        assert_eq!(refused.status, answered.status, "{query}");
        assert_eq!(refused.header("cache-control"), "no-store", "{query}");
        assert_eq!(attributes(&refused.body, "data-view"), ["people"], "{query}");
        let input = element(&refused.body, field).unwrap_or_else(|| panic!("no {field} in {}", refused.body));
        assert!(
            input.contains("aria-invalid=\"true\"") && input.contains("aria-describedby=\"wrong\""),
            "{query}: {input}"
        );
        // Beside the field stands what the API says.
        let hint = refused.body.split("id=\"wrong\">").nth(1).unwrap().split("</p>").next().unwrap();
        let hint = unescaped(hint).trim_end_matches('.').to_lowercase();
        let detail = answered.json()["detail"].as_str().unwrap().to_lowercase();
        assert!(!hint.is_empty() && detail.contains(&hint), "{query}: {hint}, not {detail}");
        let answer = lake.get(&format!("/page/people?{}", sent_by_form(&refused.body))).await;
        assert_eq!(answer.header("location"), path);
    }
    // What no field stands for is said above the form, which keeps the rest.
    for (query, kept) in [
        ("minage=30&is_image_exists=True", "/page/people?is_image_exists=True&limit=50"),
        ("last_name__like=x", "/page/people?last_name__like=x&limit=50"),
        ("order=height", "/page/people?order=height&limit=50"),
        ("select=height", "/page/people?select=height&limit=50"),
        ("view=carousel&min_age=3", "/page/people?min_age=3&limit=50"),
        ("version=9&as_of=2026-11-24", "/page/people?limit=50&version=9&as_of=2026-11-24"),
    ] {
        let refused = lake.get(&format!("/page/people?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        let answer = lake.get(&format!("/page/people?{}", sent_by_form(&refused.body))).await;
        assert_eq!(answer.header("location"), kept, "{query}");
    }
    // Whoever was led by a cursor has typed nothing.
    let refused = lake.get("/page/people?cursor=zzz").await;
    assert_eq!(attributes(&refused.body, "data-view"), ["failure"]);
}
