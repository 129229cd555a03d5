//! The trace context of a run: the processor continues the trace of the request that started it.

use http::{HeaderMap, HeaderName};
use opentelemetry::{Context, global};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The environment variable of the trace context: <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>.
pub const ENVIRONMENT_VARIABLE: &str = "TRACEPARENT";

/// The header of the trace context: <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The parent span in the value of [`ENVIRONMENT_VARIABLE`].
pub fn parent_context(traceparent: &str) -> Context {
    let headers = HeaderMap::from_iter(traceparent.parse().ok().map(|value| (TRACEPARENT, value)));
    global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(&headers)))
}

/// The environment variable with which a child process continues the current trace; none if no spans are exported.
pub(crate) fn child_environment() -> Option<(&'static str, String)> {
    let mut headers = HeaderMap::new();
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HeaderInjector(&mut headers)));
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    Some((ENVIRONMENT_VARIABLE, value.to_owned()))
}
