//! What the SDK's errors mean to a caller.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef},
    },
    error::{BoxError, ConnectorError, ProvideErrorMetadata, SdkError},
};
use parking_lot::Mutex;

use super::{
    Inner,
    request::Request,
    retry::{Signed, is_page},
    tls,
};
use crate::{counter::RequestCounter, error::StoreError};

/// Counts the attempts of one operation, for the lake's counter and for what is said of a failure, and marks the responses to those whose
/// signature was out of date.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    counter: Arc<RequestCounter>,
    request: Arc<Request>,
    made: Arc<AtomicU32>,
    last: Arc<Mutex<Option<Signed>>>,
}

impl Attempts {
    pub(super) fn new(inner: &Inner, request: Request) -> Self {
        Self {
            counter: Arc::clone(&inner.counter),
            request: Arc::new(request),
            made: Arc::default(),
            last: Arc::default(),
        }
    }

    /// At least one: where nothing was sent, asking for credentials was the attempt.
    pub(super) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed).max(1)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.request.count(&self.counter);
        self.made.fetch_add(1, Ordering::Relaxed);
        *self.last.lock() = Signed::of(context.request(), local_time(components));
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let last = *self.last.lock();
        if let Some(signed) = last {
            signed.mark(context.response_mut(), local_time(components));
        }
        Ok(())
    }
}

fn local_time(components: &RuntimeComponents) -> SystemTime {
    components.time_source().unwrap_or_default().now()
}

/// A failure as a caller reacts to it, but for those that only this module reacts to.
#[derive(Debug)]
pub(super) enum Failure {
    /// 409: the server could not decide between requests at that moment. Worth a new try.
    Undecided(StoreError),
    /// The parts are gone. Where the completion was tried before, it may have taken effect.
    UploadGone(StoreError),
    /// The fence of the request has expired. Where it was tried before, an earlier attempt may have taken effect.
    Expired(StoreError),
    /// As the caller gets it.
    Final(StoreError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Undecided(error) | Failure::UploadGone(error) | Failure::Expired(error) | Failure::Final(error) => error,
        }
    }
}

/// Classifies by code and status; without a response, by what prevented it.
pub(super) fn classify<E>(inner: &Inner, attempts: &Attempts, error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let request = &*attempts.request;
    let key = request.key().to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(ToOwned::to_owned);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    let has_expired = inner
        .fence
        .zip(error.raw_response())
        .is_some_and(|(fence, response)| fence.has_expired(response, code.as_deref(), message));
    if has_expired {
        return Failure::Expired(match attempts.made() {
            1 => StoreError::Expired { key },
            _ => unavailable(inner, attempts, error),
        });
    }
    if let Some(failure) = tls::failure(&error) {
        let reason = format!("cannot {}: {}: {}", request.describe(inner), inner.endpoint, tls::reason(failure));
        return Failure::Final(StoreError::Denied { key, reason, source: None });
    }
    if let Some(cause) = denial(inner, status, code.as_deref(), message).or_else(|| missing_credentials(&error)) {
        let reason = match cause {
            Denial::OfRequest(cause) => format!(
                "cannot {}: {cause}; the credentials need {}",
                request.describe(inner),
                request.permissions(inner)
            ),
            Denial::OfAll(reason) => reason,
        };
        return Failure::Final(StoreError::Denied {
            key,
            reason,
            source: Some(source(error)),
        });
    }
    if let Some(what) = foreign(&error) {
        return Failure::Final(nonsense(inner, request.key(), &what));
    }
    let code = code.as_deref();
    match status {
        // A copy's or completion's error may come inside a 200: then the code alone tells.
        _ if code == Some("PreconditionFailed") => Failure::Final(StoreError::Conflict { key }),
        _ if code == Some("NoSuchUpload") => Failure::UploadGone(unavailable(inner, attempts, error)),
        _ if code == Some("NoSuchKey") => Failure::Final(StoreError::NotFound { key }),
        _ if code == Some("NotImplemented") || status == Some(501) => {
            let answer = answer(status, code, message);
            let reason = format!(
                "cannot {}: the store at {} does not implement a part of S3 that this needs ({answer}); use another store",
                request.describe(inner),
                inner.endpoint
            );
            Failure::Final(StoreError::not_supported(&key, reason, answer))
        }
        // S3's own words for "you were too slow": a 400.
        Some(400) if code == Some("RequestTimeout") => Failure::Final(unavailable(inner, attempts, error)),
        Some(404) => Failure::Final(StoreError::NotFound { key }),
        Some(409) => Failure::Undecided(StoreError::Conflict { key }),
        Some(412) => Failure::Final(StoreError::Conflict { key }),
        Some(416) => Failure::Final(StoreError::Invalid {
            key,
            reason: "the range begins after the object's end".to_owned(),
        }),
        Some(408 | 425 | 429) => Failure::Final(unavailable(inner, attempts, error)),
        Some(400..=499) => {
            let reason = format!(
                "cannot {}: the store at {} rejects the request ({})",
                request.describe(inner),
                inner.endpoint,
                answer(status, code, message)
            );
            Failure::Final(StoreError::Invalid {
                key: String::new(),
                reason,
            })
        }
        None if matches!(error, SdkError::ConstructionFailure(_)) => {
            let reason = format!(
                "cannot {}: no request can be made of it: {}",
                request.describe(inner),
                innermost(&error)
            );
            Failure::Final(StoreError::Invalid {
                key: String::new(),
                reason,
            })
        }
        _ => Failure::Final(unavailable(inner, attempts, error)),
    }
}

/// A response of the store, for an error: `403 AccessDenied: User x is not authorized`.
fn answer(status: Option<u16>, code: Option<&str>, message: Option<&str>) -> String {
    /// A sentence or two; some servers return a whole page.
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

/// Why retrying does not help, and what to do.
enum Denial {
    /// The cause; the request and the permission that it needs belong to the error as well.
    OfRequest(String),
    /// The whole reason.
    OfAll(String),
}

fn denial(inner: &Inner, status: Option<u16>, code: Option<&str>, message: Option<&str>) -> Option<Denial> {
    let answer = || answer(status, code, message);
    let reason = match (code, status) {
        (Some("NoSuchBucket"), _) => inner.missing_bucket(),
        // The other code is versitygw's.
        (Some("InvalidAccessKeyId" | "XAdminUserNotFound"), _) => format!(
            "the store at {} does not know the access key ({}); check AWS_ACCESS_KEY_ID",
            inner.endpoint,
            answer()
        ),
        (Some("SignatureDoesNotMatch"), _) => {
            format!(
                "the secret key does not match the access key ({}); check AWS_SECRET_ACCESS_KEY",
                answer()
            )
        }
        (Some("ExpiredToken" | "TokenRefreshRequired"), _) => format!("the credentials have expired ({}); renew them", answer()),
        (Some("InvalidToken"), _) => format!("the session token is not valid ({}); check AWS_SESSION_TOKEN", answer()),
        (Some("RequestTimeTooSkewed"), _) => format!("this machine's clock is too far from the store's ({}); set it", answer()),
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect"), _) | (_, Some(301 | 307 | 308)) => format!(
            "bucket {} is in another region or at another endpoint than {} ({}); check AWS_REGION and the endpoint",
            inner.bucket,
            inner.endpoint,
            answer()
        ),
        (_, Some(401)) => format!(
            "the store at {} does not accept the credentials ({}); check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            inner.endpoint,
            answer()
        ),
        (Some("InvalidObjectState"), _) => {
            return Some(Denial::OfRequest(format!(
                "the object is in an archive storage class and must be restored first ({})",
                answer()
            )));
        }
        (Some(code), _) if code.starts_with("KMS.") => {
            return Some(Denial::OfRequest(format!("its encryption key cannot be used ({})", answer())));
        }
        (_, Some(403)) | (Some("AccessDenied"), _) => return Some(Denial::OfRequest(format!("the store denies access ({})", answer()))),
        _ => return None,
    };
    Some(Denial::OfAll(reason))
}

/// What a response is that no S3 server sends: a page of another service behind the endpoint.
fn foreign<E>(error: &SdkError<E>) -> Option<String> {
    let response = error.raw_response()?;
    let status = response.status().as_u16();
    // A proxy in front of a store that is down or busy sends pages as well.
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
        // The service that issues them may be back in a moment.
        CredentialsError::ProviderTimedOut(_) => None,
        _ if is_cut_off(cause) => None,
        _ => Some(format!(
            "cannot get the credentials of the store: {}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or check the profile or role",
            innermost(error)
        )),
    })?;
    Some(Denial::OfAll(reason))
}

/// Whether no answer came at all.
fn is_cut_off(error: &(dyn Error + 'static)) -> bool {
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

fn unavailable<E>(inner: &Inner, attempts: &Attempts, error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (request, endpoint) = (attempts.request.describe(inner), &inner.endpoint);
    let status = error.raw_response().map(|response| response.status().as_u16());
    let reason = match (&error, status) {
        (_, Some(status)) => {
            let service = error.as_service_error();
            let answer = answer(
                Some(status),
                service.and_then(ProvideErrorMetadata::code),
                service.and_then(ProvideErrorMetadata::message),
            );
            format!("cannot {request}: the store at {endpoint} failed ({answer}); try again later")
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
        key: attempts.request.key().to_owned(),
        reason,
        attempts: attempts.made(),
        source: Some(source(error)),
    }
}

fn source<E: Error + Send + Sync + 'static>(error: SdkError<E>) -> Box<dyn Error + Send + Sync> {
    error.into_source().unwrap_or_else(Into::into)
}

/// The store answered with something that S3 never sends.
pub(super) fn nonsense(inner: &Inner, key: &str, what: &str) -> StoreError {
    StoreError::Invalid {
        key: key.to_owned(),
        reason: format!(
            "{} does not respond as S3 does: {what}; check that it is the endpoint of an S3 server",
            inner.endpoint
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: CredentialsError, word: Option<&str>) {
        let error = SdkError::<aws_sdk_s3::Error>::dispatch_failure(ConnectorError::other(error.into(), None));
        let reason = missing_credentials(&error).map(|denial| match denial {
            Denial::OfRequest(reason) | Denial::OfAll(reason) => reason,
        });
        assert_eq!(reason.is_some(), word.is_some(), "{reason:?}");
        assert!(
            reason.as_ref().zip(word).is_none_or(|(reason, word)| reason.contains(word)),
            "{reason:?}"
        );
    }

    #[test]
    fn missing_credentials_are_told_from_a_network_that_is_down() {
        check(CredentialsError::not_loaded("none anywhere"), Some("there are no credentials"));
        check(CredentialsError::invalid_configuration("no such profile"), Some("check them"));
        check(
            CredentialsError::provider_error("the role may not be assumed"),
            Some("cannot get the credentials of the store: the role may not be assumed"),
        );
        check(
            CredentialsError::provider_error(ConnectorError::io("connection refused".into())),
            None,
        );
        check(CredentialsError::provider_timed_out(std::time::Duration::from_secs(5)), None);
    }
}
