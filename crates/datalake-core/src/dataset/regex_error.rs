//! Errors of regular expressions as one line, with their position.

/// The byte at which a regular expression is invalid, and why.
pub(super) fn describe(error: &regex_syntax::Error) -> (usize, String) {
    let (at, cause) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
        _ => (0, String::new()),
    };
    let cause = if cause.is_empty() { "it is not valid".to_owned() } else { cause };
    (at, format!("an invalid regular expression: {cause}"))
}
