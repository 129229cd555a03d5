//! The server's clock: the `Date` of its responses.

use std::sync::Arc;

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, http::HttpResponse, interceptors::BeforeDeserializationInterceptorContextRef},
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};
use jiff::Timestamp;
use parking_lot::Mutex;

/// Records the `Date` of the last response to a request. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerDate(Arc<Mutex<Option<Timestamp>>>);

impl ServerDate {
    /// The server's time at the last response. None if it sent no valid `Date`.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        *self.0.lock()
    }
}

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock() = date_of(context.response());
        Ok(())
    }
}

/// The server's time in a response.
pub(super) fn date_of(response: &HttpResponse) -> Option<Timestamp> {
    let date = DateTime::from_str(response.headers().get("date")?, DateTimeFormat::HttpDate).ok()?;
    Timestamp::from_second(date.secs()).ok()
}
