//! The host names that requests may have. A malicious site can make its own host name resolve to this machine (DNS rebinding), and its pages
//! could then read every response. Such requests have the host name of that site.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{header, uri::Authority},
};
use thiserror::Error;

/// Which host names requests may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every host name. A proxy in front of the server checks them.
    #[default]
    Any,
    /// `localhost`, names below it, and these host names.
    Loopback(Arc<[HostName]>),
    /// Only these host names.
    Listed(Arc<[HostName]>),
}

/// A host name in lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Box<str>);

/// The text is not a host name.
#[derive(Clone, Debug, Error)]
#[error("not a host name: {reason}; give a name without scheme and port, such as data.example.com")]
pub struct HostNameError {
    reason: &'static str,
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let error = |reason| Err(HostNameError { reason });
        if text.is_empty() {
            return error("it is empty");
        }
        if text.contains('/') {
            return error("it contains a scheme or a path");
        }
        if text.contains(':') {
            return error("it contains a port, but every port is allowed");
        }
        match text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        {
            true => Ok(Self(text.trim_end_matches('.').to_ascii_lowercase().into())),
            false => error("it contains characters other than letters, digits, `-`, `.` and `_`"),
        }
    }
}

impl AllowedHosts {
    /// Whether requests may have this host. IP addresses are always allowed: DNS rebinding needs a name.
    fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let is_listed = |names: &[HostName]| names.iter().any(|HostName(name)| name.eq_ignore_ascii_case(host));
        match self {
            Self::Any => true,
            _ if is_address(host) => true,
            Self::Loopback(names) => is_loopback_name(host) || is_listed(names),
            Self::Listed(names) => is_listed(names),
        }
    }

    /// The host of the request, if it is not allowed. A request without a host is allowed, because browsers always send one.
    pub fn rejected_host(&self, request: &Request) -> Option<String> {
        if *self == Self::Any {
            return None;
        }
        let host = host(request)?;
        (!self.allows(&host)).then_some(host)
    }
}

/// The host of a request, without its port. A malformed `Host` header is returned as it is.
fn host(request: &Request) -> Option<String> {
    if let Some(host) = request.uri().host() {
        return Some(host.to_owned());
    }
    let text = String::from_utf8_lossy(request.headers().get(header::HOST)?.as_bytes());
    let host = text.parse::<Authority>().map(|authority| authority.host().to_owned());
    Some(host.unwrap_or_else(|_| text.into_owned()))
}

fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host.parse::<Ipv4Addr>().is_ok() || inner.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
}

/// Whether the host is `localhost` or a name below it (RFC 6761, section 6.3).
fn is_loopback_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn listed(names: &[&str]) -> Arc<[HostName]> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(hosts: &AllowedHosts, host: &str, is_allowed: bool) {
        let request = Request::get("/data").header(header::HOST, host).body(Body::empty()).unwrap();
        assert_eq!(hosts.rejected_host(&request).is_none(), is_allowed, "{host}: {hosts:?}");
    }

    #[test]
    fn host_that_is_not_allowed_is_returned() {
        let loopback = AllowedHosts::Loopback(listed(&["MyBox"]));
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "a.localhost:1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.1.2.3",
            "mybox:8080",
        ] {
            check(&loopback, host, true);
        }
        for host in [
            "evil.example:8080",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "",
            "a b",
        ] {
            check(&loopback, host, false);
            check(&AllowedHosts::Any, host, true);
        }
        let listed = AllowedHosts::Listed(listed(&["data.example.com"]));
        check(&listed, "DATA.example.com:443", true);
        check(&listed, "localhost", false);
        check(&listed, "x.data.example.com", false);
    }

    #[test]
    fn host_of_an_absolute_target_overrides_the_header() {
        let hosts = AllowedHosts::Loopback(listed(&[]));
        let request = |target: &str| {
            let request = Request::get(target).header(header::HOST, "localhost");
            request.body(Body::empty()).unwrap()
        };
        assert_eq!(
            hosts.rejected_host(&request("http://evil.example/data")).as_deref(),
            Some("evil.example")
        );
        assert_eq!(hosts.rejected_host(&request("http://localhost:1/data")), None);
    }

    #[test]
    fn malformed_host_names_are_errors() {
        for text in ["", "http://a", "a:80", "a b", "ä"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
        assert_eq!("A.b.".parse::<HostName>().unwrap(), HostName("a.b".into()));
    }
}
