//! `helm upgrade` while people read.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{
    forward::Forward,
    release::{PATIENCE, Release, until},
};

/// Readers at once.
const READERS: usize = 3;

#[test]
fn an_upgrade_keeps_the_token_and_drops_no_request() {
    let release = Release::with_samples("upgrade", &[]);
    let token = release.secret("datalake-api-token", "token");
    let replaced = release.pods("api");
    // A forwarded port would lead to one pod; the API server's proxy takes the Service's endpoints in turn.
    let proxy = Forward::start(release.kubectl_command(&["proxy", "--port", "0"]));
    let path = format!(
        "/api/v1/namespaces/{}/services/datalake-api:http/proxy/data?min_age",
        release.namespace
    );

    let is_over = AtomicBool::new(false);
    let read = || {
        let mut answers = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            answers.push(proxy.ask(&path, &[]));
        }
        answers
    };
    let (before, answers) = thread::scope(|scope| {
        let _ends_also_by_a_panic = OnDrop(&is_over);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        release.upgrade(&["api.resources.limits.memory=640Mi", "processor.resources.limits.memory=640Mi"]);
        let before = until("the former pods are gone", PATIENCE, || {
            let pods = release.get(&["pods", "--selector", "app.kubernetes.io/component=api"]);
            let count = pods["items"].as_array().unwrap().len();
            (count == replaced.len()).then_some(count).ok_or(pods.to_string())
        });
        is_over.store(true, Ordering::Relaxed);
        let answers: Vec<_> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        (before, answers)
    });
    let present = release.pods("api");
    assert_eq!(before, present.len());
    assert!(present.iter().all(|pod| !replaced.contains(pod)), "{replaced:?} → {present:?}");
    let failed: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), answers.len());
    assert!(answers.len() > 100, "{} requests are no load", answers.len());

    assert_eq!(release.secret("datalake-api-token", "token"), token);
    release.settle();
    let run = release.post(&release.api(), &["--header", "Prefer: wait=60"]);
    assert_eq!((run.status, &run.body["state"]), (202, &"succeeded".into()), "{run:?}");
    let job = release.get(&["job", run.body["id"].as_str().unwrap()]);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "640Mi", "the policy follows the values");
}

/// Says that it is over, however.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
