//! Configures the client of the AWS SDK.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_s3::{
    Client,
    config::{
        Builder, RequestChecksumCalculation, ResponseChecksumValidation,
        retry::{RetryPartition, TokenBucket},
    },
};
use aws_types::service_config::ServiceConfigKey;

use super::{
    environment::{CheckedCredentials, Environment, invalid},
    http,
    retry::{ATTEMPTS_MAX, AlsoTransient, BACKOFF_FIRST, BACKOFF_MAX},
};
use crate::{
    error::StoreError,
    masking::mask,
    open_options::OpenOptions,
    s3_settings::{Addressing, Endpoint},
};

/// A store that is up answers the handshake within a second, even from another continent. Five attempts at an address that drops packets
/// take 10 s, and backoff adds some 7 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// From the first byte of the request to the first byte of the response. The largest body of one request is 16 MiB: at 1 MB/s it takes 17
/// s.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// For one attempt, without the bytes of an object: a page of a listing of 1,000 long keys has 2 MB, and takes a few seconds at 1 MB/s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(25);

/// For all attempts of one request, so that a request to a store that accepts connections and never responds fails within a minute.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);

/// The time without bytes after which a connection is considered dead.
const BODY_STALL_MAX: Duration = Duration::from_secs(15);

/// The region if no setting names one. Other servers than AWS accept it, and requesting one from the instance would delay the start.
const REGION_DEFAULT: &str = "us-east-1";

/// A configured client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) endpoint: String,
    pub(super) backoff_first: Duration,
}

/// Configures a client by the options, and by the AWS SDK's settings for those that are not set. Checks all settings before the first
/// request.
pub(super) async fn connect(options: &OpenOptions, bucket: &str) -> Result<Connection, StoreError> {
    let environment = Environment::load().await?;
    let region = match &options.region {
        Some(region) => Some(region.clone()),
        None => environment.region()?,
    };
    let region = region.map_or(Region::from_static(REGION_DEFAULT), |region| Region::new(region.to_string()));
    // Set on the loader, so that requests for credentials use the same client.
    let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http::client(&environment)?)
        .profile_name(environment.profile_name())
        .region(region)
        .load()
        .await;
    let endpoint = match &options.endpoint {
        Some(endpoint) => Some(endpoint.clone()),
        None => configured_endpoint(&shared)?,
    };
    if let Some(endpoint) = &endpoint {
        let rejected = |error| invalid(format!("--s3-endpoint or AWS_ENDPOINT_URL is `{endpoint}`: {error}"));
        endpoint.require_server_of(bucket).map_err(rejected)?;
    }
    let mut config = Builder::from(&shared);
    if let Some(credentials) = shared.credentials_provider() {
        config = config.credentials_provider(CheckedCredentials(credentials));
    }
    if let Some(endpoint) = &endpoint {
        config = config.endpoint_url(endpoint.as_str());
    }
    let config = configure(config, BACKOFF_FIRST, endpoint.is_some(), options.addressing);
    Ok(Connection {
        client: Client::from_conf(config.build()),
        endpoint: endpoint.map_or_else(|| "AWS".to_owned(), |endpoint| endpoint.to_string()),
        backoff_first: BACKOFF_FIRST,
    })
}

/// A client of an HTTP client in this process, configured like the product's, but without waits between attempts.
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
        client: Client::from_conf(configure(config, Duration::ZERO, true, Addressing::Auto).build()),
        endpoint: endpoint.to_owned(),
        backoff_first: Duration::ZERO,
    }
}

/// The settings that every client has.
fn configure(config: Builder, backoff_first: Duration, has_endpoint: bool, addressing: Addressing) -> Builder {
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
    // The SDK's bucket of 500 tokens is empty after some 35 failures: with 128 requests in flight, one short outage would end a run.
    let unshared = RetryPartition::custom("datalake").token_bucket(TokenBucket::unlimited()).build();
    let config = config
        .timeout_config(timeouts)
        .retry_config(retries)
        .retry_partition(unshared)
        .retry_classifier(AlsoTransient)
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(BODY_STALL_MAX).build());
    // Other servers than AWS rarely have a host name for each bucket.
    let is_path_style = match addressing {
        Addressing::Auto => has_endpoint,
        Addressing::Path => true,
        Addressing::Virtual => false,
    };
    let config = config.force_path_style(is_path_style);
    if !has_endpoint {
        return config;
    }
    // Some of these servers reject checksums in trailers (awslabs/aws-sdk-rust#1240).
    config
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

/// The endpoint from the environment or the profile, in the SDK's order: the setting for S3 before the general one.
fn configured_endpoint(shared: &SdkConfig) -> Result<Option<Endpoint>, StoreError> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let for_s3 = key.ok().and_then(|key| shared.service_config()?.load_config(key));
    let endpoint = for_s3
        .filter(|endpoint| !endpoint.is_empty())
        .or_else(|| shared.endpoint_url().map(ToOwned::to_owned));
    let parsed = endpoint.map(|endpoint| {
        let rejected = |error| {
            invalid(format!(
                "`endpoint_url` of the profile, or AWS_ENDPOINT_URL, is not an endpoint: `{}`: {error}",
                mask(&endpoint)
            ))
        };
        endpoint.parse().map_err(rejected)
    });
    parsed.transpose()
}
