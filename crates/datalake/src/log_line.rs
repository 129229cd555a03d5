//! Log lines for human readers: those of this process, and those of its child processes, which log JSON.

use std::fmt::{self, Write};

use datalake_core::text::visible;
use jiff::Timestamp;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::{clock, document::Document, time_format};

/// The fields of a JSON line that the text does not contain as fields.
const OMITTED: [&str; 6] = ["timestamp", "level", "message", "target", "span", "spans"];

/// One event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    time: Timestamp,
    level: String,
    message: String,
    fields: Vec<(String, String)>,
}

impl LogLine {
    /// Parses a line of the JSON log. None if it is none.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let document = Document::parse(line.as_bytes()).ok()?;
        let fields = document.fields().iter().filter(|(name, _)| !OMITTED.contains(&name.as_str()));
        Some(Self {
            time: document.get("timestamp").text()?.parse().ok()?,
            level: document.get("level").text()?.to_owned(),
            message: document.get("message").to_string(),
            fields: fields.map(|(name, value)| (name.clone(), value.to_string())).collect(),
        })
    }

    /// The line, without a line break. The error follows the message, and the other fields follow both.
    pub(crate) fn text(&self, has_color: bool) -> String {
        let time = time_format::time_of_day(self.time);
        let level = &self.level;
        let color = match (has_color, &**level) {
            (false, _) => None,
            (true, "ERROR") => Some("31"),
            (true, "WARN") => Some("33"),
            (true, "INFO") => Some("32"),
            (true, _) => Some("34"),
        };
        let mut text = match color {
            Some(color) => format!("\x1b[2m{time}\x1b[0m \x1b[{color}m{level:<5}\x1b[0m {}", visible(&self.message)),
            None => format!("{time} {level:<5} {}", visible(&self.message)),
        };
        let (errors, others): (Vec<_>, Vec<_>) = self.fields.iter().partition(|(name, _)| name == "error");
        for (_, error) in errors {
            write!(text, ": {}", visible(error)).expect("writing to a string cannot fail");
        }
        if !others.is_empty() {
            text.push(' ');
        }
        for (name, value) in others {
            let value = match value.is_empty() || value.contains([' ', '"']) {
                true => format!("{value:?}"),
                false => value.clone(),
            };
            let value = visible(&value);
            let field = match has_color {
                true => format!(" \x1b[2m{name}=\x1b[0m{value}"),
                false => format!(" {name}={value}"),
            };
            text.push_str(&field);
        }
        text
    }
}

/// Formats the events of this process.
pub(crate) struct HumanFormat {
    pub(crate) has_color: bool,
}

impl<S, N> FormatEvent<S, N> for HumanFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = LogLine {
            time: clock::now(),
            level: event.metadata().level().to_string(),
            message: fields.message,
            fields: fields.others,
        };
        writeln!(writer, "{}", line.text(self.has_color))
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, String)>,
}

impl Fields {
    fn push(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn line_of_a_child_has_the_same_form() {
        let line = LogLine::parse(
            r#"{"timestamp":"2026-11-24T08:00:00.123Z","level":"ERROR","message":"run failed","error":"no bucket; create it","run.id":"r-1","attempts":2,"empty":"","target":"datalake"}"#,
        );
        let line = line.unwrap();
        assert_eq!(
            line.text(false),
            "08:00:00Z ERROR run failed: no bucket; create it  run.id=r-1 attempts=2 empty=\"\""
        );
        assert_eq!(console::strip_ansi_codes(&line.text(true)), line.text(false));
        assert_eq!(LogLine::parse("no JSON"), None);
        assert_eq!(LogLine::parse("{\"a\":1}"), None);
    }

    #[derive(Clone, Default)]
    struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn event_of_this_process_has_the_same_form() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .event_format(HumanFormat { has_color: false });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(run.id = %"r-1", rows = 3_u64, name = "a b\u{1b}", "run started");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text[9..], *" INFO  run started  run.id=r-1 rows=3 name=\"a b\\u{1b}\"\n");
    }
}
