//! Traces that a collector receives, by OTLP over HTTP as protobuf.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Output},
    sync::mpsc,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use tempfile::TempDir;

use crate::server::{Server, executable};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Receives requests to `/v1/traces` until the test ends.
struct Collector {
    endpoint: String,
    received: mpsc::Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || while receive(&stream, &sender).is_some() {});
            }
        });
        Self { endpoint, received }
    }

    /// All received spans, with the attributes of their resource.
    fn spans(&self) -> Vec<(Vec<KeyValue>, Span)> {
        let resources = self.received.try_iter().flat_map(|request| request.resource_spans);
        let spans = resources.flat_map(|spans| {
            let sender = spans.resource.unwrap_or_default().attributes;
            let spans = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| (sender.clone(), span)).collect::<Vec<_>>()
        });
        spans.collect()
    }
}

/// Receives and answers one request of a connection; none at the end of the connection.
fn receive(stream: &TcpStream, sender: &mpsc::Sender<ExportTraceServiceRequest>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let _ignored = sender.send(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let value = found.and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => panic!("{name} is {other:?} in {attributes:?}"),
    }
}

#[track_caller]
fn named<'a>(spans: &'a [(Vec<KeyValue>, Span)], name: &str) -> &'a Span {
    let mut found = spans.iter().map(|(_, span)| span).filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
    assert!(found.next().is_none(), "{name} occurs once");
    span
}

/// A lake with the processed samples.
fn lake() -> TempDir {
    let folder = TempDir::new().unwrap();
    for arguments in [&["init", "--lake", "lake", "--samples"][..], &["process", "--lake", "lake"]] {
        let output = datalake(&folder, arguments, &[]);
        assert!(output.status.success(), "{output:?}");
    }
    folder
}

fn datalake(folder: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(executable());
    command.args(arguments).envs(environment.iter().copied());
    command.current_dir(folder.path()).output().unwrap()
}

/// No span is exported before the end, so all spans were flushed.
#[test]
fn request_and_its_run_are_one_trace() {
    let collector = Collector::start();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ];
    let server = Server::start_with(lake(), &["serve", "--lake", "lake"], &environment);
    let traceparent = format!("-H 'traceparent: 00-{TRACE}-{CALLER}-01'");
    // Until the table is loaded, each attempt would add a span.
    server.curl("/readyz", "");
    server.curl("/data/1000?on=2026-11-24", &format!("{traceparent} -H 'x-request-id: my-request'"));
    server.curl("/data", &format!("-X POST -H 'prefer: wait=60' {traceparent}"));
    server.curl("/stats", "");
    server.shell("curl --silent -H 'x-request-id: mine' 'http://localhost:8080/secret'");
    assert_eq!(server.terminate(), Some(0));

    let spans = collector.spans();
    assert!(spans.iter().all(|(sender, _)| text(sender, "service.name") == "datalake"));
    assert!(
        spans
            .iter()
            .all(|(sender, _)| text(sender, "service.version") == env!("CARGO_PKG_VERSION"))
    );
    let read = named(&spans, "GET /data/{user_id}");
    assert_eq!(
        (hexadecimal(&read.trace_id), hexadecimal(&read.parent_span_id)),
        (TRACE.into(), CALLER.into())
    );
    assert_eq!(read.kind(), SpanKind::Server);
    let attribute = |name| text(&read.attributes, name);
    assert_eq!(attribute("http.request.method"), "GET");
    assert_eq!(attribute("http.route"), "/data/{user_id}");
    assert_eq!(attribute("http.response.status_code"), "200");
    assert_eq!(attribute("request.id"), "my-request");

    let posted = named(&spans, "POST /data");
    let run = named(&spans, "run");
    assert_eq!(hexadecimal(&run.trace_id), TRACE);
    assert_eq!(
        run.parent_span_id, posted.span_id,
        "the request is the parent of the run in another process"
    );
    assert_eq!(text(&run.attributes, "run.outcome"), "succeeded");
    assert_eq!(text(&run.attributes, "run.committed"), "false");
    assert_eq!(text(&run.attributes, "run.listed"), "194");

    let alone = named(&spans, "GET /stats");
    assert_ne!(hexadecimal(&alone.trace_id), TRACE, "a request without a trace starts one");
    assert!(alone.parent_span_id.is_empty());
    let unknown = named(&spans, "GET none");
    assert_eq!(text(&unknown.attributes, "http.response.status_code"), "404");
    assert_ne!(
        unknown.status.clone().unwrap_or_default().code(),
        StatusCode::Error,
        "an error of the client"
    );
    // No users and no query strings. Generated IDs and times may contain any digits.
    for span in [read, unknown] {
        let exported = format!("{} {:?} {:?}", span.name, span.attributes, span.events);
        for secret in ["1000", "2026-11-24", "secret", "Susan"] {
            assert!(!exported.contains(secret), "{secret} in {exported}");
        }
    }
}

#[test]
fn failed_run_has_an_error_status() {
    let collector = Collector::start();
    let folder = lake();
    std::fs::remove_dir_all(folder.path().join("lake/src-data")).unwrap();
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", collector.endpoint)),
        ("OTEL_SERVICE_NAME", "lakes".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2.3".to_owned()),
        ("TRACEPARENT", format!("00-{TRACE}-{CALLER}-01")),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let output = datalake(&folder, &["process", "--lake", "lake"], &environment);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let spans = collector.spans();
    let [(sender, run)] = &spans[..] else {
        panic!("one span: {spans:?}");
    };
    assert_eq!(text(sender, "service.name"), "lakes");
    assert_eq!(
        (run.name.as_str(), text(&run.attributes, "run.outcome").as_str()),
        ("run", "blocked")
    );
    assert_eq!(run.status.clone().unwrap().code(), StatusCode::Error);
    assert_eq!(text(&run.attributes, "error.type"), "blocked");
    assert_eq!(
        text(sender, "service.version"),
        "1.2.3",
        "the setting of the operator takes precedence"
    );
    assert_eq!(
        (hexadecimal(&run.trace_id), hexadecimal(&run.parent_span_id)),
        (TRACE.into(), CALLER.into())
    );
}

/// The trace IDs in the access log of a server.
fn trace_ids_logged(environment: &[(&str, &str)]) -> Vec<serde_json::Value> {
    let server = Server::start_with(lake(), &["serve", "--lake", "lake"], environment);
    // Until the table is loaded, each attempt would add a line.
    server.curl("/readyz", "");
    server.curl("/stats", "");
    server.curl("/stats", &format!("-H 'traceparent: 00-{TRACE}-{CALLER}-01'"));
    let lines = server
        .terminate_and_read_log()
        .into_iter()
        .filter(|line| line["http.route"] == "/stats");
    lines.map(|line| line["trace.id"].clone()).collect()
}

#[test]
fn log_has_trace_ids() {
    assert_eq!(trace_ids_logged(&[]), [serde_json::Value::Null, TRACE.into()]);
    let collector = Collector::start();
    let ids = trace_ids_logged(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)]);
    let spans = collector.spans();
    let of_stats = spans.iter().filter(|(_, span)| span.name == "GET /stats");
    let exported: Vec<_> = of_stats.map(|(_, span)| hexadecimal(&span.trace_id)).collect();
    assert_eq!((ids.len(), &ids[1]), (2, &TRACE.into()));
    assert_eq!(exported, ids.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>());
}

#[track_caller]
fn check_harmless(environment: &[(&str, &str)], message: &str) {
    let output = datalake(&lake(), &["process", "--lake", "lake"], environment);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{environment:?}: {log}");
    assert!(log.contains(message), "{environment:?}: {log}");
}

/// A run succeeds even if its trace cannot be exported.
#[test]
fn unusable_collector_fails_no_run() {
    check_harmless(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")], "cannot send spans");
    check_harmless(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "no address")], "traces are not exported");
    check_harmless(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], "");
    check_harmless(
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ],
        "http/protobuf",
    );
}
