//! The OpenAPI description and the server agree on parameters, their values and tokens, and every schema has a name for generators.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};
use datalake_core::{
    dataset::Dataset,
    query::{column::Column, condition::Operator},
    row_id::RowId,
    run::RunId,
};
use jiff::civil::Date;
use regex::Regex;
use serde_json::{Map, Value};
use tower::ServiceExt;
use url::form_urlencoded;

use crate::fixture::Lake;

/// The description of a server, with references resolved where tests need them.
struct Description(Value);

struct Operation<'a> {
    method: Method,
    path: &'a str,
    value: &'a Value,
}

impl Description {
    async fn of(lake: &Lake) -> Self {
        Self(lake.get("/openapi.json").await.json())
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().iter().map(move |(method, value)| Operation {
                    method: method.to_uppercase().parse().unwrap(),
                    path,
                    value,
                })
            })
            .collect()
    }

    /// The parameters of an operation in a location (path, query, header), by name.
    fn parameters<'a>(&'a self, operation: &Operation<'a>, place: &str) -> BTreeMap<&'a str, &'a Value> {
        let declared = operation.value["parameters"].as_array();
        let resolved = declared.into_iter().flatten();
        resolved
            .map(|parameter| self.resolved(parameter))
            .filter(|parameter| parameter["in"] == place)
            .map(|parameter| (parameter["name"].as_str().unwrap(), parameter))
            .collect()
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Whether the schema of a parameter has the value, as JSON Schema and the registry of formats define it.
    fn allows(&self, parameter: &Value, text: &str) -> bool {
        let schema = self.resolved(&parameter["schema"]);
        let length = |name: &str| schema[name].as_u64().and_then(|length| usize::try_from(length).ok());
        let matches = schema["pattern"]
            .as_str()
            .is_none_or(|pattern| Regex::new(pattern).unwrap().is_match(text));
        let is_listed = schema["enum"]
            .as_array()
            .is_none_or(|values| values.iter().any(|value| value == text));
        let is_long_enough =
            length("minLength").is_none_or(|length| text.len() >= length) && length("maxLength").is_none_or(|length| text.len() <= length);
        let is_of_type = match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("integer"), _) => {
                !text.starts_with('+')
                    && text.parse::<i64>().is_ok_and(|number| {
                        let within =
                            |name: &str, holds: fn(i64, i64) -> bool| schema[name].as_i64().is_none_or(|bound| holds(number, bound));
                        within("minimum", |number, bound| number >= bound) && within("maximum", |number, bound| number <= bound)
                    })
            }
            (Some("string"), Some("date")) => text.len() == 10 && text.parse::<Date>().is_ok(),
            (Some("string"), None) => true,
            other => panic!("a parameter of the type {other:?}: {parameter}"),
        };
        matches && is_listed && is_long_enough && is_of_type
    }
}

/// The path of an operation with a user or a run, and its required parameters.
fn request(operation: &Operation<'_>, pairs: &[(&str, &str)]) -> Request<Body> {
    let path = operation.path.replace("{user_id}", "1000").replace("{run_id}", "run-1");
    let mut query = form_urlencoded::Serializer::new(String::new());
    let is_given = |name: &str| pairs.iter().any(|pair| pair.0 == name);
    if operation.path.starts_with("/changes") && !is_given("since") {
        query.append_pair("since", "0");
    }
    if is_given("wait") && !is_given("min_version") {
        query.append_pair("min_version", "0");
    }
    query.extend_pairs(pairs);
    let address = format!("{path}?{}", query.finish());
    Request::builder()
        .method(operation.method.clone())
        .uri(address)
        .body(Body::empty())
        .unwrap()
}

async fn status(router: &Router, request: Request<Body>) -> StatusCode {
    router.clone().oneshot(request).await.unwrap().status()
}

async fn cursor(lake: &Lake) -> String {
    let page = lake.get("/data?limit=1").await;
    let link = page.header("link").to_owned();
    let (_, cursor) = link.split_once("cursor=").unwrap();
    let encoded = cursor.split('>').next().unwrap();
    form_urlencoded::parse(format!("cursor={encoded}").as_bytes())
        .next()
        .unwrap()
        .1
        .into_owned()
}

#[tokio::test]
async fn the_declared_parameters_are_those_that_the_server_accepts() {
    let lake = Lake::of_users().await;
    let description = Description::of(&lake).await;
    let (router, cursor) = (lake.router(), cursor(&lake).await);
    let operations = description.operations();
    let mut examples: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in &operations {
        for (name, parameter) in description.parameters(operation, "query") {
            let example = match (name, &parameter["example"]) {
                ("cursor", _) => cursor.clone(),
                (_, Value::String(text)) => text.clone(),
                (_, example) => example.to_string(),
            };
            assert!(description.allows(parameter, &example), "{name}={example} is its own example");
            examples.entry(name.to_owned()).or_default().insert(example);
        }
    }
    for column in Column::all(Dataset::users()) {
        let column = column.name(Dataset::users());
        for operator in Operator::ALL {
            let values = ["1", "a", ""].map(str::to_owned);
            examples.entry(format!("{column}__{}", operator.name())).or_default().extend(values);
        }
    }
    examples.insert("frobnicate".to_owned(), ["1".to_owned()].into());
    for operation in &operations {
        let declared = description.parameters(operation, "query");
        for (name, values) in &examples {
            // The path selects the format.
            if operation.path.starts_with("/data.") && ["format", "shape"].contains(&name.as_str()) {
                continue;
            }
            let mut is_accepted = false;
            for value in values {
                let pair = (&**name, &**value);
                // Only cells of CSV can be escaped.
                let pairs = match name.as_str() {
                    "escape" if operation.path == "/data" => vec![pair, ("format", "csv")],
                    _ => vec![pair],
                };
                let status = status(&router, request(operation, &pairs)).await;
                is_accepted |= status != StatusCode::BAD_REQUEST;
            }
            let Operation { method, path, .. } = operation;
            assert_eq!(
                is_accepted,
                declared.contains_key(name.as_str()),
                "{method} {path}?{name}={values:?}"
            );
        }
    }
}

/// Whether both the description and the server accept the value.
async fn check_value(description: &Description, router: &Router, path: &str, name: &str, value: &str, expected: bool) {
    let operations = description.operations();
    let operation = operations
        .iter()
        .find(|operation| operation.path == path && operation.method == Method::GET)
        .unwrap();
    let parameter = description.parameters(operation, "query")[name];
    assert_eq!(
        description.allows(parameter, value),
        expected,
        "the description of {path}?{name}={value}"
    );
    let status = status(router, request(operation, &[(name, value)])).await;
    assert_eq!(status != StatusCode::BAD_REQUEST, expected, "{path}?{name}={value} is a {status}");
}

#[tokio::test]
async fn the_declared_values_are_those_that_the_server_accepts() {
    let lake = Lake::of_users().await;
    let (description, router) = (Description::of(&lake).await, lake.router());
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        ("/data", "is_image_exists", &["True", "true", "fALSE"], &["", "yes", "1"]),
        (
            "/data",
            "min_age",
            &["", "0", "007", "65535", "00065535"],
            &["65536", "99999", "100000", "-1", "1.5", "x"],
        ),
        ("/stats", "max_age", &["", "9999", "59999"], &["70000", " 1"]),
        (
            "/data",
            "on",
            &["2026-02-28", "2028-02-29"],
            &["", "2026-02-29", "2026-2-3", "20260203", "today"],
        ),
        ("/data", "select", &["age", "age,user_id"], &["", "age,", "ages", "age.asc"]),
        (
            "/data",
            "order",
            &["age", "age.desc,user_id.asc"],
            &["", "age.down", "age.", "ages"],
        ),
        ("/data", "limit", &["1", "10000"], &["", "0", "10001", "-1", "x"]),
        (
            "/data",
            "format",
            &["json", "ndjson", "csv", "parquet", "arrow"],
            &["", "xml", "JSON"],
        ),
        ("/data", "shape", &["rows", "columns"], &["", "Rows", "table"]),
        ("/data", "last_name__in", &["", "a,b", "[\"a,b\"]"], &[]),
        (
            "/data",
            "birthts",
            &["0", "-1", "9223372036854775807"],
            &["", "9223372036854775808", "1e3", "1.0", "x"],
        ),
        ("/stats", "age__gte", &["30"], &["", "x"]),
        (
            "/data",
            "birthts__in",
            &["0", "0,-1", "0, -1", "[0, -1]"],
            &["", "x", "1.5", "1,,2"],
        ),
        ("/data", "age__isnull", &["", "1", "true", "True"], &["0", "false", "yes"]),
        ("/data", "img_path__notnull", &["", "1", "TRUE"], &["no"]),
        ("/data", "version", &["0"], &["", "-1", "x"]),
        (
            "/data",
            "as_of",
            &["2026-11-24", "2026-11-24T12:00:00Z", "2026-11-24T12:00:00.5+01:00"],
            &["", "now", "2026-11-24T12:00:00", "20261124", "1795478400"],
        ),
        (
            "/versions",
            "wait",
            &["0s", "0060s", "0ms", "1000ms"],
            &["", "61s", "60001ms", "5", "5S", "1m", "-1s", "5.5s"],
        ),
        ("/changes", "since", &["0"], &["", "-1", "x"]),
        ("/runs", "limit", &["1", "1000"], &["", "0", "1001", "+1"]),
        ("/versions", "limit", &["1", "1000"], &["0", "1001"]),
    ];
    for (path, name, accepted, refused) in cases {
        for value in *accepted {
            check_value(&description, &router, path, name, value, true).await;
        }
        for value in *refused {
            check_value(&description, &router, path, name, value, false).await;
        }
    }
}

#[tokio::test]
async fn the_declared_idempotency_keys_are_those_that_the_server_accepts() {
    let lake = Lake::of_users().await;
    let description = Description::of(&lake).await;
    let operations = description.operations();
    let start = operations.iter().find(|operation| operation.method == Method::POST).unwrap();
    let parameter = description.parameters(start, "header")["Idempotency-Key"];
    let (longest, too_long) = ("~".repeat(255), "~".repeat(256));
    for (key, expected) in [
        ("a", true),
        ("!\"~", true),
        (&longest, true),
        (&too_long, false),
        ("", false),
        ("a b", false),
    ] {
        assert_eq!(description.allows(parameter, key), expected, "key: {key:?}");
        let request = Request::post("/data").header("idempotency-key", key).body(Body::empty()).unwrap();
        assert_eq!(lake.send(request).await.status != StatusCode::BAD_REQUEST, expected, "key: {key:?}");
    }
}

#[tokio::test]
async fn the_declared_ids_are_those_that_there_can_be() {
    let description = Description::of(&Lake::empty()).await;
    let operations = description.operations();
    let of = |path: &str, name: &str| {
        let operation = operations.iter().find(|operation| operation.path == path).unwrap();
        description.parameters(operation, "path")[name]
    };
    let (user_id, run_id) = (of("/data/{user_id}", "user_id"), of("/runs/{run_id}", "run_id"));
    let long = ["a".repeat(64), "a".repeat(65), "a".repeat(128), "a".repeat(129)];
    let others = ["", ".", "..", "...", "..a", ".a", "a.", "-", "_1", "0001", "a b", "é", "a/b", "a\n"];
    for id in long.iter().map(String::as_str).chain(others) {
        assert_eq!(description.allows(user_id, id), RowId::parse(id).is_ok(), "user: {id:?}");
        assert_eq!(description.allows(run_id, id), RunId::parse(id).is_ok(), "run: {id:?}");
    }
}

#[tokio::test]
async fn operations_declare_token_requirement() {
    let mut lake = Lake::of_users().await;
    let description = Description::of(&lake).await;
    // With or without a token: a server has one of the two.
    assert_eq!(description.0["security"], serde_json::json!([{}, { "token": [] }]));
    lake.parts.access = Access::ProtectAll(Token::new("secret"));
    let router = lake.router();
    for operation in description.operations() {
        let status = status(&router, request(&operation, &[])).await;
        let is_open = operation.value["security"] == serde_json::json!([]);
        let Operation { method, path, value } = &operation;
        assert_eq!(status == StatusCode::UNAUTHORIZED, !is_open, "{method} {path}: {status}");
        assert_eq!(value["responses"].get("401").is_some(), !is_open, "{method} {path}");
    }
}

#[tokio::test]
async fn every_operation_is_described() {
    let description = Description::of(&Lake::empty()).await;
    let mut ids = BTreeSet::new();
    for Operation { method, path, value } in description.operations() {
        let text = |name: &str| value[name].as_str().unwrap_or_default();
        assert!(!text("description").is_empty(), "{method} {path} has no description");
        let summary = text("summary");
        assert!(
            (1..=80).contains(&summary.len()) && !summary.contains('\n'),
            "{method} {path}: {summary:?}"
        );
        assert!(
            ids.insert(text("operationId").to_owned()),
            "{method} {path}: a second {:?}",
            text("operationId")
        );
    }
}

/// The locations of schemas for which a generator would have to invent a name.
fn unnamed(value: &Value, place: &str, found: &mut Vec<String>) {
    let is_null = |schema: &Value| schema["type"] == "null";
    let is_nullable_reference = |schemas: &Value| {
        let schemas = schemas.as_array().map(Vec::as_slice).unwrap_or_default();
        matches!(schemas, [one, other] if one.get("$ref").is_some() && is_null(other))
    };
    let needs_name = |schema: &Map<String, Value>| {
        let is_choice = ["oneOf", "anyOf"]
            .iter()
            .any(|name| schema.get(*name).is_some_and(|schemas| !is_nullable_reference(schemas)));
        let is_object = ["properties", "additionalProperties"].iter().any(|name| schema.contains_key(*name));
        let is_free = schema.get("type").is_some_and(|types| *types == "object") && !is_object;
        let has_types = schema
            .get("type")
            .and_then(Value::as_array)
            .is_some_and(|types| types.iter().filter(|name| *name != "null").count() > 1);
        is_choice || is_object || is_free || has_types || schema.contains_key("enum")
    };
    match value {
        Value::Object(schema) => {
            // The parts of `allOf` are one schema.
            let (parent, _) = place.rsplit_once("/allOf/").unwrap_or((place, ""));
            let is_component = parent.strip_prefix("/components/schemas/").is_some_and(|name| !name.contains('/'));
            if !is_component && needs_name(schema) {
                found.push(place.to_owned());
            }
            for (name, value) in schema {
                unnamed(value, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                unnamed(value, &format!("{place}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_schema_that_needs_a_name_has_one() {
    let description = Description::of(&Lake::empty()).await;
    let mut found = Vec::new();
    unnamed(&description.0, "", &mut found);
    assert_eq!(found, Vec::<String>::new());
}
