//! `datalake healthcheck`

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::args::HealthcheckArgs;

/// Container health checks are asked every few seconds: an API that does not answer by then is not ready.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the API on this machine whether it is ready.
pub(crate) async fn healthcheck(args: HealthcheckArgs) -> anyhow::Result<u8> {
    let url = match args.url {
        Some(url) => url,
        None => format!("http://{}/readyz", args.listen.listen.reachable()).parse()?,
    };
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = client.get(url.clone());
    let response = tokio::time::timeout(TIMEOUT, request)
        .await
        .with_context(|| format!("the API did not answer within {} s, url={url}", TIMEOUT.as_secs()))?
        .with_context(|| format!("the API cannot be reached, is it running? url={url}"))?;
    if !response.status().is_success() {
        bail!("the API is not ready, status={}, url={url}", response.status().as_u16());
    }
    Ok(0)
}
