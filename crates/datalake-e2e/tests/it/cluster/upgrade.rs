//! `helm upgrade` and restarts while clients read and wait.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::release::{Release, TIMEOUT, environment, wait_until};

/// Concurrent clients of each kind: with a connection for each request, with one for a hundred, and waiting.
const READERS: usize = 3;

/// The number of rolling restarts after the upgrade, which take about ten seconds each.
const RESTARTS: &str = "DATALAKE_TEST_RESTARTS";

#[test]
fn upgrade_keeps_the_token_and_drops_no_request() {
    let restarts = environment(RESTARTS).map_or(2, |number| number.parse::<usize>().expect(RESTARTS));
    // The nodes and the API server have to connect, which are not pods of the namespace.
    let from_everywhere = "networkPolicy.ingressFrom[0].ipBlock.cidr=0.0.0.0/0";
    let release = Release::with_samples("upgrade", &["api.service.type=NodePort", from_everywhere]);
    let token = release.secret("datalake-api-token", "token");
    let replaced = release.pods("api");
    // Port forwarding would use one pod. kube-proxy chooses one for each connection.
    let address = node_port(&release);

    let is_over = AtomicBool::new(false);
    let keep_alive = || {
        let mut statuses = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            statuses.extend(statuses_of_one_connection(&address));
        }
        statuses
    };
    let wait = || {
        let mut statuses = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let address = address.replace("min_age", "min_version=1000&wait=20s");
            statuses.extend(statuses_by_curl(&["--max-time", "40", &address]));
        }
        statuses
    };
    let read = || {
        let mut statuses = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            statuses.extend(statuses_by_curl(&["--max-time", "30", &address]));
        }
        statuses
    };
    let (before, separate, kept, waited) = thread::scope(|scope| {
        let _stop_on_panic = OnDrop(&is_over);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        let keepers: Vec<_> = (0..READERS).map(|_| scope.spawn(keep_alive)).collect();
        let waiting: Vec<_> = (0..READERS).map(|_| scope.spawn(wait)).collect();
        release.upgrade(&["api.resources.limits.memory=640Mi", "processor.resources.limits.memory=640Mi"]);
        for _ in 0..restarts {
            release.kubectl(&["rollout", "restart", "deployment/datalake-api"]);
            release.kubectl(&["rollout", "status", "deployment/datalake-api", "--timeout", "120s"]);
        }
        let before = wait_until("the old pods are deleted", TIMEOUT, || {
            let pods = release.get(&["pods", "--selector", "app.kubernetes.io/component=api"]);
            let count = pods["items"].as_array().unwrap().len();
            (count == replaced.len()).then_some(count).ok_or(pods.to_string())
        });
        is_over.store(true, Ordering::Relaxed);
        let separate: Vec<_> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        let kept: Vec<_> = keepers.into_iter().flat_map(|keeper| keeper.join().unwrap()).collect();
        let waited: Vec<_> = waiting.into_iter().flat_map(|waiting| waiting.join().unwrap()).collect();
        (before, separate, kept, waited)
    });
    let present = release.pods("api");
    assert_eq!(before, present.len());
    assert!(present.iter().all(|pod| !replaced.contains(pod)), "{replaced:?} → {present:?}");
    for (statuses, least) in [(separate, 100), (kept, 500)] {
        let failed: Vec<_> = statuses.iter().filter(|status| *status != "200").collect();
        assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), statuses.len());
        assert!(statuses.len() > least, "{} requests are no load", statuses.len());
    }
    // The version never exists: requests time out, or the pod shuts down and sends Retry-After. No connection is interrupted.
    let cut: Vec<_> = waited.iter().filter(|status| !["409", "503"].contains(&status.as_str())).collect();
    assert!(cut.is_empty(), "{cut:?} of {waited:?}");
    assert!(waited.iter().any(|status| status == "503"), "{waited:?}");

    assert_eq!(release.secret("datalake-api-token", "token"), token);
    release.wait_for_jobs();
    let run = release.post(&release.api(), &["--header", "Prefer: wait=60"]);
    assert_eq!((run.status, &run.body["state"]), (202, &"succeeded".into()), "{run:?}");
    let job = release.get(&["job", run.body["id"].as_str().unwrap()]);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "640Mi", "the policy follows the values");
}

/// The URL of the Service on a node: with a loopback address if the test runs on the node, otherwise with its IP address.
fn node_port(release: &Release) -> String {
    let service = release.get(&["service", "datalake-api"]);
    let port = &service["spec"]["ports"][0]["nodePort"];
    let internal = "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}";
    let internal = release.kubectl(&["get", "nodes", "--output", internal]);
    let addresses = ["127.0.0.1", &internal].map(|host| format!("http://{host}:{port}/data?min_age"));
    let reached = addresses
        .iter()
        .find(|address| statuses_by_curl(&["--max-time", "5", address]) == ["200"]);
    reached.unwrap_or_else(|| panic!("no node is reachable: {addresses:?}")).clone()
}

/// The statuses of 100 requests over one connection, 50 per second.
fn statuses_of_one_connection(address: &str) -> Vec<String> {
    // The fragment is not sent; curl expands it to 100 URLs.
    statuses_by_curl(&["--rate", "50/s", "--max-time", "30", &format!("{address}#[1-100]")])
}

fn statuses_by_curl(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}\n"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    let statuses = String::from_utf8_lossy(&output.stdout);
    statuses.lines().map(str::to_owned).collect()
}

/// Sets the flag when it is dropped, also by a panic.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
