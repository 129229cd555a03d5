//! The paths for operators: probes and metrics.

/// Whether the path is requested by probes and scrapers: every few seconds, without a token and under any host name. The responses have no data of
/// users.
pub(crate) fn is_probe_or_metrics(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}
