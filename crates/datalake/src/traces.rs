//! Exports traces to an OpenTelemetry collector if the standard variables name one.
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, global, trace::TracerProvider};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    resource::{EnvResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector},
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;

const PROTOCOL: &str = "http/protobuf";

/// The timeout of an export. In the meantime the SDK keeps at most 2,048 spans.
const EXPORT_MAX: Duration = Duration::from_secs(10);

/// The response of a collector is a message of a few bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// The timeout of the last export, so that a collector that does not respond does not delay the end of the process.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// The exporter of spans, if there is one.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Exports no spans.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Configures the exporter by the standard variables. Must be called on the runtime that sends the spans.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        if !is_enabled(variable) {
            return Ok(Self::off());
        }
        let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        if let Some(protocol) = protocols.into_iter().find_map(variable).filter(|protocol| protocol != PROTOCOL) {
            bail!("the OTLP protocol `{protocol}` is not supported; use {PROTOCOL}, which collectors usually accept on port 4318");
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(CollectorClient::new()?)
            .build()?;
        global::set_text_map_propagator(TraceContextPropagator::new());
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_attribute(version).with_detectors(&[
            Box::new(SdkProvidedResourceDetector),
            Box::new(TelemetryResourceDetector),
            // The last detector takes precedence: the operator may set another version.
            Box::new(EnvResourceDetector::new()),
        ]);
        let resource = match variable("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name("datalake"),
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(Some(provider)))
    }

    /// Creates spans, if they are exported.
    pub(crate) fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer("datalake"))
    }

    /// Sends the remaining spans. Spans that end later are lost.
    pub(crate) async fn flush(self) {
        let Some(provider) = self.0 else {
            return;
        };
        // The shutdown waits for a thread that waits for this runtime.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_MAX)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("cannot send the last spans to the collector");
        }
    }
}

/// Whether the variables name a collector and do not disable traces.
fn is_enabled(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_elsewhere = variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
    let is_named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .iter()
        .any(|name| variable(name).is_some());
    is_named && !is_disabled && !is_elsewhere
}

/// The value of a variable. The OpenTelemetry specification treats an empty variable as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the OpenTelemetry variables are a convention of all programs, not arguments of this one"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Sends spans with the HTTP client and the TLS stack of the other clients. The exporter's thread has no runtime, so requests run on the caller's
/// runtime.
#[derive(Debug)]
struct CollectorClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    is_failing: Arc<AtomicBool>,
}

impl CollectorClient {
    fn new() -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("cannot read the system's certificates")?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime: Handle::current(),
            is_failing: Arc::default(),
        })
    }
}

/// Logs the first failure in a row, and the first success after it.
fn log_transition(is_failing: &AtomicBool, result: &Result<Response<Bytes>, HttpError>) {
    let failure = match result {
        Ok(response) if response.status().is_success() => None,
        Ok(response) => Some(format!("the collector returned status {}", response.status())),
        Err(error) => Some(error.to_string()),
    };
    let was_failing = is_failing.swap(failure.is_some(), Ordering::Relaxed);
    match failure {
        Some(error) if !was_failing => {
            tracing::warn!(
                error,
                "cannot send spans to the collector; spans beyond the queue limit are dropped"
            );
        }
        None if was_failing => tracing::info!("sending spans to the collector again"),
        Some(_) | None => {}
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let response = client.request(request.map(Full::new)).await?;
            let (parts, body) = response.into_parts();
            let bytes = Limited::new(body, RESPONSE_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, bytes))
        };
        let is_failing = Arc::clone(&self.is_failing);
        // Timers need the runtime, and the SDK suppresses log lines of the exporter's thread.
        let request_with_timeout = async move {
            let result = tokio::time::timeout(EXPORT_MAX, exchange).await;
            let result = result.unwrap_or_else(|_| Err("no response from the collector".into()));
            log_transition(&is_failing, &result);
            result
        };
        self.runtime.spawn(request_with_timeout).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: bool) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(is_enabled(variable), expected, "{variables:?}");
    }

    #[test]
    fn standard_variables_enable_and_disable_traces() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        check(&[], false);
        check(&[endpoint], true);
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")], true);
        check(&[endpoint, ("OTEL_SDK_DISABLED", "true")], false);
        check(&[endpoint, ("OTEL_SDK_DISABLED", "false")], true);
        check(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], false);
        check(&[endpoint, ("OTEL_TRACES_EXPORTER", "otlp")], true);
        check(&[("OTEL_TRACES_EXPORTER", "otlp")], false);
    }
}
