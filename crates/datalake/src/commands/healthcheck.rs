//! `datalake healthcheck`

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use datalake_core::error_chain::error_chain;
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::args::HealthcheckArgs;

/// Container runtimes check every few seconds: an API that does not respond within this time is not ready.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Checks whether the API on this machine is ready.
pub(crate) async fn healthcheck(args: HealthcheckArgs) -> anyhow::Result<u8> {
    let url = match args.url {
        Some(url) => url,
        None => format!("http://{}/readyz", args.listen.listen.reachable()).parse()?,
    };
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = client.get(url.clone());
    let response = tokio::time::timeout(TIMEOUT, request)
        .await
        .with_context(|| format!("no response from {url} within {} s", TIMEOUT.as_secs()))?
        .map_err(|error| {
            let cause = error_chain(&error);
            anyhow!("cannot reach {url}: {cause}; check that the API is running and listens on this address")
        })?;
    if !response.status().is_success() {
        bail!("the API is not ready: {url} returned status {}", response.status().as_u16());
    }
    Ok(0)
}
