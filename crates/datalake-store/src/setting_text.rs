//! Checks of the text of any setting.

/// What is wrong with the value of any setting: surrounding white space, or a control character.
pub fn white_space_problem(value: &str) -> Option<&'static str> {
    match value {
        _ if value.ends_with(['\n', '\r']) => Some(
            "the value ends in a line break; remove it (`echo` writes one: create Secrets and variables with `printf %s` or `echo -n`)",
        ),
        _ if value.trim() != value => Some("the value begins or ends with white space; remove it"),
        _ if value.contains(char::is_control) => Some("the value contains a line break or another control character; remove it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrounding_white_space_and_control_characters_are_problems() {
        for value in ["admin\n", " a", "a\t", "a\r\n", "a\nb", "a\u{a0}"] {
            assert!(white_space_problem(value).is_some(), "{value:?}");
        }
        for value in ["", "a", "a b", "0 * * * *"] {
            assert!(white_space_problem(value).is_none(), "{value:?}");
        }
    }
}
