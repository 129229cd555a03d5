//! Finds and creates the bucket.

use std::sync::Arc;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::{attempts::Attempts, bucket_client::BucketClient, client, errors::classify, request::Request, send::send};
use crate::{error::StoreError, open_options::OpenOptions};

/// Creates the bucket if it does not exist. A bucket that exists and can be read is a success.
pub async fn create_bucket(bucket: &str, options: &OpenOptions) -> Result<(), StoreError> {
    create(&connect(bucket, options).await?).await
}

/// Whether the bucket exists.
pub async fn bucket_exists(bucket: &str, options: &OpenOptions) -> Result<bool, StoreError> {
    exists(&connect(bucket, options).await?).await
}

async fn connect(bucket: &str, options: &OpenOptions) -> Result<BucketClient, StoreError> {
    Ok(BucketClient::new(
        client::connect(options, bucket).await?,
        bucket,
        "",
        Arc::default(),
    ))
}

pub(super) async fn create(client: &BucketClient) -> Result<(), StoreError> {
    if exists(client).await? {
        return Ok(());
    }
    let region = client.sdk.config().region().map(ToString::to_string);
    // AWS rejects a location constraint for its first region.
    let configuration = region.filter(|region| region != "us-east-1").map(|region| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region.as_str()))
            .build()
    });
    let attempts = Attempts::new(client, Request::CreateBucket);
    let request = client
        .sdk
        .create_bucket()
        .bucket(&*client.bucket)
        .set_create_bucket_configuration(configuration);
    let Err(failure) = send!(client, &attempts, request.customize()) else {
        return Ok(());
    };
    match failure.into() {
        // Another process created it, or the first attempt took effect and its response was lost.
        StoreError::Conflict { .. } if exists(client).await? => Ok(()),
        error => Err(error),
    }
}

async fn exists(client: &BucketClient) -> Result<bool, StoreError> {
    let attempts = Attempts::new(client, Request::HeadBucket);
    let request = client.sdk.head_bucket().bucket(&*client.bucket);
    match request.customize().interceptor(attempts.clone()).send().await {
        Ok(_) => Ok(true),
        // The code is not checked, because a HEAD response has no body that could identify a missing bucket.
        Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 404) => Ok(false),
        Err(error) => Err(classify(client, &attempts, error).into()),
    }
}
