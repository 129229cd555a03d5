//! The paths for operators: probes and metrics.

/// The path of the liveness probe.
pub const LIVENESS: &str = "/healthz";

/// The path of the readiness probe.
pub const READINESS: &str = "/readyz";

/// The path of the metrics.
pub const METRICS: &str = "/metrics";

/// Whether probes and scrapers request the path: every few seconds, without a token and under any host name. The responses contain no data
/// of users.
pub fn is_probe_or_metrics(path: &str) -> bool {
    is_probe(path) || path == METRICS
}

/// Whether probes request the path.
pub fn is_probe(path: &str) -> bool {
    matches!(path, LIVENESS | READINESS)
}
