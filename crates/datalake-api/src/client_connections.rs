//! How many connections each client has: one client, with any number of them, must leave room for others and for probes.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The connections of every client that has any. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct ClientConnections {
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
    max: u32,
}

/// A connection of a client, until it ends.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    of: ClientConnections,
    client: IpAddr,
}

impl ClientConnections {
    /// At most so many for each client.
    pub(crate) fn new(max: u32) -> Self {
        Self {
            counts: Arc::default(),
            max,
        }
    }

    /// One more connection from this address; none where the client has as many as it may.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<ClientConnection> {
        let client = client(address);
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(ClientConnection { of: self.clone(), client })
    }

    /// What the lock guards is changed in single steps, so a panic elsewhere leaves it whole.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// The client that an address belongs to. A host with IPv6 has a network of 64 bits, whose addresses are all its own.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_and_others_theirs() {
        let connections = ClientConnections::new(2);
        let enter = |address: &str| connections.enter(address.parse().unwrap());
        let first = [enter("10.0.0.1"), enter("::ffff:10.0.0.1")];
        assert!(first.iter().all(Option::is_some) && enter("10.0.0.1").is_none());
        let other = [enter("10.0.0.2"), enter("2001:db8::1"), enter("2001:db8::ffff:1")];
        assert!(other.iter().all(Option::is_some) && enter("2001:db8::2").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(enter("10.0.0.1").is_some());
        drop(other);
        assert!(connections.counts().is_empty(), "clients without connections take no memory");
    }
}
