//! What each client uses of the limits of the server: one client, with any number of connections, leaves a part of each limit to the others.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZero,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    thread,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A client with more connections takes turns. Browsers open 6, pools of HTTP clients some ten.
const CONNECTIONS_WITHOUT_CPU_SLOT_MAX: u32 = 32;

/// What is limited per client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Open connections.
    Connections,
    /// Requests that are being handled.
    Requests,
    /// Requests that wait for a version or for the end of a run.
    Waits,
    /// Requests that read the store.
    StoreReads,
    /// Responses that follow a run.
    Followers,
    /// KiB of responses in memory.
    ResponseKib,
}

/// The clients that use anything now. Clones share them.
#[derive(Clone, Debug)]
pub struct Clients {
    by_address: Arc<Mutex<HashMap<IpAddr, Weak<Client>>>>,
    /// How many requests of a client with many connections wait for a processor at the same time: one for each processor.
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

/// A client: a host by its IPv4 address or by its IPv6 network.
#[derive(Debug)]
pub struct Client {
    address: IpAddr,
    clients: Clients,
    used: Used,
    cpu_slots: Semaphore,
}

/// How much of each resource a client uses.
#[derive(Debug, Default)]
struct Used {
    connections: AtomicU32,
    requests: AtomicU32,
    waits: AtomicU32,
    store_reads: AtomicU32,
    followers: AtomicU32,
    response_kib: AtomicU32,
}

/// A limit of the server, of which each client may use a part.
#[derive(Clone, Debug)]
pub struct ResourceLimit {
    resource: Resource,
    free: Arc<Semaphore>,
    per_client_max: u32,
}

/// What one client uses of a limit, until this is dropped.
#[derive(Debug)]
pub struct Permit {
    _share: ClientPermit,
    _of_all: OwnedSemaphorePermit,
}

/// What one client uses of a resource, until this is dropped.
#[derive(Debug)]
pub struct ClientPermit {
    client: Arc<Client>,
    resource: Resource,
    count: u32,
}

impl Clients {
    /// The client of this address.
    pub fn client(&self, address: IpAddr) -> Arc<Client> {
        let address = client_address(address);
        let mut clients = self.lock();
        if let Some(client) = clients.get(&address).and_then(Weak::upgrade) {
            return client;
        }
        let client = Arc::new(Client {
            address,
            clients: self.clone(),
            used: Used::default(),
            cpu_slots: Semaphore::new(self.cpu_slots),
        });
        clients.insert(address, Arc::downgrade(&client));
        client
    }

    /// Insertions and removals are single steps: a panic elsewhere leaves the map intact.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Weak<Client>>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.clients.lock();
        // The same host may have come back meanwhile.
        if clients.get(&self.address).is_some_and(|client| client.strong_count() == 0) {
            clients.remove(&self.address);
        }
    }
}

impl Client {
    /// Uses `count` more of the resource; none where the client would use more than `max`.
    pub fn try_acquire(self: &Arc<Self>, max: u32, resource: Resource, count: u32) -> Option<ClientPermit> {
        let add = |used: u32| used.checked_add(count).filter(|used| *used <= max);
        self.used(resource).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(ClientPermit {
            client: Arc::clone(self),
            resource,
            count,
        })
    }

    /// The output of `handled`, which begins in the client's turn.
    ///
    /// Tasks of all connections wait for processors in one queue: those of a client with hundreds of connections would delay those of other clients.
    /// Here only a few of them are in the queue, and the others wait for one another.
    pub async fn run_in_cpu_slot<T>(&self, mut handled: Pin<&mut impl Future<Output = T>>) -> T {
        let connections = self.used.connections.load(Ordering::Relaxed);
        // A client behind a proxy has no connections of its own.
        if (1..=CONNECTIONS_WITHOUT_CPU_SLOT_MAX).contains(&connections) {
            return handled.await;
        }
        let turn = self.cpu_slots.acquire().await;
        yield_to_ready_tasks().await;
        // What waits for something else leaves the turn to the next.
        let first = poll_fn(|context| Poll::Ready(handled.as_mut().poll(context))).await;
        drop(turn);
        match first {
            Poll::Ready(output) => output,
            Poll::Pending => handled.await,
        }
    }

    fn used(&self, resource: Resource) -> &AtomicU32 {
        match resource {
            Resource::Connections => &self.used.connections,
            Resource::Requests => &self.used.requests,
            Resource::Waits => &self.used.waits,
            Resource::StoreReads => &self.used.store_reads,
            Resource::Followers => &self.used.followers,
            Resource::ResponseKib => &self.used.response_kib,
        }
    }
}

/// Lets every task run that is ready now. Unlike `yield_now`, this does not wait for those that become ready meanwhile.
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
        self.client.used(self.resource).fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl ResourceLimit {
    /// All clients together may use `max`, each of them `per_client_max`.
    pub fn new(resource: Resource, max: u32, per_client_max: u32) -> Self {
        Self {
            resource,
            free: Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS))),
            per_client_max,
        }
    }

    /// Takes `count` for the client; none where the client or all clients together would exceed the limit.
    pub fn try_acquire(&self, client: &Arc<Client>, count: u32) -> Option<Permit> {
        let share = client.try_acquire(self.per_client_max, self.resource, count)?;
        let of_all = Arc::clone(&self.free).try_acquire_many_owned(count).ok()?;
        Some(Permit {
            _share: share,
            _of_all: of_all,
        })
    }

    /// What no client uses.
    pub fn available(&self) -> usize {
        self.free.available_permits()
    }
}

/// The client of the request. A request without a connection, which the server makes itself, is a client of its own.
#[derive(Clone, Debug)]
pub struct RequestClient(pub Arc<Client>);

impl RequestClient {
    /// The client among the extensions of a request.
    pub fn from_extensions(extensions: &axum::http::Extensions) -> Self {
        let known = extensions.get::<Self>().cloned();
        known.unwrap_or_else(|| {
            let client = Clients::default().client(Ipv4Addr::LOCALHOST.into());
            client.used.connections.store(1, Ordering::Relaxed);
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

/// A host with IPv6 has a network of 64 bits, whose addresses are all its own (RFC 6177).
fn client_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[test]
    fn each_client_has_its_own_share() {
        let clients = Clients::default();
        let connect = |address: &str| clients.client(address.parse().unwrap()).try_acquire(2, Resource::Connections, 1);
        let first = [connect("10.0.0.1"), connect("::ffff:10.0.0.1")];
        assert!(first.iter().all(Option::is_some) && connect("10.0.0.1").is_none());
        let other = [connect("10.0.0.2"), connect("2001:db8::1"), connect("2001:db8::ffff:1")];
        assert!(other.iter().all(Option::is_some) && connect("2001:db8::2").is_none());
        assert!(connect("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(connect("10.0.0.1").is_some());
        drop(other);
        assert!(clients.lock().is_empty(), "clients that use nothing take no memory");
    }

    #[test]
    fn a_limit_bounds_each_client_and_all_together() {
        let clients = Clients::default();
        let [first, second, third] = [1, 2, 3].map(|host| clients.client(Ipv4Addr::new(10, 0, 0, host).into()));
        let limit = ResourceLimit::new(Resource::ResponseKib, 10, 6);
        let permit = limit.try_acquire(&first, 6).unwrap();
        assert!(limit.try_acquire(&first, 1).is_none(), "it has its share");
        let _second = limit.try_acquire(&second, 4).unwrap();
        assert!(limit.try_acquire(&third, 1).is_none(), "all together have all");
        assert_eq!(limit.available(), 0);
        drop(permit);
        assert!(limit.try_acquire(&third, 6).is_some());
        assert!(limit.try_acquire(&first, 6).is_some());
    }

    #[test]
    fn resources_are_counted_apart() {
        let client = Clients::default().client(Ipv4Addr::LOCALHOST.into());
        let _waits = client.try_acquire(1, Resource::Waits, 1).unwrap();
        assert!(client.try_acquire(1, Resource::Requests, 1).is_some());
    }

    #[tokio::test]
    async fn few_requests_of_a_client_are_handled_at_once_and_waiting_ones_hold_no_turn() {
        let clients = Clients::default();
        let client = clients.client(Ipv4Addr::LOCALHOST.into());
        let waiting: Vec<_> = (0..=clients.cpu_slots)
            .map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move { client.run_in_cpu_slot(pin!(std::future::pending::<()>())).await })
            })
            .collect();
        for _ in 0..10 {
            yield_to_ready_tasks().await;
        }
        assert_eq!(
            client.cpu_slots.available_permits(),
            clients.cpu_slots,
            "requests that wait hold no turn"
        );
        let _all = client
            .cpu_slots
            .acquire_many(u32::try_from(clients.cpu_slots).unwrap())
            .await
            .unwrap();
        let handled = pin!(async { "handled" });
        let mut handled = pin!(client.run_in_cpu_slot(handled));
        assert!(futures_util::poll!(handled.as_mut()).is_pending(), "it waits for its turn");
        let _connection = client.try_acquire(1, Resource::Connections, 1).unwrap();
        assert_eq!(
            client.run_in_cpu_slot(pin!(async { "handled" })).await,
            "handled",
            "few connections take no turns"
        );
        drop(waiting);
    }
}
