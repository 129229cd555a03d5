//! Attributes requests to clients: to the peer of the connection, or to the client that a trusted proxy names.

use std::{net::IpAddr, sync::Arc};

use axum::http::HeaderMap;

use crate::{
    client_limits::{Client, Clients, RequestClient},
    trusted_proxies::TrustedProxies,
};

/// Creates the peers of a listener's connections. Clones share the clients.
#[derive(Clone, Debug)]
pub(crate) struct ClientResolver {
    clients: Clients,
    trusted_proxies: Arc<TrustedProxies>,
}

/// The peer of a connection: a client, or a proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    resolver: ClientResolver,
    address: IpAddr,
    client: Arc<Client>,
}

impl ClientResolver {
    pub(crate) fn new(clients: Clients, trusted_proxies: TrustedProxies) -> Self {
        Self {
            clients,
            trusted_proxies: Arc::new(trusted_proxies),
        }
    }

    /// The peer with this address.
    pub(crate) fn peer(&self, address: IpAddr) -> Peer {
        Peer {
            resolver: self.clone(),
            address,
            client: self.clients.client(address),
        }
    }
}

impl Peer {
    /// The client with the address of the peer.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The client of a request with these headers.
    pub(crate) fn request_client(&self, headers: &HeaderMap) -> RequestClient {
        let address = self.resolver.trusted_proxies.client(self.address, headers);
        match address == self.address {
            true => RequestClient(Arc::clone(&self.client)),
            false => RequestClient(self.resolver.clients.client(address)),
        }
    }
}
