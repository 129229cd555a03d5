//! The body of a request, of a bounded size and within a bounded time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use crate::problem::Problem;

/// A body is under 200 bytes, or that and a page's address; this leaves room for white space.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// From the end of the head to the end of the body: as long as a head may take. A body that is not sent would hold its place for longer.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Reads the whole body.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(BODY_WAIT_MAX, collect(body)).await;
    collected.map_err(|_| Problem::BodyTimedOut)?
}

async fn collect(body: Body) -> Result<Bytes, Problem> {
    let broken = |_| Problem::BodyInvalid {
        reason: "the body ends before its length, or its chunks are malformed; send it again".to_owned(),
    };
    let mut bytes = BytesMut::new();
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.try_next().await.map_err(broken)? {
        if bytes.len() + part.len() > BODY_BYTES_MAX {
            return Err(Problem::BodyTooLarge { bytes_max: BODY_BYTES_MAX });
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
        let start = tokio::time::Instant::now();
        assert!(matches!(read(body).await, Err(Problem::BodyTimedOut)));
        assert_eq!(start.elapsed(), BODY_WAIT_MAX);
    }
}
