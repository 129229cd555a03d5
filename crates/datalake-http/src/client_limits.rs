//! The clients of the server, and what each of them uses of every limit. One client, with any number of connections, cannot use up a limit.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZero,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    thread,
};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, request::Parts},
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A client with more connections waits for a CPU slot before each request. Browsers open 6 connections, connection pools of HTTP clients about 10.
const CONNECTIONS_WITHOUT_CPU_SLOT_MAX: u32 = 32;

/// A resource that is limited per client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Open connections.
    Connections,
    /// Requests in flight.
    Requests,
    /// Requests that wait for a version or for the end of a run.
    Waits,
    /// Requests that read the store.
    StoreReads,
    /// Event streams that follow a run.
    Followers,
    /// KiB of responses in memory.
    ResponseKib,
}

/// The clients that use a resource now. Clones share them.
#[derive(Clone, Debug)]
pub struct Clients {
    by_address: Arc<Mutex<HashMap<IpAddr, Weak<Client>>>>,
    /// How many requests of a client with many connections may be ready to run at the same time: one per CPU.
    cpu_slots: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            by_address: Arc::default(),
            cpu_slots: thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

/// A client: a host, identified by its IPv4 address or by its IPv6 network of 64 bits.
#[derive(Debug)]
pub struct Client {
    address: IpAddr,
    clients: Clients,
    usage: Usage,
    cpu_slots: Semaphore,
}

/// How much of each resource a client uses.
#[derive(Debug, Default)]
struct Usage {
    connections: AtomicU32,
    requests: AtomicU32,
    waits: AtomicU32,
    store_reads: AtomicU32,
    followers: AtomicU32,
    response_kib: AtomicU32,
}

/// A limit of the server on a resource, with a lower limit for each client. Clones share it.
#[derive(Clone, Debug)]
pub struct ResourceLimit {
    resource: Resource,
    semaphore: Arc<Semaphore>,
    per_client_max: u32,
}

/// A client's use of a [`ResourceLimit`]; dropping it releases the use.
#[derive(Debug)]
pub struct Permit {
    _client_permit: ClientPermit,
    _server_permit: OwnedSemaphorePermit,
}

/// A client's use of a resource that has no limit for the whole server; dropping it releases the use.
#[derive(Debug)]
pub struct ClientPermit {
    client: Arc<Client>,
    resource: Resource,
    count: u32,
}

impl Clients {
    /// The client with this address.
    pub fn client(&self, address: IpAddr) -> Arc<Client> {
        let address = client_address(address);
        let mut clients = self.by_address.lock();
        if let Some(client) = clients.get(&address).and_then(Weak::upgrade) {
            return client;
        }
        let client = Arc::new(Client {
            address,
            clients: self.clone(),
            usage: Usage::default(),
            cpu_slots: Semaphore::new(self.cpu_slots),
        });
        clients.insert(address, Arc::downgrade(&client));
        client
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.clients.by_address.lock();
        // Another thread may have inserted a new client for the same address.
        if clients.get(&self.address).is_some_and(|client| client.strong_count() == 0) {
            clients.remove(&self.address);
        }
    }
}

impl Client {
    /// Acquires `count` units of the resource. Returns `None` if the client would then use more than `max`.
    pub fn try_acquire(self: &Arc<Self>, resource: Resource, count: u32, max: u32) -> Option<ClientPermit> {
        let add = |used: u32| used.checked_add(count).filter(|used| *used <= max);
        let usage = self.usage(resource);
        usage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(ClientPermit {
            client: Arc::clone(self),
            resource,
            count,
        })
    }

    /// Runs `handler`. If the client has many connections, or connects through a proxy, `handler` is first polled in a CPU slot of the client.
    ///
    /// The tasks of all connections share the scheduler's queue. Hundreds of ready tasks of one client would delay those of other clients, so
    /// only as many of them are ready as there are CPU slots.
    pub async fn run_in_cpu_slot<T>(&self, mut handler: Pin<&mut impl Future<Output = T>>) -> T {
        let connections = self.usage.connections.load(Ordering::Relaxed);
        // A client behind a proxy has no connections of its own.
        if (1..=CONNECTIONS_WITHOUT_CPU_SLOT_MAX).contains(&connections) {
            return handler.await;
        }
        let cpu_slot = self.cpu_slots.acquire().await;
        yield_to_ready_tasks().await;
        let first_poll = poll_fn(|context| Poll::Ready(handler.as_mut().poll(context))).await;
        // A handler that waits for something else uses no CPU.
        drop(cpu_slot);
        match first_poll {
            Poll::Ready(output) => output,
            Poll::Pending => handler.await,
        }
    }

    fn usage(&self, resource: Resource) -> &AtomicU32 {
        match resource {
            Resource::Connections => &self.usage.connections,
            Resource::Requests => &self.usage.requests,
            Resource::Waits => &self.usage.waits,
            Resource::StoreReads => &self.usage.store_reads,
            Resource::Followers => &self.usage.followers,
            Resource::ResponseKib => &self.usage.response_kib,
        }
    }
}

/// Lets the tasks run that are ready now. `tokio::task::yield_now` also lets those run that become ready at the next poll of the I/O driver.
pub async fn yield_to_ready_tasks() {
    let mut is_queued = false;
    poll_fn(|context| {
        if mem::replace(&mut is_queued, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        self.client.usage(self.resource).fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl ResourceLimit {
    /// A limit of `max` units for all clients together and `per_client_max` for each of them.
    pub fn new(resource: Resource, max: u32, per_client_max: u32) -> Self {
        Self {
            resource,
            semaphore: Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS))),
            per_client_max,
        }
    }

    /// Acquires `count` units for the client. Returns `None` if that exceeds the limit of the client or of all clients together.
    pub fn try_acquire(&self, client: &Arc<Client>, count: u32) -> Option<Permit> {
        let client_permit = client.try_acquire(self.resource, count, self.per_client_max)?;
        let server_permit = Arc::clone(&self.semaphore).try_acquire_many_owned(count).ok()?;
        Some(Permit {
            _client_permit: client_permit,
            _server_permit: server_permit,
        })
    }

    /// Units that no client uses.
    pub fn available(&self) -> usize {
        self.semaphore.available_permits()
    }
}

/// The client of a request, which the server stores in the request's extensions. A request that came through no connection, as in tests, has
/// a client of its own.
#[derive(Clone, Debug)]
pub struct RequestClient(pub Arc<Client>);

impl RequestClient {
    /// The client in the extensions of a request.
    pub fn from_extensions(extensions: &Extensions) -> Self {
        let known = extensions.get::<Self>().cloned();
        known.unwrap_or_else(|| {
            let client = Clients::default().client(Ipv4Addr::LOCALHOST.into());
            client.usage.connections.store(1, Ordering::Relaxed);
            Self(client)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

/// The address that identifies a client. A site with IPv6 has at least a network of 64 bits, and may use all of its addresses (RFC 6177).
fn client_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests;
