//! The AWS SDK's client, configured.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableRegionProvider, meta::region::RegionProviderChain,
    profile::ProfileFileRegionProvider, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_s3::{
    Client,
    config::{
        Builder, RequestChecksumCalculation, ResponseChecksumValidation,
        retry::{RetryPartition, TokenBucket},
    },
};
use aws_smithy_http_client::{
    Builder as HttpBuilder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_types::service_config::ServiceConfigKey;
use url::Url;

use super::retry::{ATTEMPTS_MAX, AlsoTransient, BACKOFF_FIRST, BACKOFF_MAX};
use crate::{error::StoreError, lake::OpenOptions};

/// A store that is there answers the handshake within a second, from another continent as well. Five attempts at an address that
/// swallows packets take 10 s, and back-off adds some 7 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// From the first byte sent to the first byte of the answer. The largest body of one request is 16 MiB: at 1 MB/s it takes 17 s.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The answer but for an object's bytes: a page of a listing of 1,000 long keys is 2 MB, a few seconds at 1 MB/s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(25);

/// All attempts of one request together, so that a store that takes connections and never answers is given up within a minute.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);

/// Nothing of an object's bytes for so long, and the connection counts as dead.
const BODY_STALL_MAX: Duration = Duration::from_secs(15);

/// As many requests as a run has in flight. Connections above that are closed after use instead of being kept.
const IDLE_CONNECTIONS_MAX: usize = 128;

/// Below the 20 s and more after which servers and load balancers close an idle connection: better ours than theirs, which a request
/// in that moment would run into.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// Where no setting names a region. Servers that are not AWS accept it, and asking the instance for one would delay the start.
const REGION_DEFAULT: &str = "us-east-1";

/// A client, and the server it talks to in words.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) endpoint: String,
    pub(super) backoff_first: Duration,
}

/// A client for the options, and for the AWS SDK's own settings where they say nothing.
pub(super) async fn connect(options: &OpenOptions) -> Result<Connection, StoreError> {
    let http = HttpBuilder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .build_https();
    let region = RegionProviderChain::first_try(options.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(REGION_DEFAULT));
    // On the loader, so that the requests for credentials use the same client.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(region);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let shared = loader.load().await;
    let endpoint = custom_endpoint(&shared);
    let shown = endpoint.as_deref().map_or_else(|| Ok("AWS".to_owned()), shown)?;
    let config = configure(Builder::from(&shared), BACKOFF_FIRST, endpoint.is_some());
    Ok(Connection {
        client: Client::from_conf(config.build()),
        endpoint: shown,
        backoff_first: BACKOFF_FIRST,
    })
}

/// A client over HTTP within the process, otherwise configured like the product's, but that it never waits between attempts.
#[cfg(feature = "testing")]
pub(super) fn over(http: aws_sdk_s3::config::SharedHttpClient, clock: aws_smithy_async::time::SharedTimeSource) -> Connection {
    let credentials = aws_sdk_s3::config::Credentials::new("in-process", "in-process", None, None, "in-process");
    let endpoint = "http://in-process";
    let config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION_DEFAULT))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .time_source(clock)
        .http_client(http);
    Connection {
        client: Client::from_conf(configure(config, Duration::ZERO, true).build()),
        endpoint: endpoint.to_owned(),
        backoff_first: Duration::ZERO,
    }
}

/// What the product wants of every client, wherever its settings came from.
fn configure(config: Builder, backoff_first: Duration, is_custom: bool) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(backoff_first)
        .with_max_backoff(BACKOFF_MAX);
    // The SDK's own bucket of 500 tokens is empty after some 35 failures: with 128 requests in flight, one hiccup would then end a run.
    let unshared = RetryPartition::custom("datalake").token_bucket(TokenBucket::unlimited()).build();
    let config = config
        .timeout_config(timeouts)
        .retry_config(retries)
        .retry_partition(unshared)
        .retry_classifier(AlsoTransient)
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(BODY_STALL_MAX).build());
    if !is_custom {
        return config;
    }
    // Servers that are not AWS rarely have a name for each bucket, and some refuse checksums in trailers (awslabs/aws-sdk-rust#1240).
    config
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

/// The endpoint that an option, the environment or a profile names, in the SDK's own order: the one for S3 alone before the general.
fn custom_endpoint(shared: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let for_s3 = shared.service_config().and_then(|settings| settings.load_config(key));
    for_s3.or_else(|| shared.endpoint_url().map(ToOwned::to_owned))
}

/// The endpoint as errors name it: without what could be a password.
fn shown(endpoint: &str) -> Result<String, StoreError> {
    let refused = || StoreError::Invalid {
        key: String::new(),
        reason: "the S3 endpoint must be a URL such as https://s3.example.com; check the option or AWS_ENDPOINT_URL".to_owned(),
    };
    let mut url = Url::parse(endpoint).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refused());
    }
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| refused())?;
    url.set_query(None);
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        assert_eq!(shown("http://127.0.0.1:9000/").unwrap(), "http://127.0.0.1:9000");
        assert_eq!(shown("https://me:secret@s3.example.com").unwrap(), "https://s3.example.com");
        for refused in ["", "127.0.0.1:9000", "localhost:9000", "s3.example.com", "ftp://s3.example.com"] {
            assert!(matches!(shown(refused), Err(StoreError::Invalid { .. })), "{refused}");
        }
    }
}
