//! Making the bucket.

use std::sync::Arc;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::{
    Inner, client,
    errors::{Attempts, classify},
    request::Request,
};
use crate::{error::StoreError, open_options::OpenOptions};

/// Makes the bucket if there is none. One that is there already and can be reached is a success.
pub async fn create_bucket(bucket: &str, options: &OpenOptions) -> Result<(), StoreError> {
    let inner = Inner::new(client::connect(options, bucket).await?, bucket, "", Arc::default());
    create(&inner).await
}

pub(super) async fn create(inner: &Inner) -> Result<(), StoreError> {
    if exists(inner).await? {
        return Ok(());
    }
    let region = inner.client.config().region().map(ToString::to_string);
    // AWS's first region is the one that must not be named.
    let configuration = region.filter(|region| region != "us-east-1").map(|region| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region.as_str()))
            .build()
    });
    let attempts = Attempts::new(inner, Request::CreateBucket);
    let created = inner
        .client
        .create_bucket()
        .bucket(&*inner.bucket)
        .set_create_bucket_configuration(configuration)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await;
    let Err(error) = created else { return Ok(()) };
    let error = StoreError::from(classify(inner, &attempts, error));
    // Somebody was faster, or the first attempt took effect and its answer was lost.
    match error {
        StoreError::Conflict { .. } if exists(inner).await? => Ok(()),
        error => Err(error),
    }
}

async fn exists(inner: &Inner) -> Result<bool, StoreError> {
    let attempts = Attempts::new(inner, Request::HeadBucket);
    let found = inner
        .client
        .head_bucket()
        .bucket(&*inner.bucket)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await;
    match found {
        Ok(_) => Ok(true),
        Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 404) => Ok(false),
        Err(error) => Err(classify(inner, &attempts, error).into()),
    }
}
