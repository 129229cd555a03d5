//! Tests of the limits per client and for all clients together.

use std::pin::pin;

use super::*;

#[test]
fn each_client_has_its_own_limit() {
    let clients = Clients::default();
    let connect = |address: &str| clients.client(address.parse().unwrap()).try_acquire(Resource::Connections, 1, 2);
    let first = [connect("10.0.0.1"), connect("::ffff:10.0.0.1")];
    assert!(first.iter().all(Option::is_some) && connect("10.0.0.1").is_none());
    let other = [connect("10.0.0.2"), connect("2001:db8::1"), connect("2001:db8::ffff:1")];
    assert!(other.iter().all(Option::is_some) && connect("2001:db8::2").is_none());
    assert!(connect("2001:db8:0:1::1").is_some());
    drop(first);
    assert!(connect("10.0.0.1").is_some());
    drop(other);
    assert!(clients.by_address.lock().is_empty(), "clients that use nothing take no memory");
}

#[test]
fn limit_applies_to_each_client_and_to_all_together() {
    let clients = Clients::default();
    let [first, second, third] = [1, 2, 3].map(|host| clients.client(Ipv4Addr::new(10, 0, 0, host).into()));
    let limit = ResourceLimit::new(Resource::ResponseKib, 10, 6);
    let permit = limit.try_acquire(&first, 6).unwrap();
    assert!(limit.try_acquire(&first, 1).is_none(), "the first client is at its limit");
    let _second = limit.try_acquire(&second, 4).unwrap();
    assert!(limit.try_acquire(&third, 1).is_none(), "the server is at its limit");
    assert_eq!(limit.available(), 0);
    drop(permit);
    assert!(limit.try_acquire(&third, 6).is_some());
    assert!(limit.try_acquire(&first, 6).is_some());
}

#[test]
fn resources_are_counted_separately() {
    let client = Clients::default().client(Ipv4Addr::LOCALHOST.into());
    let _waits = client.try_acquire(Resource::Waits, 1, 1).unwrap();
    assert!(client.try_acquire(Resource::Requests, 1, 1).is_some());
}

#[tokio::test]
async fn cpu_slots_bound_ready_requests_and_are_released_by_waiting_ones() {
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
        "waiting requests use no slot"
    );
    let all = u32::try_from(clients.cpu_slots).unwrap();
    let _all = client.cpu_slots.acquire_many(all).await.unwrap();
    let handler = pin!(async { "handled" });
    let mut handled = pin!(client.run_in_cpu_slot(handler));
    assert!(futures_util::poll!(handled.as_mut()).is_pending(), "there is no free slot");
    let _connection = client.try_acquire(Resource::Connections, 1, 1).unwrap();
    assert_eq!(
        client.run_in_cpu_slot(pin!(async { "handled" })).await,
        "handled",
        "a client with few connections needs no slot"
    );
    drop(waiting);
}
