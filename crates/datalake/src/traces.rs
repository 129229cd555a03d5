//! Traces go to an OpenTelemetry collector where the standard variables name one; elsewhere there are none.
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

/// A collector that takes longer than this is no use; what waits for it meanwhile is bounded by the SDK, at 2,048 spans.
const EXPORT_MAX: Duration = Duration::from_secs(10);

/// What a collector answers is a message of some bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The end of a server or a run is not held up by a collector that does not answer.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// What exports spans, if anything does.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// No spans at all.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// As the standard variables say. Has to be called on the runtime that sends the spans.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        if !is_wanted(variable) {
            return Ok(Self::off());
        }
        let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        if let Some(protocol) = protocols.into_iter().find_map(variable).filter(|protocol| protocol != PROTOCOL) {
            bail!("spans are sent by {PROTOCOL} alone, most often to port 4318, protocol={protocol}");
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
            // The last one wins: an operator may name another version.
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

    /// Makes spans, where they are exported.
    pub(crate) fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer("datalake"))
    }

    /// Sends what is still held. Spans that end later are lost.
    pub(crate) async fn flush(self) {
        let Some(provider) = self.0 else {
            return;
        };
        // It waits for a thread that waits for this runtime.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_MAX)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the last spans could not be sent to the collector");
        }
    }
}

/// Whether there is a collector, and nobody switched traces off.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_elsewhere = variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
    let is_named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .iter()
        .any(|name| variable(name).is_some());
    is_named && !is_disabled && !is_elsewhere
}

/// An empty variable is one that is not set: so the standard has it.
#[expect(
    clippy::disallowed_methods,
    reason = "OpenTelemetry's variables are a convention over all programs, not arguments of ours"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Sends by the HTTP client and the TLS that are there anyway. The exporter's thread has no runtime of its own: the work is done on ours.
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
            .context("the system's certificates cannot be read")?
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

/// A collector that is away is told of once, and so is its return.
fn tell(is_failing: &AtomicBool, answered: &Result<Response<Bytes>, HttpError>) {
    let failure = match answered {
        Ok(response) if response.status().is_success() => None,
        Ok(response) => Some(format!("it answered with {}", response.status())),
        Err(error) => Some(error.to_string()),
    };
    let was_failing = is_failing.swap(failure.is_some(), Ordering::Relaxed);
    match failure {
        Some(error) if !was_failing => {
            tracing::warn!(error, "spans cannot be sent to the collector; those that find no room are dropped");
        }
        None if was_failing => tracing::info!("spans can be sent to the collector again"),
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
            let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, bytes))
        };
        let is_failing = Arc::clone(&self.is_failing);
        // A timer is made where the runtime is. What is said on the exporter's own thread is kept from the log.
        let in_time = async move {
            let answered = tokio::time::timeout(EXPORT_MAX, exchange).await;
            let answered = answered.unwrap_or_else(|_| Err("it does not answer".into()));
            tell(&is_failing, &answered);
            answered
        };
        self.runtime.spawn(in_time).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: bool) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(is_wanted(variable), expected, "{variables:?}");
    }

    #[test]
    fn variables_of_the_standard() {
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
