//! The settings that a lake's URL does not contain.

use crate::s3_settings::{Addressing, Endpoint, Region};

/// How to reach an S3 server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The server's address. Default: that of the AWS SDK's settings, else AWS.
    pub endpoint: Option<Endpoint>,
    /// The bucket's region. Default: that of the AWS SDK's settings, else `us-east-1`.
    pub region: Option<Region>,
    /// Where the bucket's name is in the address of a request.
    pub addressing: Addressing,
}
