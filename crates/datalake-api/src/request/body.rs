//! Reads the body of a request within a limit of size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use crate::problem::Problem;

/// The bodies that handlers read have under 200 bytes, or that and the URL of a page. The rest is for white space.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// The time from the end of the head to the end of the body: as long as a head may take. A client that sends nothing would occupy a request
/// slot for longer.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Reads the whole body.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(BODY_WAIT_MAX, collect(body)).await;
    collected.map_err(|_| Problem::BodyTimedOut)?
}

async fn collect(body: Body) -> Result<Bytes, Problem> {
    let incomplete = |_| Problem::InvalidBody {
        reason: "the body is shorter than its Content-Length, or its chunks are malformed; send it again".to_owned(),
    };
    let mut bytes = BytesMut::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(incomplete)? {
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Problem::BodyTooLarge { bytes_max: BODY_BYTES_MAX });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn body_that_does_not_arrive_times_out() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
        let start = tokio::time::Instant::now();
        assert!(matches!(read(body).await, Err(Problem::BodyTimedOut)));
        assert_eq!(start.elapsed(), BODY_WAIT_MAX);
    }
}
