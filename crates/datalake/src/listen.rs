//! The address on which the API listens.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or `:8080` for all interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "an address is like 127.0.0.1:8080, [::1]:8080, localhost:8080, or :8080 for all interfaces";
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        if text.contains("://") || text.contains('/') {
            return Err(format!("an address to listen on has no scheme and no path; {FORM}"));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "the host is missing; write 127.0.0.1:{text} for this machine only, or :{text} for all interfaces"
            ));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Err(format!("the port is missing; write {}", SocketAddr::new(ip, 8080)));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(match is_name(text) {
                true => format!("the port is missing; write {text}:8080"),
                false => FORM.to_owned(),
            });
        };
        let Ok(port) = port.parse() else {
            return Err(format!("`{port}` is not a port, which is a number up to 65535; {FORM}"));
        };
        match host {
            "" => Ok(Self::Ip(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))),
            "*" => Err(format!("write :{port} for all interfaces")),
            host if host.parse::<Ipv6Addr>().is_ok() => Err(format!("an IPv6 address is in brackets; write [{host}]:{port}")),
            host if is_name(host) => Ok(Self::Name(host.to_owned(), port)),
            host => Err(format!("`{host}` is not a host name; {FORM}")),
        }
    }
}

/// Whether the text is a host name. Digits and dots only are an invalid IP address.
fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl ListenAddress {
    /// The addresses to try, IPv4 before IPv6, so that `localhost` is 127.0.0.1 on every machine that supports IPv4.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Ip(address) => Ok(vec![*address]),
            Self::Name(host, port) => {
                let mut addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
                addresses.sort_by_key(SocketAddr::is_ipv6);
                Ok(addresses)
            }
        }
    }

    /// The address for clients on this machine: the loopback address if the API listens on all interfaces.
    pub(crate) fn reachable(&self) -> Self {
        match self {
            Self::Ip(address) if address.ip().is_unspecified() => {
                let loopback = match address.ip() {
                    IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
                };
                Self::Ip(SocketAddr::new(loopback, address.port()))
            }
            address => address.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, reachable: &str) {
        let address: ListenAddress = text.parse().unwrap();
        assert_eq!(
            (address.to_string().as_str(), address.reachable().to_string().as_str()),
            (shown, reachable)
        );
    }

    #[test]
    fn addresses_are_parsed() {
        check("127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080");
        check("0.0.0.0:8080", "0.0.0.0:8080", "127.0.0.1:8080");
        check(":8080", "0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:8080", "[::]:8080", "[::1]:8080");
        check("[::1]:0", "[::1]:0", "[::1]:0");
        check("localhost:8080", "localhost:8080", "localhost:8080");
        check("api.example.com:80", "api.example.com:80", "api.example.com:80");
    }

    #[test]
    fn invalid_address_is_reported_with_the_correct_spelling() {
        for (text, word) in [
            ("", "like 127.0.0.1:8080"),
            ("8080", "write 127.0.0.1:8080 for this machine only, or :8080"),
            ("localhost", "write localhost:8080"),
            ("127.0.0.1", "write 127.0.0.1:8080"),
            ("::1", "write [::1]:8080"),
            ("[::1]", "write [::1]:8080"),
            ("fe80::1%eth0:8080", "not a host name"),
            ("*:8080", "write :8080"),
            ("localhost:", "`` is not a port"),
            ("localhost:http", "`http` is not a port"),
            ("localhost:65536", "up to 65535"),
            ("256.0.0.1:8080", "`256.0.0.1` is not a host name"),
            ("http://localhost:8080", "no scheme"),
            ("localhost:8080/", "no path"),
            ("my host:8080", "not a host name"),
        ] {
            let error = text.parse::<ListenAddress>().expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
