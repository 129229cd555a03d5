//! Spans of requests, for an exporter. Without an exporter, a span costs one check of a flag. Spans contain no paths, queries or user IDs.

use axum::http::{HeaderMap, Method};
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TraceId},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target that only exported spans use. Logs exclude it.
pub const TARGET: &str = "datalake_spans";

/// The span of a request, which is a part of the trace that its caller names.
#[derive(Debug)]
pub struct RequestSpan {
    span: Span,
    /// The trace of the caller, which is known even without an exporter.
    parent: Context,
}

impl RequestSpan {
    /// Begins the span of a request. `route` is the template of the path.
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
        let parent = parent(headers);
        if !span.is_disabled() {
            // It fails only if no exporter is configured.
            let _not_exported = span.set_parent(parent.clone());
        }
        Self { span, parent }
    }

    /// The span, for instrumenting the handler.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Records the status of the response, and the kind of its problem. Only errors of the server are errors of the span.
    pub fn end(&self, status: u16, problem: Option<&'static str>) {
        // The exporter writes unsigned integers as text.
        self.span.record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.span.record("otel.status_code", "ERROR");
            match problem {
                Some(kind) => self.span.record("error.type", kind),
                None => self.span.record("error.type", status.to_string()),
            };
        }
    }

    /// The ID of the trace, in 32 hexadecimal digits. None if tracing is off for both the caller and this server.
    pub fn trace_id(&self) -> Option<String> {
        let own = (!self.span.is_disabled()).then(|| trace_id(&self.span.context())).flatten();
        own.or_else(|| trace_id(&self.parent)).map(|id| id.to_string())
    }
}

/// The trace context in the header `traceparent`: <https://www.w3.org/TR/trace-context/>.
fn parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract(&HeaderExtractor(headers))
}

fn trace_id(context: &Context) -> Option<TraceId> {
    let span = context.span();
    let span_context = span.span_context();
    span_context.is_valid().then(|| span_context.trace_id())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(traceparent: &'static str, expected: Option<&str>) {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("traceparent"),
            HeaderValue::from_static(traceparent),
        )]);
        let found = trace_id(&parent(&headers)).map(|id| id.to_string());
        assert_eq!(found.as_deref(), expected, "traceparent: {traceparent}");
    }

    #[test]
    fn trace_of_the_caller_is_known_without_an_exporter() {
        let id = Some("4bf92f3577b34da6a3ce929d0e0e4736");
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", id);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", id);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check("", None);
    }
}
