//! Spans for whoever exports traces. Where nobody does, a span costs a look at a flag. Never a path, a query or an id of a user: they name people.

use axum::http::{HeaderMap, HeaderName, Method};
use opentelemetry::{global, trace::TraceContextExt};
use opentelemetry_http::HeaderExtractor;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of all spans that are exported, and of nothing else. Logs leave it out.
pub const TARGET: &str = "datalake_spans";

/// The header by which a trace goes on elsewhere: <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request's span, a part of the trace that its caller names.
#[derive(Debug)]
pub struct RequestSpan {
    span: Span,
    /// Known also where nothing is exported: the caller may well do so.
    given_trace_id: Option<Box<str>>,
}

impl RequestSpan {
    /// Begins with the request. `route` is the template.
    pub fn begin(method: &Method, route: &str, request_id: Option<&str>, headers: &HeaderMap) -> Self {
        let span = tracing::info_span!(
            target: TARGET,
            "request",
            otel.name = %format_args!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            error.type = Empty,
            http.request.method = method.as_str(),
            http.route = route,
            http.response.status_code = Empty,
            request.id = request_id,
        );
        if !span.is_disabled() {
            let parent = global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)));
            // It fails only where nothing exports the span.
            let _not_exported = span.set_parent(parent);
        }
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        Self {
            span,
            given_trace_id: given.and_then(trace_id).map(Into::into),
        }
    }

    /// The span, for instrumenting the handler.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Records how it was answered. `problem` is the kind of the problem, if it was one. What a client did wrong is no error of the server.
    pub fn end(&self, status: u16, problem: Option<&'static str>) {
        // What is unsigned would be exported as a text.
        self.span.record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.span.record("otel.status_code", "ERROR");
            match problem {
                Some(kind) => self.span.record("error.type", kind),
                None => self.span.record("error.type", status.to_string()),
            };
        }
    }

    /// The trace that the request is part of, in 32 hexadecimal digits; none where neither the caller nor this server traces.
    pub fn trace_id(&self) -> Option<String> {
        let given = || self.given_trace_id.as_deref().map(str::to_owned);
        if self.span.is_disabled() {
            return given();
        }
        let context = self.span.context();
        let own = context.span().span_context().clone();
        own.is_valid().then(|| own.trace_id().to_string()).or_else(given)
    }
}

/// The trace id of a well-formed `traceparent`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut fields = traceparent.trim().split('-');
    let (version, trace_id, parent_id, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_hexadecimal =
        |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_named = |text: &str| text.bytes().any(|byte| byte != b'0');
    // Later versions may have more fields; 255 is none.
    let is_version = is_hexadecimal(version, 2) && version != "ff" && (version != "00" || fields.next().is_none());
    let is_valid = is_version
        && is_hexadecimal(trace_id, 32)
        && is_named(trace_id)
        && is_hexadecimal(parent_id, 16)
        && is_named(parent_id)
        && is_hexadecimal(flags, 2);
    is_valid.then_some(trace_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[track_caller]
    fn check(traceparent: &str, is_valid: bool) {
        let expected = is_valid.then_some(ID);
        assert_eq!(trace_id(traceparent), expected, "traceparent: {traceparent}");
    }

    #[test]
    fn traceparents() {
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true);
        check("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\n", false);
        check("", false);
    }
}
