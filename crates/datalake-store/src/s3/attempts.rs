//! Counts the attempts of requests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef},
    },
    error::BoxError,
};
use parking_lot::Mutex;

use super::{bucket_client::BucketClient, request::Request, retry::Signed};
use crate::request_counter::RequestCounter;

/// Counts the attempts of one request, for the lake's counter and for errors, and marks responses to attempts whose signature was outdated.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    counter: Arc<RequestCounter>,
    request: Arc<Request>,
    made: Arc<AtomicU32>,
    last: Arc<Mutex<Option<Signed>>>,
}

impl Attempts {
    pub(super) fn new(client: &BucketClient, request: Request) -> Self {
        Self {
            counter: Arc::clone(&client.counter),
            request: Arc::new(request),
            made: Arc::default(),
            last: Arc::default(),
        }
    }

    /// The number of attempts so far, at least 1: if no request was sent, reading the credentials was the attempt.
    pub(super) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed).max(1)
    }

    /// The request that is attempted.
    pub(super) fn request(&self) -> &Request {
        &self.request
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
