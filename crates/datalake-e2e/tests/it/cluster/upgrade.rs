//! `helm upgrade` and restarts while people read and wait.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{
    forward::Forward,
    release::{PATIENCE, Release, environment, until},
};

/// Readers at once.
const READERS: usize = 3;

/// How many rolling restarts follow the upgrade; some ten seconds each.
const RESTARTS: &str = "DATALAKE_TEST_RESTARTS";

#[test]
fn an_upgrade_keeps_the_token_and_drops_no_request() {
    let restarts = environment(RESTARTS).map_or(2, |number| number.parse::<usize>().expect(RESTARTS));
    // The nodes and the API server connect, which are no pods of the namespace.
    let from_everywhere = "networkPolicy.ingressFrom[0].ipBlock.cidr=0.0.0.0/0";
    let release = Release::with_samples("upgrade", &["api.service.type=NodePort", from_everywhere]);
    let token = release.secret("datalake-api-token", "token");
    let replaced = release.pods("api");
    // A forwarded port would lead to one pod; the API server's proxy takes the Service's endpoints in turn.
    let proxy = Forward::start(release.kubectl_command(&["proxy", "--port", "0"]));
    let path = format!(
        "/api/v1/namespaces/{}/services/datalake-api:http/proxy/data?min_age",
        release.namespace
    );

    // Other clients hold on to their connections, which lead by kube-proxy to one pod.
    let direct = node_port(&release);

    let is_over = AtomicBool::new(false);
    let keep_alive = || {
        let mut statuses = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            statuses.extend(statuses_of_one_connection(&direct));
        }
        statuses
    };
    let wait = || {
        let mut statuses = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let address = direct.replace("min_age", "min_version=1000&wait=20s");
            statuses.extend(statuses_by_curl(&["--max-time", "40", &address]));
        }
        statuses
    };
    let read = || {
        let mut answers = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            answers.push(proxy.ask(&path, &[]));
        }
        answers
    };
    let (before, answers, statuses, waited) = thread::scope(|scope| {
        let _ends_also_by_a_panic = OnDrop(&is_over);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        let keepers: Vec<_> = (0..READERS).map(|_| scope.spawn(keep_alive)).collect();
        let waiting: Vec<_> = (0..READERS).map(|_| scope.spawn(wait)).collect();
        release.upgrade(&["api.resources.limits.memory=640Mi", "processor.resources.limits.memory=640Mi"]);
        for _ in 0..restarts {
            release.kubectl(&["rollout", "restart", "deployment/datalake-api"]);
            release.kubectl(&["rollout", "status", "deployment/datalake-api", "--timeout", "120s"]);
        }
        let before = until("the former pods are gone", PATIENCE, || {
            let pods = release.get(&["pods", "--selector", "app.kubernetes.io/component=api"]);
            let count = pods["items"].as_array().unwrap().len();
            (count == replaced.len()).then_some(count).ok_or(pods.to_string())
        });
        is_over.store(true, Ordering::Relaxed);
        let answers: Vec<_> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        let statuses: Vec<_> = keepers.into_iter().flat_map(|keeper| keeper.join().unwrap()).collect();
        let waited: Vec<_> = waiting.into_iter().flat_map(|waiting| waiting.join().unwrap()).collect();
        (before, answers, statuses, waited)
    });
    let present = release.pods("api");
    assert_eq!(before, present.len());
    assert!(present.iter().all(|pod| !replaced.contains(pod)), "{replaced:?} → {present:?}");
    let failed: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), answers.len());
    assert!(answers.len() > 100, "{} requests are no load", answers.len());
    let failed: Vec<_> = statuses.iter().filter(|status| *status != "200").collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), statuses.len());
    assert!(statuses.len() > 500, "{} requests are no load", statuses.len());
    // The version does not come: in vain, or until the pod ends, which says when to ask again. Nobody is cut.
    let cut: Vec<_> = waited.iter().filter(|status| !["409", "503"].contains(&status.as_str())).collect();
    assert!(cut.is_empty(), "{cut:?} of {waited:?}");
    assert!(waited.iter().any(|status| status == "503"), "{waited:?}");

    assert_eq!(release.secret("datalake-api-token", "token"), token);
    release.settle();
    let run = release.post(&release.api(), &["--header", "Prefer: wait=60"]);
    assert_eq!((run.status, &run.body["state"]), (202, &"succeeded".into()), "{run:?}");
    let job = release.get(&["job", run.body["id"].as_str().unwrap()]);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "640Mi", "the policy follows the values");
}

/// Where the Service answers on a node: by the loopback where the test runs on it, else by its address.
fn node_port(release: &Release) -> String {
    let service = release.get(&["service", "datalake-api"]);
    let port = &service["spec"]["ports"][0]["nodePort"];
    let internal = "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}";
    let internal = release.kubectl(&["get", "nodes", "--output", internal]);
    let addresses = ["127.0.0.1", &internal].map(|host| format!("http://{host}:{port}/data?min_age"));
    let reached = addresses
        .iter()
        .find(|address| statuses_by_curl(&["--max-time", "5", address]) == ["200"]);
    reached
        .unwrap_or_else(|| panic!("no node is reached from here: {addresses:?}"))
        .clone()
}

/// The statuses of a hundred requests over one connection, 50 a second.
fn statuses_of_one_connection(address: &str) -> Vec<String> {
    // The fragment is not sent; it makes a hundred addresses out of one.
    statuses_by_curl(&["--rate", "50/s", "--max-time", "30", &format!("{address}#[1-100]")])
}

fn statuses_by_curl(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}\n"])
        .args(arguments)
        .output()
        .expect("there is curl");
    let statuses = String::from_utf8_lossy(&output.stdout);
    statuses.lines().map(str::to_owned).collect()
}

/// Says that it is over, however.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
