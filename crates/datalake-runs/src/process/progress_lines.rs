//! Separates lines of progress from the log of a child process.

use datalake_core::progress::RunProgress;

/// A longer line is not progress: the numbers in it have at most 20 digits.
const LINE_BYTES_MAX: usize = 200;

/// The state between two reads, which may end in the middle of a line.
#[derive(Debug)]
pub(super) struct ProgressLines {
    /// The start of the current line while it may be one of progress. None within a line of the log.
    line: Option<Vec<u8>>,
}

impl Default for ProgressLines {
    fn default() -> Self {
        Self { line: Some(Vec::new()) }
    }
}

impl ProgressLines {
    /// Returns the bytes of the log, and the last progress among `bytes`.
    pub(super) fn split(&mut self, bytes: &[u8]) -> (Vec<u8>, Option<RunProgress>) {
        let (mut log, mut last) = (Vec::with_capacity(bytes.len()), None);
        for byte in bytes.iter().copied() {
            match &mut self.line {
                None => log.push(byte),
                Some(line) => {
                    line.push(byte);
                    let progress = std::str::from_utf8(line.trim_ascii_end())
                        .ok()
                        .filter(|_| byte == b'\n')
                        .and_then(RunProgress::parse_line);
                    if progress.is_some() {
                        line.clear();
                        last = progress;
                    } else if byte == b'\n' || line.len() > LINE_BYTES_MAX || !RunProgress::is_line_start(line) {
                        log.append(line);
                        self.line = None;
                    }
                }
            }
            if byte == b'\n' && self.line.is_none() {
                self.line = Some(Vec::new());
            }
        }
        (log, last)
    }

    /// What remains at the end of the log.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.line.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::progress::Phase;

    use super::*;

    fn reading(done: u64) -> RunProgress {
        RunProgress {
            phase: Phase::Reading,
            done,
            total: Some(9),
        }
    }

    #[track_caller]
    fn check(chunks: &[&[u8]], expected_log: &str, expected: Option<RunProgress>) {
        let mut lines = ProgressLines::default();
        let (mut log, mut last) = (Vec::new(), None);
        for chunk in chunks {
            let (bytes, progress) = lines.split(chunk);
            log.extend(bytes);
            last = progress.or(last);
        }
        log.extend(lines.into_rest());
        assert_eq!((String::from_utf8(log).unwrap().as_str(), last), (expected_log, expected));
    }

    #[test]
    fn progress_is_removed_from_the_log() {
        let text = format!("one\n{}two\n{}three", reading(1).to_line(), reading(2).to_line());
        check(&[text.as_bytes()], "one\ntwo\nthree", Some(reading(2)));
        for at in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            check(&[first, second], "one\ntwo\nthree", Some(reading(2)));
        }
    }

    #[test]
    fn other_lines_stay_in_the_log() {
        check(&[b"\x1eprogress nonsense\nnext\n"], "\u{1e}progress nonsense\nnext\n", None);
        check(&[b"\x1e\n\n\x1eprogress"], "\u{1e}\n\n\u{1e}progress", None);
        let long = format!("\u{1e}progress {}\n", "x".repeat(1_000));
        check(&[long.as_bytes()], &long, None);
    }
}
