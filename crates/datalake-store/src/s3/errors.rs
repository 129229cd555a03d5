//! What the SDK's errors mean to a caller.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::{BoxError, ProvideErrorMetadata, SdkError},
};

use crate::{counter::RequestCounter, error::StoreError};

/// Counts the attempts of one operation, for the lake's counter and for what is said of a failure.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    counter: Arc<RequestCounter>,
    count: fn(&RequestCounter),
    made: Arc<AtomicU32>,
}

impl Attempts {
    pub(super) fn new(counter: &Arc<RequestCounter>, count: fn(&RequestCounter)) -> Self {
        Self {
            counter: Arc::clone(counter),
            count,
            made: Arc::default(),
        }
    }

    pub(super) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        (self.count)(&self.counter);
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A failure as a caller reacts to it, but for one that only this module reacts to.
#[derive(Debug)]
pub(super) enum Failure {
    /// 409: the server could not decide between requests at that moment. Worth a new try.
    Undecided(StoreError),
    Final(StoreError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Undecided(error) | Failure::Final(error) => error,
        }
    }
}

/// Classifies by status and code; where there was no answer, by what hindered it.
pub(super) fn classify<E>(key: &str, bucket: &str, attempts: &Attempts, error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let key = key.to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(ToOwned::to_owned);
    let source = |error: SdkError<E>| -> Option<Box<dyn Error + Send + Sync>> { Some(error.into_source().unwrap_or_else(Into::into)) };
    let denied = |reason: String, error| {
        Failure::Final(StoreError::Denied {
            key: key.clone(),
            reason,
            source: source(error),
        })
    };
    match (status, code.as_deref()) {
        (_, Some("NoSuchBucket")) => denied(
            format!("the bucket does not exist; make it with `datalake init`, or check the lake's URL, bucket={bucket}"),
            error,
        ),
        (_, Some("InvalidAccessKeyId")) => denied(
            format!("the store does not know the access key; check AWS_ACCESS_KEY_ID, bucket={bucket}"),
            error,
        ),
        (_, Some("SignatureDoesNotMatch")) => denied(
            format!("the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY, bucket={bucket}"),
            error,
        ),
        (_, Some("ExpiredToken")) => denied(format!("the credentials have expired; renew them, bucket={bucket}"), error),
        (Some(301 | 307), _) | (_, Some("AuthorizationHeaderMalformed")) => denied(
            format!("the bucket is in another region; set --s3-region or AWS_REGION, bucket={bucket}"),
            error,
        ),
        (Some(401 | 403), _) => denied(
            format!("the store refuses these credentials the access; check them and the bucket's policy, bucket={bucket}"),
            error,
        ),
        (Some(404), _) => Failure::Final(StoreError::NotFound { key }),
        (Some(409), _) => Failure::Undecided(StoreError::Conflict { key }),
        (Some(412), _) => Failure::Final(StoreError::Conflict { key }),
        (Some(416), _) => Failure::Final(StoreError::Invalid {
            key,
            reason: "the range begins past the object's end".to_owned(),
        }),
        (Some(status @ 400..500), _) if status != 408 && status != 429 => {
            let code = code.unwrap_or_else(|| "no code".to_owned());
            Failure::Final(StoreError::Invalid {
                key,
                reason: format!("the store refuses the request ({status}, {code})"),
            })
        }
        (None, _) if lacks_credentials(&error) => denied(
            format!("there are no credentials for the store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, bucket={bucket}"),
            error,
        ),
        _ => Failure::Final(StoreError::Unavailable {
            key,
            attempts: attempts.made().max(1),
            source: source(error),
        }),
    }
}

/// The SDK has no variant for it: the word is in the chain of causes.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("credentials provider") || error.to_string().contains("providers in chain") {
            return true;
        }
        cause = error.source();
    }
    false
}
