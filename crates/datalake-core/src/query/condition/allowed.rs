//! Comparisons with the values of an `enum`. No row has another value, so a comparison with one is an error of the request.

use super::{Operator, Test, values::list};
use crate::{
    dataset::{ColumnType, Value},
    nearest::nearest,
    query::error::QueryError,
    text::quoted,
};

/// Maximum number of values that a message names.
const NAMED_MAX: usize = 20;

/// Rejects a comparison for equality with a value that is not allowed.
pub(super) fn check(allowed: &[Value], name: &str, operator: Operator, value: &str, column_type: ColumnType) -> Result<(), QueryError> {
    let texts = match operator {
        Operator::Exact | Operator::Not => vec![value.to_owned()],
        Operator::In => list(name, value)?,
        _ => return Ok(()),
    };
    for text in texts {
        let test = Test::parse(name, Operator::Exact, &text, column_type)?;
        if !allowed.iter().any(|allowed| test.holds(allowed.as_ref().into())) {
            return Err(QueryError::value(name, &reason(allowed, &text)));
        }
    }
    Ok(())
}

fn reason(allowed: &[Value], text: &str) -> String {
    let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let nearest = nearest(text, names.iter().map(String::as_str));
    let nearest = nearest.map(|nearest| format!("; did you mean {}?", quoted(nearest)));
    let others = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        others => format!(" and {others} others"),
    };
    let named = names[..names.len().min(NAMED_MAX)].join(", ");
    format!("{} is none of {named}{others}{}", quoted(text), nearest.unwrap_or_default())
}
