//! Sends a request.

/// Sends a customized operation of the SDK, counts its attempts, and classifies its failure.
///
/// This is a macro because the SDK does not export the trait that its operations implement.
macro_rules! send {
    ($client:expr, $attempts:expr, $operation:expr) => {{
        let (client, attempts): (&$crate::s3::bucket_client::BucketClient, &$crate::s3::attempts::Attempts) = ($client, $attempts);
        let sent = $operation.interceptor(attempts.clone()).send().await;
        sent.map_err(|error| $crate::s3::errors::classify(client, attempts, error))
    }};
}

pub(super) use send;
