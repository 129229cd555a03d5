//! What a run's process said last, for people.

/// Why a process failed, from the end of what it wrote: the error of its report or its log where there is one, else its last lines as one.
pub(super) fn last_words(text: &str) -> String {
    const LINES: usize = 5;
    let lines = || text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    if let Some(error) = lines().find_map(error_of) {
        return error;
    }
    let mut last: Vec<&str> = lines().take(LINES).collect();
    last.reverse();
    last.join("; ")
}

/// The field `error` of a JSON line: a log's and a report's are called alike.
fn error_of(line: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(line).ok()?;
    document.get("error")?.as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(last_words(text), expected, "text: {text:?}");
    }

    #[test]
    fn last_words_of_processes() {
        check("", "");
        check("\n \n", "");
        check("one\n", "one");
        check("1\n2\n\n3\n4\n5\n6\n", "2; 3; 4; 5; 6");
        check(
            "{\"level\":\"INFO\"}\n{\"level\":\"ERROR\",\"error\":\"no bucket\"}\nbye\n",
            "no bucket",
        );
        check("{\"error\":\"first\"}\n{\"error\":\"last\"}\n{\"error\":null}", "last");
        check("cut\":1}\n{\"message\":\"begins\"}", "cut\":1}; {\"message\":\"begins\"}");
    }
}
