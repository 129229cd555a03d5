//! The message of a failed run, from the log of its process.

/// Log lines in the message of a process that logged no error.
const LINES_MAX: usize = 5;

/// Why a process failed, from the end of its log: the error in its report or in a log line if there is one, else the last lines joined to one.
pub(super) fn failure_message(log: &str) -> String {
    let lines = || log.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    if let Some(error) = lines().find_map(error_field) {
        return error;
    }
    let mut last: Vec<&str> = lines().take(LINES_MAX).collect();
    last.reverse();
    last.join("; ")
}

/// The field `error` of a JSON line. Reports and log lines both use this name.
fn error_field(line: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(line).ok()?;
    document.get("error")?.as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log: &str, expected: &str) {
        assert_eq!(failure_message(log), expected, "log: {log:?}");
    }

    #[test]
    fn last_error_is_preferred_to_the_last_lines() {
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
