//! Responds to the requests of a command that reads a lake without a server, by the same routes: the parameters and documents are those of the API.

use std::io;

use axum::{
    Router,
    body::{Body, BodyDataStream},
    extract::Request,
    http::{HeaderMap, Uri, header, request},
    middleware::{self, Next},
};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use datalake_api::{
    problem::{self, document::write_documents},
    routes,
    state::{ApiState, Parts},
};
use datalake_http::percent_encoding::encode_query;

/// The routes of the API, without a listener. The caller loads the table.
#[derive(Clone, Debug)]
pub struct LakeReader {
    router: Router,
}

/// A response of the API.
#[derive(Debug)]
pub struct ReaderResponse {
    status: u16,
    headers: HeaderMap,
    body: BodyDataStream,
}

impl LakeReader {
    /// The routes over the parts of a server.
    pub fn new(parts: Parts) -> Self {
        let router = routes::router(OpenApiRouter::new(), Router::new(), std::iter::empty())
            // The last layer is the outermost.
            .layer(CatchPanicLayer::custom(problem::from_panic))
            .layer(middleware::from_fn(|request, next: Next| {
                write_documents(request, |request| next.run(request))
            }))
            .with_state(ApiState::from(parts));
        Self { router }
    }

    /// The response to `GET path?parameters` with this `Accept` header. Characters that a URI cannot contain need no encoding in `parameters`.
    pub async fn get(&self, path: &str, parameters: &str, accept: &str) -> io::Result<ReaderResponse> {
        let uri = match parameters {
            "" => path.to_owned(),
            parameters => format!("{path}?{}", encode_query(parameters)),
        };
        let uri = Uri::try_from(uri).map_err(io::Error::other)?;
        let request: Request = request::Builder::new()
            .uri(uri)
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .map_err(io::Error::other)?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        Ok(ReaderResponse {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.into_data_stream(),
        })
    }
}

impl ReaderResponse {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header, if it is ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next bytes of the body; none at its end.
    pub async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.body.try_next().await.map_err(io::Error::other)
    }

    /// The whole body.
    pub async fn bytes(mut self) -> io::Result<Bytes> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}
