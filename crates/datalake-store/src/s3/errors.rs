//! What the SDK's errors mean to a caller.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
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

use super::{Inner, retry::Signed};
use crate::{counter::RequestCounter, error::StoreError};

/// Counts the attempts of one operation, for the lake's counter and for what is said of a failure, and marks the responses to those whose
/// signature was out of date.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    counter: Arc<RequestCounter>,
    count: fn(&RequestCounter),
    made: Arc<AtomicU32>,
    last: Arc<Mutex<Option<Signed>>>,
}

impl Attempts {
    pub(super) fn new(counter: &Arc<RequestCounter>, count: fn(&RequestCounter)) -> Self {
        Self {
            counter: Arc::clone(counter),
            count,
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
        (self.count)(&self.counter);
        self.made.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Signed::of(context.request(), local_time(components));
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Classifies by code and status; where there was no answer, by what hindered it.
pub(super) fn classify<E>(inner: &Inner, key: &str, attempts: &Attempts, error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let key = key.to_owned();
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
            _ => unavailable(key, attempts, error),
        });
    }
    if let Some(refusal) = refusal(status, code.as_deref()).or_else(|| without_credentials(&error)) {
        let reason = format!("{refusal}, bucket={}, endpoint={}", inner.bucket, inner.endpoint);
        return Failure::Final(StoreError::Denied {
            key,
            reason,
            source: Some(source(error)),
        });
    }
    let code = code.as_deref();
    match status {
        // A copy's or completion's error may come inside a 200: then the code alone tells.
        _ if code == Some("PreconditionFailed") => Failure::Final(StoreError::Conflict { key }),
        _ if code == Some("NoSuchUpload") => Failure::UploadGone(StoreError::Unavailable {
            key,
            attempts: attempts.made(),
            source: Some(source(error)),
        }),
        _ if code == Some("NoSuchKey") => Failure::Final(StoreError::NotFound { key }),
        _ if code == Some("NotImplemented") || status == Some(501) => {
            let said = format!("status={}, code={}", status.unwrap_or_default(), code.unwrap_or("none"));
            let place = format!("bucket={}, endpoint={}", inner.bucket, inner.endpoint);
            let reason = format!("the store does not know a part of S3 that this needs (NotImplemented); use another store, {place}");
            Failure::Final(StoreError::not_supported(&key, reason, said))
        }
        // S3's own words for "you were too slow": a 400.
        Some(400) if code == Some("RequestTimeout") => Failure::Final(unavailable(key, attempts, error)),
        Some(404) => Failure::Final(StoreError::NotFound { key }),
        Some(409) => Failure::Undecided(StoreError::Conflict { key }),
        Some(412) => Failure::Final(StoreError::Conflict { key }),
        Some(416) => Failure::Final(StoreError::Invalid {
            key,
            reason: "the range begins past the object's end".to_owned(),
        }),
        Some(408 | 425 | 429) => Failure::Final(unavailable(key, attempts, error)),
        Some(status @ 400..=499) => {
            let reason = format!("the store refuses the request, status={status}, code={}", code.unwrap_or("none"));
            Failure::Final(StoreError::Invalid { key, reason })
        }
        None if matches!(error, SdkError::ConstructionFailure(_)) => {
            let reason = format!("no request can be made of it: {}", innermost(&error));
            Failure::Final(StoreError::Invalid { key, reason })
        }
        _ => Failure::Final(unavailable(key, attempts, error)),
    }
}

/// Why no retry helps, and what to do.
fn refusal(status: Option<u16>, code: Option<&str>) -> Option<&'static str> {
    let said = match (code, status) {
        (Some("NoSuchBucket"), _) => "the bucket does not exist; make it with `datalake init`, or check the lake's URL",
        // The other code is versitygw's.
        (Some("InvalidAccessKeyId" | "XAdminUserNotFound"), _) => "the store does not know the access key; check AWS_ACCESS_KEY_ID",
        (Some("SignatureDoesNotMatch"), _) => "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
        (Some("ExpiredToken" | "TokenRefreshRequired"), _) => "the credentials have expired; renew them",
        (Some("InvalidToken"), _) => "the session token is not valid; check AWS_SESSION_TOKEN",
        (Some("RequestTimeTooSkewed"), _) => "this machine's clock is too far from the store's; set it",
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect"), _) | (_, Some(301 | 307 | 308)) => {
            "the bucket is in another region or at another endpoint; check the region (AWS_REGION) and the endpoint"
        }
        (_, Some(401)) => "the store does not accept the credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        (_, Some(403)) | (Some("AccessDenied"), _) => {
            "the store denies access; check the credentials, and that they may list the bucket and read and write its objects"
        }
        _ => return None,
    };
    Some(said)
}

fn without_credentials(error: &(dyn Error + 'static)) -> Option<&'static str> {
    const MISSING: &str = "there are no credentials for the store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role";
    causes(error).find_map(|cause| match cause.downcast_ref()? {
        CredentialsError::CredentialsNotLoaded(_) => Some(MISSING),
        CredentialsError::InvalidConfiguration(_) => Some("the settings for the store's credentials cannot be used; check them"),
        // Whoever gives them may be back in a moment.
        CredentialsError::ProviderTimedOut(_) => None,
        _ if is_cut_off(cause) => None,
        _ => Some(
            "the credentials for the store cannot be had; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or check the profile or role",
        ),
    })
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

fn unavailable<E>(key: String, attempts: &Attempts, error: SdkError<E>) -> StoreError
where
    E: Error + Send + Sync + 'static,
{
    StoreError::Unavailable {
        key,
        attempts: attempts.made(),
        source: Some(source(error)),
    }
}

fn source<E: Error + Send + Sync + 'static>(error: SdkError<E>) -> Box<dyn Error + Send + Sync> {
    error.into_source().unwrap_or_else(Into::into)
}

/// The store answered with something that S3 never says.
pub(super) fn nonsense(key: &str, what: &str) -> StoreError {
    StoreError::Invalid {
        key: key.to_owned(),
        reason: format!("the store does not speak S3 as it should: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: CredentialsError, word: Option<&str>) {
        let error = SdkError::<aws_sdk_s3::Error>::dispatch_failure(ConnectorError::other(error.into(), None));
        let said = without_credentials(&error);
        assert_eq!(said.is_some(), word.is_some(), "{said:?}");
        assert!(said.zip(word).is_none_or(|(said, word)| said.contains(word)), "{said:?}");
    }

    #[test]
    fn missing_credentials_are_told_from_a_network_that_is_down() {
        check(CredentialsError::not_loaded("none anywhere"), Some("there are no credentials"));
        check(CredentialsError::invalid_configuration("no such profile"), Some("check them"));
        check(
            CredentialsError::provider_error("the role may not be assumed"),
            Some("cannot be had"),
        );
        check(
            CredentialsError::provider_error(ConnectorError::io("connection refused".into())),
            None,
        );
        check(CredentialsError::provider_timed_out(std::time::Duration::from_secs(5)), None);
    }
}
