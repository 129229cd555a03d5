//! Tests of the conversion of form fields to API parameters.

use url::form_urlencoded;

use super::*;
use crate::components::test_dataset::orders;

/// The fields of an unchanged form.
const UNCHANGED: &str = "form=users&q=&is_image_exists=&age_mode=&min_age=&max_age=&on=&column=&operator=exact&value=&order_by=&direction=asc\
                         &select=user_id&select=first_name&select=last_name&select=birthts&select=img_path&select=age&limit=50\
                         &version=&as_of=";

#[track_caller]
fn check(submitted: &str, expected: &str) {
    check_of(Dataset::users(), submitted, expected);
}

#[track_caller]
fn check_of(dataset: &Dataset, submitted: &str, expected: &str) {
    let pairs: Vec<_> = form_urlencoded::parse(submitted.as_bytes()).into_owned().collect();
    let query = to_api_query(dataset, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    assert_eq!(query.address(""), expected, "submitted: {submitted}");
    // The target of a redirect is not redirected again.
    let target: Vec<_> = form_urlencoded::parse(expected.trim_start_matches('?').as_bytes())
        .into_owned()
        .collect();
    assert!(!target.iter().any(|(name, _)| name == FORM));
    assert_eq!(
        Query::new(target.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        query
    );
}

#[test]
fn form_fields_become_api_parameters() {
    check(UNCHANGED, "?limit=50");
    check("form=users", "");
    check(
        "form=users&is_image_exists=True&min_age=&max_age=+40+&limit=20",
        "?is_image_exists=True&max_age=40&limit=20",
    );
    check("form=users&q=+Zo%C3%AB+&min_age=", "?q=Zo%C3%AB");
    check("form=users&on=2020-01-01&view=gallery", "?on=2020-01-01&view=gallery");
    check("form=users&view=table", "");
    check("form=users&version=3&as_of=", "?version=3");
    check("form=users&as_of=2026-11-24T12:00:00%2B02:00", "?as_of=2026-11-24T12:00:00%2B02:00");
    check("form=users&select=age&select=user_id", "?select=age,user_id");
    check(
        "form=users&order_by=age&direction=desc&order_by=last_name&direction=asc&order_by=&direction=desc",
        "?order=age.desc,last_name",
    );
}

#[test]
fn mode_of_a_range_selects_the_bounds() {
    let check = |mode: &str, expected: &str| check(&format!("form=users&age_mode={mode}&min_age=30&max_age=40"), expected);
    check("", "");
    check("range", "?min_age=30&max_age=40");
    check("lowest", "?min_age");
    check("highest", "?max_age");
    check("extremes", "?min_age&max_age");
    check("lowest-up-to", "?min_age&max_age=40");
    check("highest-from", "?min_age=30&max_age");
    check("tallest", "?min_age=30&max_age=40&age_mode=tallest");
}

#[test]
fn fields_follow_from_the_declaration() {
    let orders = orders();
    let check = |submitted: &str, expected: &str| check_of(&orders, submitted, expected);
    check(
        "form=users&q=&is_invoice_exists=False&state__exact=paid&gift__exact=&quantity_mode=lowest&min_quantity=&max_quantity=\
         &total_mode=range&min_total=1.5&max_total=",
        "?is_invoice_exists=False&min_quantity&min_total=1.5&state=paid",
    );
    check(
        "form=users&state__exact=paid&column=state&operator=exact&value=new",
        "?state=paid&state__exact=new",
    );
    // A column with a bound has a range, although it has none by default.
    check(
        "form=users&ordered_mode=highest-from&min_ordered=2026-01-01&max_ordered=",
        "?min_ordered=2026-01-01&max_ordered",
    );
    check("form=users&column=ordered&operator=gt&value=2026-01-01", "?ordered__gt=2026-01-01");
    check(
        "form=users&column=paid_at&operator=exact&value=2026-01-01",
        "?paid_at__gte=2026-01-01T00:00:00Z&paid_at__lt=2026-01-02T00:00:00Z",
    );
}

#[test]
fn days_of_times_become_milliseconds() {
    check("form=users&column=birthts&operator=gte&value=1970-01-02", "?birthts__gte=86400000");
    check(
        "form=users&column=birthts&operator=exact&value=1970-01-01",
        "?birthts__gte=0&birthts__lt=86400000",
    );
    check("form=users&column=birthts&operator=gte&value=5", "?birthts__gte=5");
    // Only a time has days.
    check(
        "form=users&column=first_name&operator=exact&value=1970-01-01",
        "?first_name=1970-01-01",
    );
}

#[test]
fn column_filters_become_api_parameters() {
    check("form=users&column=first_name&operator=exact&value=Ada", "?first_name=Ada");
    check(
        "form=users&column=first_name&operator=contains&value=+a%26b%27",
        "?first_name__contains=+a%26b%27",
    );
    check(
        "form=users&column=first_name&operator=not&value=A&column=&operator=exact&value=x&column=age&operator=gte&value=3",
        "?first_name__not=A&age__gte=3",
    );
    check(
        "form=users&column=first_name&operator=exact&value=A&column=first_name&operator=exact&value=B",
        "?first_name=A&first_name__exact=B",
    );
    check("form=users&column=last_name&operator=in&value=Lee,Fox", "?last_name__in=Lee,Fox");
    check("form=users&column=img_path&operator=isnull&value=left+over", "?img_path__isnull");
    check("form=users&column=first_name&value=Zo%C3%AB", "?first_name=Zo%C3%AB");
    // A missing value is not ignored: the API reports the error.
    check("form=users&column=birthts&operator=gt&value=", "?birthts__gt");
    check("form=users&column=height&operator=gt&value=1", "?height__gt=1");
}

#[test]
fn unknown_fields_are_passed_to_the_api() {
    check(
        "form=users&operator=gt&value=1&direction=desc",
        "?operator=gt&value=1&direction=desc",
    );
    check("form=users&frobnicate=1&cursor=x~y", "?frobnicate=1&cursor=x~y");
}

#[test]
fn downloads_have_no_pagination() {
    let query = Query::new([("min_age", ""), ("cursor", "1~t"), ("first_name", "<&>"), ("view", "gallery")]);
    assert_eq!(
        without_pagination(&query).address("/data.csv"),
        "/data.csv?min_age&first_name=%3C%26%3E"
    );
}
