//! The paths for operators: probes and metrics.

/// The path of the liveness probe.
pub const LIVENESS: &str = "/healthz";

/// The path of the readiness probe.
pub const READINESS: &str = "/readyz";

/// The path of the metrics.
pub const METRICS: &str = "/metrics";

/// Whether the path is requested by probes and scrapers: every few seconds, without a token and under any host name. The responses have no data of
/// users.
pub fn is_probe_or_metrics(path: &str) -> bool {
    is_probe(path) || path == METRICS
}

/// Whether the path is requested by probes.
pub fn is_probe(path: &str) -> bool {
    matches!(path, LIVENESS | READINESS)
}
