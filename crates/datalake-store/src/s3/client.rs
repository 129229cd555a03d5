//! The AWS SDK's client, configured.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    config::{Builder, Credentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient},
};
use aws_smithy_http_client::{
    Builder as HttpBuilder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::lake::OpenOptions;

/// Attempts of one request. With the SDK's back-off of up to 1, 2, 4, … s between them, a store that is gone for some 10 s is survived.
pub(super) const ATTEMPTS_MAX: u32 = 5;

/// A store that is there answers the handshake within a second, from another continent as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// No bytes for so long, and the connection counts as dead.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest single body is 16 MiB: at 1 MB/s it takes as long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where no setting names a region: every server that is not AWS accepts it, and asking the instance would delay the start.
const REGION_DEFAULT: &str = "us-east-1";

/// A client for the options, and for the AWS SDK's own settings where they say nothing.
pub(super) async fn connect(options: &OpenOptions) -> Client {
    let http = HttpBuilder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    // On the loader, so that the credentials' own requests use the same client.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let shared = loader.load().await;
    let mut config = Builder::from(&shared);
    if shared.region().is_none() {
        config = config.region(Region::new(REGION_DEFAULT));
    }
    if shared.endpoint_url().is_some() {
        config = for_other_servers(config);
    }
    Client::from_conf(config.build())
}

/// A client over somebody's HTTP, for tests in this process.
pub(super) fn over(http: SharedHttpClient) -> Client {
    let credentials = Credentials::new("in-process", "in-process", None, None, "in-process");
    let config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION_DEFAULT))
        .credentials_provider(credentials)
        .endpoint_url("http://in-process")
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS_MAX)
                .with_initial_backoff(Duration::ZERO),
        )
        .http_client(http);
    Client::from_conf(for_other_servers(config).build())
}

/// Servers that are not AWS rarely have a name for each bucket, and some refuse checksums in trailers (awslabs/aws-sdk-rust#1240).
fn for_other_servers(config: Builder) -> Builder {
    config
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}
