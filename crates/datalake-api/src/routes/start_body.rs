//! The body of `POST /data`: what a run is to do. An error names the field, the value that was found, and what is allowed.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use datalake_core::{
    nearest::nearest,
    report::{RunId, RunMode},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, error::Category};
use utoipa::ToSchema;

use crate::{problem::Problem, request::body};
use datalake_runs::run::RunParameters;

/// A value in a message is cut after so many characters.
const SHOWN_MAX: usize = 80;

/// What the run is to do. All fields are optional; no body, `{}` and `null` are the default.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are parsed below; this describes them")]
pub(crate) struct StartRun {
    /// `incremental` reads the sources that have changed, `full` reads every one.
    #[schema(value_type = Mode, required = false)]
    mode: Option<RunMode>,
    /// The ID of a run that the mass-deletion guard blocked: permits exactly the deletions that it reported.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    allow_mass_delete_of: Option<RunId>,
}

/// Which sources a run reads: those that have changed, or every one.
#[derive(ToSchema)]
#[schema(as = Mode, default = "incremental", example = "incremental")]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "the mode is parsed below; this describes it")]
enum Mode {
    /// Those that have changed.
    Incremental,
    /// Every one.
    Full,
}

const MODE: &str = "mode";
const ALLOW_MASS_DELETE_OF: &str = "allow_mass_delete_of";
const FIELDS: [&str; 2] = [MODE, ALLOW_MASS_DELETE_OF];
const MODES: [&str; 2] = ["incremental", "full"];

/// Reads the body and what it asks for.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<RunParameters, Problem> {
    let bytes = body::read(body).await?;
    // Some clients name a type also where they send nothing.
    if bytes.is_empty() {
        return Ok(RunParameters::default());
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let essence = content_type.as_deref().and_then(|value| value.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(Problem::BodyType {
            found: content_type.map(|found| shortened(&found)),
        });
    }
    parse(&bytes).map_err(|reason| Problem::BodyInvalid { reason })
}

/// What the fields ask for, or what is wrong with them.
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
            _ => return Err(unknown(&name)),
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
                "`{MODE}` is {}; it must be \"incremental\" or \"full\", or left out{}",
                shown(value),
                did_you_mean(nearest)
            ))
        }
    }
}

fn run_id(value: &Value) -> Result<RunId, String> {
    let parsed = value.as_str().and_then(|text| RunId::parse(text).ok());
    parsed.ok_or_else(|| {
        format!(
            "`{ALLOW_MASS_DELETE_OF}` is {}; it must be the ID of a run, as /runs shows it, or left out",
            shown(value)
        )
    })
}

fn unknown(name: &str) -> String {
    let nearest = nearest(name, FIELDS);
    let name = shortened(name);
    format!(
        "the body has the unknown field `{name}`; known are {}{}",
        FIELDS.join(", "),
        did_you_mean(nearest)
    )
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The fields of the object, in their order. `null` has none.
fn fields(bytes: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let body: Given = serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            Category::Eof => format!("the body is no complete JSON: it ends at {place}"),
            _ if error.to_string().starts_with("trailing characters") => {
                format!("the body goes on after the JSON object, at {place}; send one object")
            }
            _ => format!("the body is no JSON: {error}"),
        }
    })?;
    match body {
        Given::Fields(fields) => Ok(fields),
        Given::Other(Value::Null) => Ok(Vec::new()),
        Given::Other(value) => Err(format!(
            r#"the body is {}, and no JSON object; send one like {{"mode":"full"}}, or no body"#,
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

/// Any JSON. Of an object all fields, also those that are given twice.
enum Given {
    Fields(Vec<(String, Value)>),
    Other(Value),
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

macro_rules! others {
    ($($visit:ident: $value:ty),+ $(,)?) => {
        $(fn $visit<E: serde::de::Error>(self, value: $value) -> Result<Given, E> {
            Ok(Given::Other(Value::from(value)))
        })+
    };
}

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    others!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: serde::de::Error>(self) -> Result<Given, E> {
        Ok(Given::Other(Value::Null))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut values: A) -> Result<Given, A::Error> {
        // Read to its end, so that what is wrong after it is found.
        while values.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Given::Other(Value::Array(Vec::new())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Given, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(Given::Fields(fields))
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
    fn bodies() {
        check("null", RunMode::Incremental, None);
        check(" null\n", RunMode::Incremental, None);
        check("{}", RunMode::Incremental, None);
        check(r#"{"mode":"incremental"}"#, RunMode::Incremental, None);
        check(r#" { "mode" : "full" } "#, RunMode::Full, None);
        check(r#"{"allow_mass_delete_of":"run-1","mode":"full"}"#, RunMode::Full, Some("run-1"));
    }

    #[track_caller]
    fn check_refused(body: &str, words: &[&str]) {
        let reason = parse(body.as_bytes()).map(|_| ()).expect_err(body);
        for word in words {
            assert!(reason.contains(word), "{body}: {reason}");
        }
    }

    #[test]
    fn refusals_name_the_field_what_was_found_and_what_is_allowed() {
        check_refused(r#"{"mode":null}"#, &["`mode` is null;", "\"incremental\" or \"full\", or left out"]);
        check_refused(r#"{"mode":"ful"}"#, &["`mode` is \"ful\";", "did you mean `full`?"]);
        check_refused(r#"{"mode":"Full"}"#, &["`mode` is \"Full\";", "did you mean `full`?"]);
        check_refused(r#"{"mode":1}"#, &["`mode` is 1;"]);
        check_refused(r#"{"mode":["full"]}"#, &["`mode` is [\"full\"];"]);
        check_refused(r#"{"mode":""}"#, &["`mode` is \"\";"]);
        check_refused(
            r#"{"allow_mass_delete_of":null}"#,
            &["`allow_mass_delete_of` is null;", "ID of a run"],
        );
        check_refused(r#"{"allow_mass_delete_of":"a/b"}"#, &["is \"a/b\";"]);
        check_refused(
            r#"{"mod":"full"}"#,
            &[
                "unknown field `mod`",
                "known are mode, allow_mass_delete_of",
                "did you mean `mode`?",
            ],
        );
        check_refused(r#"{"frobnicate":1}"#, &["unknown field `frobnicate`"]);
        check_refused(r#"{"mode":"full","mode":"incremental"}"#, &["`mode` more than once"]);
        check_refused(&format!(r#"{{"mode":"{}"}}"#, "é".repeat(5000)), &["…; it must be"]);
    }

    #[test]
    fn what_is_no_object_is_named() {
        check_refused(r#""full""#, &["a string"]);
        check_refused("7", &["a number"]);
        check_refused("-7.5", &["a number"]);
        check_refused("true", &["a boolean"]);
        check_refused(r#"["full",null]"#, &["an array"]);
        check_refused(r#"{"mode":"full"} x"#, &["goes on after the JSON object", "line 1, column 17"]);
        check_refused(r#"{"mode":"full"}{}"#, &["goes on after"]);
        check_refused("{\n\"mode\":", &["no complete JSON", "line 2"]);
        check_refused(r#"{"mode":full}"#, &["no JSON", "line 1 column"]);
        check_refused("mode=full", &["no JSON"]);
        check_refused("{\"mode\":\"\u{0}\"}", &["no JSON"]);
    }
}
