//! Errors of the SDK as errors of the store.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use super::{attempts::Attempts, bucket_client::BucketClient, response::unexpected, retry::is_page, tls};
use crate::error::StoreError;

/// The failure of a request. All variants except `Final` are handled inside `s3/`.
#[derive(Debug)]
pub(super) enum Failure {
    /// 409: the server could not decide between concurrent requests. The request can be repeated.
    Undecided(StoreError),
    /// The parts of an upload are gone. An earlier attempt to complete it may have taken effect.
    UploadGone(StoreError),
    /// The fence of the request has expired. An earlier attempt may have taken effect.
    Expired(StoreError),
    /// The error for the caller.
    Final(StoreError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Undecided(error) | Failure::UploadGone(error) | Failure::Expired(error) | Failure::Final(error) => error,
        }
    }
}

/// Classifies a failure by code and status, and without a response by its cause.
pub(super) fn classify<E>(client: &BucketClient, attempts: &Attempts, error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let request = attempts.request();
    let key = request.key().to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(ToOwned::to_owned);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    let has_expired = client
        .fence
        .zip(error.raw_response())
        .is_some_and(|(fence, response)| fence.has_expired(response, code.as_deref(), message));
    if has_expired {
        return Failure::Expired(match attempts.made() {
            1 => StoreError::Expired { key },
            _ => unavailable(client, attempts, error),
        });
    }
    if let Some(failure) = tls::failure(&error) {
        let reason = format!("cannot {}: {}: {}", request.describe(client), client.endpoint, tls::reason(failure));
        return Failure::Final(StoreError::Denied { key, reason, cause: None });
    }
    if let Some(cause) = denial(client, status, code.as_deref(), message).or_else(|| missing_credentials(&error)) {
        let reason = match cause {
            Denial::OfRequest(cause) => format!(
                "cannot {}: {cause}; the credentials need {}",
                request.describe(client),
                request.permissions(client)
            ),
            Denial::OfAll(reason) => reason,
        };
        return Failure::Final(StoreError::Denied {
            key,
            reason,
            cause: Some(source(error)),
        });
    }
    if let Some(what) = describe_page(&error) {
        return Failure::Final(unexpected(client, request.key(), &what));
    }
    let code = code.as_deref();
    match status {
        // The error of a copy or completion may be in a response with status 200, so only the code identifies it.
        _ if code == Some("PreconditionFailed") => Failure::Final(StoreError::Conflict { key }),
        _ if code == Some("NoSuchUpload") => Failure::UploadGone(unavailable(client, attempts, error)),
        _ if code == Some("NoSuchKey") => Failure::Final(StoreError::NotFound { key }),
        _ if code == Some("NotImplemented") || status == Some(501) => {
            let response = describe_response(status, code, message);
            let reason = format!(
                "cannot {}: the store at {} does not implement a required part of S3 ({response}); use another store",
                request.describe(client),
                client.endpoint
            );
            Failure::Final(StoreError::not_supported(&key, reason, response))
        }
        // The code of S3 for a client that sends too slowly, with status 400.
        Some(400) if code == Some("RequestTimeout") => Failure::Final(unavailable(client, attempts, error)),
        Some(404) => Failure::Final(StoreError::NotFound { key }),
        Some(409) => Failure::Undecided(StoreError::Conflict { key }),
        Some(412) => Failure::Final(StoreError::Conflict { key }),
        Some(416) => Failure::Final(StoreError::Invalid {
            key,
            reason: "the range starts after the object's end".to_owned(),
        }),
        Some(408 | 425 | 429) => Failure::Final(unavailable(client, attempts, error)),
        Some(400..=499) => {
            let reason = format!(
                "cannot {}: the store at {} rejects the request ({})",
                request.describe(client),
                client.endpoint,
                describe_response(status, code, message)
            );
            Failure::Final(StoreError::Invalid {
                key: String::new(),
                reason,
            })
        }
        None if matches!(error, SdkError::ConstructionFailure(_)) => {
            let reason = format!(
                "cannot {}: the request cannot be built: {}",
                request.describe(client),
                innermost(&error)
            );
            Failure::Final(StoreError::Invalid {
                key: String::new(),
                reason,
            })
        }
        _ => Failure::Final(unavailable(client, attempts, error)),
    }
}

/// A response of the store as part of a message: `403 AccessDenied: User x is not authorized`.
fn describe_response(status: Option<u16>, code: Option<&str>, message: Option<&str>) -> String {
    /// One or two sentences: some servers return a whole page.
    const MESSAGE_CHARS_MAX: usize = 300;
    let status = status.map(|status| status.to_string());
    let mut text = [status.as_deref(), code].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let message: String = message.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if !message.is_empty() && Some(&*message) != code {
        text.push_str(": ");
        text.extend(message.chars().take(MESSAGE_CHARS_MAX));
    }
    text
}

/// Why retrying will not help, and what to do.
enum Denial {
    /// The cause. The error also names the request and the permission that it needs.
    OfRequest(String),
    /// The complete message.
    OfAll(String),
}

fn denial(client: &BucketClient, status: Option<u16>, code: Option<&str>, message: Option<&str>) -> Option<Denial> {
    let response = || describe_response(status, code, message);
    let reason = match (code, status) {
        (Some("NoSuchBucket"), _) => client.missing_bucket(),
        // The second code is that of versitygw.
        (Some("InvalidAccessKeyId" | "XAdminUserNotFound"), _) => format!(
            "the store at {} does not know the access key ({}); check AWS_ACCESS_KEY_ID",
            client.endpoint,
            response()
        ),
        (Some("SignatureDoesNotMatch"), _) => {
            format!(
                "the secret key does not match the access key ({}); check AWS_SECRET_ACCESS_KEY",
                response()
            )
        }
        (Some("ExpiredToken" | "TokenRefreshRequired"), _) => format!("the credentials have expired ({}); renew them", response()),
        (Some("InvalidToken"), _) => format!("the session token is not valid ({}); check AWS_SESSION_TOKEN", response()),
        (Some("RequestTimeTooSkewed"), _) => format!("this machine's clock is too far from the store's ({}); set it", response()),
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect"), _) | (_, Some(301 | 307 | 308)) => format!(
            "bucket {} is in another region or at another endpoint than {} ({}); check AWS_REGION and the endpoint",
            client.bucket,
            client.endpoint,
            response()
        ),
        (_, Some(401)) => format!(
            "the store at {} does not accept the credentials ({}); check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            client.endpoint,
            response()
        ),
        (Some("InvalidObjectState"), _) => {
            return Some(Denial::OfRequest(format!(
                "the object is in an archive storage class and must be restored first ({})",
                response()
            )));
        }
        (Some(code), _) if code.starts_with("KMS.") => {
            return Some(Denial::OfRequest(format!("its encryption key cannot be used ({})", response())));
        }
        (_, Some(403)) | (Some("AccessDenied"), _) => return Some(Denial::OfRequest(format!("the store denies access ({})", response()))),
        _ => return None,
    };
    Some(Denial::OfAll(reason))
}

/// Describes a response that no S3 server sends: a page of another service behind the endpoint.
fn describe_page<E>(error: &SdkError<E>) -> Option<String> {
    let response = error.raw_response()?;
    let status = response.status().as_u16();
    // A proxy in front of a store that is down or overloaded sends pages as well.
    let may_be_proxy = status >= 500 || matches!(status, 408 | 425 | 429);
    (is_page(response) && !may_be_proxy).then(|| format!("an HTML page with status {status}"))
}

fn missing_credentials(error: &(dyn Error + 'static)) -> Option<Denial> {
    const MISSING: &str = "there are no credentials for the store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role";
    let reason = causes(error).find_map(|cause| match cause.downcast_ref()? {
        CredentialsError::CredentialsNotLoaded(_) => Some(MISSING.to_owned()),
        CredentialsError::InvalidConfiguration(_) => Some(format!(
            "the settings of the store's credentials cannot be used: {}; check them",
            innermost(error)
        )),
        // The service that issues credentials may be available again soon.
        CredentialsError::ProviderTimedOut(_) => None,
        _ if has_no_response(cause) => None,
        _ => Some(format!(
            "cannot get the credentials of the store: {}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or check the profile or role",
            innermost(error)
        )),
    })?;
    Some(Denial::OfAll(reason))
}

/// Whether there was no response.
fn has_no_response(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<ConnectorError>()
            .is_some_and(|error| error.is_io() || error.is_timeout())
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn unavailable<E>(client: &BucketClient, attempts: &Attempts, error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (request, endpoint) = (attempts.request().describe(client), &client.endpoint);
    let status = error.raw_response().map(|response| response.status().as_u16());
    let reason = match (&error, status) {
        (_, Some(status)) => {
            let service = error.as_service_error();
            let response = describe_response(
                Some(status),
                service.and_then(ProvideErrorMetadata::code),
                service.and_then(ProvideErrorMetadata::message),
            );
            format!("cannot {request}: the store at {endpoint} failed ({response}); try again later")
        }
        (SdkError::TimeoutError(_), None) => {
            format!("cannot {request}: the store at {endpoint} did not respond in time; check that it is up and not overloaded")
        }
        _ => format!(
            "cannot {request}: no response from the store at {endpoint}: {}; check that it is up, and that this machine reaches it",
            innermost(&error)
        ),
    };
    StoreError::Unavailable {
        key: attempts.request().key().to_owned(),
        reason,
        attempts: attempts.made(),
        cause: Some(source(error)),
    }
}

fn source<E: Error + Send + Sync + 'static>(error: SdkError<E>) -> Box<dyn Error + Send + Sync> {
    error.into_source().unwrap_or_else(Into::into)
}

#[cfg(test)]
mod tests;
