//! The client of a request that trusted proxies have forwarded.

use std::{net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use thiserror::Error;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies whose `Forwarded` and `X-Forwarded-For` headers are trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// A network in CIDR notation, such as `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyNetwork(IpNet);

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a network; give an address or a CIDR range, such as 10.0.0.0/8")]
pub struct ParseNetworkError;

impl FromStr for ProxyNetwork {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| ParseNetworkError)
    }
}

impl FromIterator<ProxyNetwork> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = ProxyNetwork>>(networks: I) -> Self {
        Self(networks.into_iter().map(|ProxyNetwork(network)| network).collect())
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request on a connection from `peer`: the last address in the header that is not a trusted proxy.
    ///
    /// A proxy appends to one of the two headers and may pass the other through from the client. If they name different clients, neither is trusted,
    /// and the client is `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.0.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let forwarded = values(headers, &header::FORWARDED).map(|values| self.last_untrusted(peer, values.flat_map(forwarded_for)));
        let x_forwarded_for =
            values(headers, &X_FORWARDED_FOR).map(|values| self.last_untrusted(peer, values.flat_map(forwarded_addresses)));
        match (forwarded, x_forwarded_for) {
            (Some(first), Some(second)) if first != second => peer,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => peer,
        }
    }

    /// The last address that is not a trusted proxy. `hops` are the addresses in the order of the proxies, `None` where an address is hidden or
    /// malformed. Addresses before such a hop are not trusted.
    fn last_untrusted(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let hops: Vec<_> = hops.collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        client
    }
}

/// The values of a header, or `None` without the header.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<impl Iterator<Item = &'a str>> {
    let mut values = headers.get_all(name).into_iter().peekable();
    values.peek()?;
    Some(values.map(|value| value.to_str().unwrap_or_default()))
}

/// The addresses in a value of `Forwarded` (RFC 7239).
fn forwarded_for(value: &str) -> impl Iterator<Item = Option<IpAddr>> {
    value.split(',').map(|element| {
        let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
        address(node.trim_matches('"'))
    })
}

/// The addresses in a value of `X-Forwarded-For`.
fn forwarded_addresses(value: &str) -> impl Iterator<Item = Option<IpAddr>> {
    value.split(',').map(|element| address(element.trim()))
}

/// Parses an address with or without a port. An IPv6 address with a port is in brackets.
fn address(node: &str) -> Option<IpAddr> {
    if let Some(rest) = node.strip_prefix('[') {
        let (address, _) = rest.split_once(']')?;
        return address.parse().ok();
    }
    let without_port = node
        .split_once(':')
        .filter(|(_, port)| !port.contains(':'))
        .map(|(address, _)| address);
    node.parse().ok().or_else(|| without_port?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, headers: &[(&str, &str)], client: &str) {
        let proxies: TrustedProxies = ["10.0.0.0/8", "2001:db8::1"]
            .iter()
            .map(|text| text.parse::<ProxyNetwork>().unwrap())
            .collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let found = proxies.client(peer.parse().unwrap(), &map);
        assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {headers:?}");
    }

    #[test]
    fn last_untrusted_address_is_the_client() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1");
        check("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.1:1234")], "192.0.2.1");
        check("2001:db8::1", &[("x-forwarded-for", "2001:db8::7")], "2001:db8::7");
        // Only addresses that trusted proxies have appended count.
        check("192.0.2.9", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.9");
        check("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 192.0.2.1, 10.2.3.4")], "192.0.2.1");
        check(
            "10.0.0.1",
            &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.1")],
            "192.0.2.1",
        );
        check("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, unknown")], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, , 10.2.3.4")], "10.2.3.4");
        check("10.0.0.1", &[("forwarded", "for=192.0.2.1;proto=http, For=10.0.0.2")], "192.0.2.1");
        check(
            "10.0.0.1",
            &[("forwarded", r#"proto=https; for="[2001:db8::7]:4711""#)],
            "2001:db8::7",
        );
        check("10.0.0.1", &[("forwarded", "for=_hidden")], "10.0.0.1");
        check("10.0.0.1", &[("forwarded", "proto=https")], "10.0.0.1");
        check(
            "10.0.0.1",
            &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "192.0.2.1")],
            "10.0.0.1",
        );
        check(
            "10.0.0.1",
            &[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")],
            "192.0.2.1",
        );
    }

    #[test]
    fn networks_are_parsed() {
        for text in ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::1"] {
            assert!(text.parse::<ProxyNetwork>().is_ok(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "proxy", "10.0.0"] {
            assert!(text.parse::<ProxyNetwork>().is_err(), "{text}");
        }
    }
}
