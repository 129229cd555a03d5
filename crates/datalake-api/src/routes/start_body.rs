//! The body of `POST /data`: what a run does. An error names the field, the value that was found, and the allowed values.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use datalake_core::{
    nearest::nearest,
    run::{RunId, RunMode},
};
use datalake_runs::run::RunParameters;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, error::Category};
use utoipa::ToSchema;

use crate::{problem::Problem, request::body};

/// Values in messages are truncated to this number of characters.
const EXCERPT_MAX: usize = 80;

/// What the run does. All fields are optional; an empty body, `{}` and `null` select the defaults.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "`parse` parses the fields; this describes them")]
pub(crate) struct StartRun {
    /// `incremental` reads the sources that have changed, `full` reads all sources.
    #[schema(value_type = Mode, required = false)]
    mode: Option<RunMode>,
    /// The ID of a run that the mass-deletion guard blocked. Permits exactly the deletions that the run reported.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    allow_mass_delete_of: Option<RunId>,
}

/// Which sources a run reads.
#[derive(ToSchema)]
#[schema(as = Mode, default = "incremental", example = "incremental")]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "`parse` parses the mode; this describes it")]
enum Mode {
    /// The sources that have changed.
    Incremental,
    /// All sources.
    Full,
}

const MODE: &str = "mode";
const ALLOW_MASS_DELETE_OF: &str = "allow_mass_delete_of";
const FIELDS: [&str; 2] = [MODE, ALLOW_MASS_DELETE_OF];
const MODES: [&str; 2] = ["incremental", "full"];

/// Reads and parses the body.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<RunParameters, Problem> {
    let bytes = body::read(body).await?;
    // Some clients send a Content-Type with an empty body.
    if bytes.is_empty() {
        return Ok(RunParameters::default());
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let essence = content_type.as_deref().and_then(|value| value.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(Problem::UnsupportedMediaType {
            found: content_type.map(|found| excerpt(&found)),
        });
    }
    parse(&bytes).map_err(|reason| Problem::InvalidBody { reason })
}

/// Parses the fields. The error is a message.
fn parse(bytes: &[u8]) -> Result<RunParameters, String> {
    let mut parameters = RunParameters::default();
    let mut seen = Vec::new();
    for (name, value) in fields(bytes)? {
        if seen.contains(&name) {
            return Err(format!("the body has the field `{name}` more than once; send it once"));
        }
        match name.as_str() {
            MODE => parameters.mode = mode(&value)?,
            ALLOW_MASS_DELETE_OF => parameters.allow_mass_delete_of = Some(run_id(&value)?),
            _ => return Err(unknown_field(&name)),
        }
        seen.push(name);
    }
    Ok(parameters)
}

fn mode(value: &Value) -> Result<RunMode, String> {
    match value.as_str() {
        Some("incremental") => Ok(RunMode::Incremental),
        Some("full") => Ok(RunMode::Full),
        text => {
            let nearest = text.and_then(|text| nearest(text, MODES));
            Err(format!(
                "`{MODE}` is {}; it must be \"incremental\" or \"full\", or omitted{}",
                json_excerpt(value),
                did_you_mean(nearest)
            ))
        }
    }
}

fn run_id(value: &Value) -> Result<RunId, String> {
    let parsed = value.as_str().and_then(|text| RunId::parse(text).ok());
    parsed.ok_or_else(|| {
        format!(
            "`{ALLOW_MASS_DELETE_OF}` is {}; it must be the ID of a run, as /runs shows it, or omitted",
            json_excerpt(value)
        )
    })
}

fn unknown_field(name: &str) -> String {
    let nearest = nearest(name, FIELDS);
    let name = excerpt(name);
    format!(
        "the body has the unknown field `{name}`; known fields: {}{}",
        FIELDS.join(", "),
        did_you_mean(nearest)
    )
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn json_excerpt(value: &Value) -> String {
    excerpt(&value.to_string())
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The fields of the object, in order. `null` has none.
fn fields(bytes: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let body: JsonBody = serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            Category::Eof => format!("the body is incomplete JSON: it ends at {place}"),
            _ if error.to_string().starts_with("trailing characters") => {
                format!("the body continues after the JSON object, at {place}; send one object")
            }
            _ => format!("the body is not JSON: {error}"),
        }
    })?;
    match body {
        JsonBody::Fields(fields) => Ok(fields),
        JsonBody::Other(Value::Null) => Ok(Vec::new()),
        JsonBody::Other(value) => Err(format!(
            r#"the body is {}, not a JSON object; send an object such as {{"mode":"full"}}, or no body"#,
            kind(&value)
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Any JSON value. An object keeps all fields, even repeated ones.
enum JsonBody {
    Fields(Vec<(String, Value)>),
    Other(Value),
}

impl<'de> Deserialize<'de> for JsonBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonBodyVisitor)
    }
}

struct JsonBodyVisitor;

macro_rules! others {
    ($($visit:ident: $value:ty),+ $(,)?) => {
        $(fn $visit<E: serde::de::Error>(self, value: $value) -> Result<JsonBody, E> {
            Ok(JsonBody::Other(Value::from(value)))
        })+
    };
}

impl<'de> Visitor<'de> for JsonBodyVisitor {
    type Value = JsonBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    others!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: serde::de::Error>(self) -> Result<JsonBody, E> {
        Ok(JsonBody::Other(Value::Null))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut values: A) -> Result<JsonBody, A::Error> {
        // Read to the end, so that errors in the rest are found.
        while values.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(JsonBody::Other(Value::Array(Vec::new())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<JsonBody, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(JsonBody::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, mode: RunMode, allowed: Option<&str>) {
        let parameters = parse(body.as_bytes()).unwrap_or_else(|reason| panic!("{body}: {reason}"));
        assert_eq!(parameters.mode, mode, "{body}");
        assert_eq!(parameters.allow_mass_delete_of.as_ref().map(RunId::as_str), allowed, "{body}");
    }

    #[test]
    fn valid_bodies_are_parsed() {
        check("null", RunMode::Incremental, None);
        check(" null\n", RunMode::Incremental, None);
        check("{}", RunMode::Incremental, None);
        check(r#"{"mode":"incremental"}"#, RunMode::Incremental, None);
        check(r#" { "mode" : "full" } "#, RunMode::Full, None);
        check(r#"{"allow_mass_delete_of":"run-1","mode":"full"}"#, RunMode::Full, Some("run-1"));
    }

    #[track_caller]
    fn check_rejected(body: &str, parts: &[&str]) {
        let reason = parse(body.as_bytes()).map(|_| ()).expect_err(body);
        for part in parts {
            assert!(reason.contains(part), "{body}: {reason}");
        }
    }

    #[test]
    fn errors_name_the_field_the_value_and_the_allowed_values() {
        check_rejected(r#"{"mode":null}"#, &["`mode` is null;", "\"incremental\" or \"full\", or omitted"]);
        check_rejected(r#"{"mode":"ful"}"#, &["`mode` is \"ful\";", "did you mean `full`?"]);
        check_rejected(r#"{"mode":"Full"}"#, &["`mode` is \"Full\";", "did you mean `full`?"]);
        check_rejected(r#"{"mode":1}"#, &["`mode` is 1;"]);
        check_rejected(r#"{"mode":["full"]}"#, &["`mode` is [\"full\"];"]);
        check_rejected(r#"{"mode":""}"#, &["`mode` is \"\";"]);
        check_rejected(
            r#"{"allow_mass_delete_of":null}"#,
            &["`allow_mass_delete_of` is null;", "ID of a run"],
        );
        check_rejected(r#"{"allow_mass_delete_of":"a/b"}"#, &["is \"a/b\";"]);
        check_rejected(
            r#"{"mod":"full"}"#,
            &[
                "unknown field `mod`",
                "known fields: mode, allow_mass_delete_of",
                "did you mean `mode`?",
            ],
        );
        check_rejected(r#"{"frobnicate":1}"#, &["unknown field `frobnicate`"]);
        check_rejected(r#"{"mode":"full","mode":"incremental"}"#, &["`mode` more than once"]);
        check_rejected(&format!(r#"{{"mode":"{}"}}"#, "é".repeat(5000)), &["…; it must be"]);
    }

    #[test]
    fn errors_name_the_type_of_other_bodies() {
        check_rejected(r#""full""#, &["a string"]);
        check_rejected("7", &["a number"]);
        check_rejected("-7.5", &["a number"]);
        check_rejected("true", &["a boolean"]);
        check_rejected(r#"["full",null]"#, &["an array"]);
        check_rejected(r#"{"mode":"full"} x"#, &["continues after the JSON object", "line 1, column 17"]);
        check_rejected(r#"{"mode":"full"}{}"#, &["continues after"]);
        check_rejected("{\n\"mode\":", &["incomplete JSON", "line 2"]);
        check_rejected(r#"{"mode":full}"#, &["not JSON", "line 1 column"]);
        check_rejected("mode=full", &["not JSON"]);
        check_rejected("{\"mode\":\"\u{0}\"}", &["not JSON"]);
    }
}
