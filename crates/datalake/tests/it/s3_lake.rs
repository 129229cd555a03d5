//! A lake on an S3 server that a test can make wait before it handles a request.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    process::{csv, datalake},
    s3_server::{Conditions, path_of, server},
};

/// Long enough for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_mins(1);

const BUCKET: &str = "lake";
const USER: &str = "test-user";
const PASSWORD: &str = "test-secret";

/// The next request that the server suspends.
struct Awaited {
    method: &'static str,
    path: String,
    arrived: mpsc::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// A request that the server suspends when it arrives.
pub(crate) struct SuspendedRequest {
    arrived: mpsc::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl SuspendedRequest {
    /// Waits until the request arrives.
    pub(crate) fn wait(&self) {
        self.arrived.recv_timeout(TIMEOUT).expect("the request arrives");
    }

    /// Lets the server handle the request.
    pub(crate) fn release(self) {
        let _client_may_be_gone = self.release.send(());
    }
}

/// A server with an empty lake.
pub(crate) struct S3Lake {
    root: Arc<TempDir>,
    endpoint: String,
    awaited: Arc<Mutex<Option<Awaited>>>,
}

impl S3Lake {
    pub(crate) fn new(conditions: Conditions) -> Self {
        let root = Arc::new(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        let service = server(Arc::clone(&root), [USER, PASSWORD], conditions);
        let awaited: Arc<Mutex<Option<Awaited>>> = Arc::default();
        let (listening, listens) = mpsc::channel();
        let gate = Arc::clone(&awaited);
        let serve = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listening.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (service, gate) = (service.clone(), Arc::clone(&gate));
                let handler = service_fn(move |request: Request<Incoming>| {
                    let (service, gate) = (service.clone(), Arc::clone(&gate));
                    async move {
                        let is_awaited =
                            |awaited: &mut Awaited| request.method().as_str() == awaited.method && request.uri().path() == awaited.path;
                        let awaited = gate.lock().unwrap().take_if(is_awaited);
                        if let Some(awaited) = awaited {
                            let _test_may_have_failed = awaited.arrived.send(());
                            let _test_may_have_failed = awaited.released.await;
                        }
                        hyper::service::Service::call(&service, request).await
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), handler));
            }
        };
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(serve);
        });
        let address = listens.recv_timeout(TIMEOUT).expect("the server listens");
        let lake = Self {
            root,
            endpoint: format!("http://{address}"),
            awaited,
        };
        let created = lake.command("init").status().unwrap();
        assert!(created.success(), "the bucket is created");
        lake
    }

    /// A command for the lake.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = datalake();
        command
            .args([name, "--lake", &format!("s3://{BUCKET}"), "--s3-endpoint", &self.endpoint])
            .env("AWS_ACCESS_KEY_ID", USER)
            .env("AWS_SECRET_ACCESS_KEY", PASSWORD);
        command
    }

    /// Uploads CSVs by user and first name.
    pub(crate) fn put(&self, users: &[(&str, &str)]) {
        let folder = TempDir::new().unwrap();
        for (user_id, first_name) in users {
            fs::write(folder.path().join(format!("{user_id}.csv")), csv(first_name)).unwrap();
        }
        let uploaded = self.command("init").arg("--from").arg(folder.path()).output().unwrap();
        assert!(uploaded.status.success(), "{uploaded:?}");
    }

    /// Suspends the next request with this method for this key.
    pub(crate) fn suspend(&self, method: &'static str, key: &str) -> SuspendedRequest {
        let (arrived, arrives) = mpsc::channel();
        let (release, released) = oneshot::channel();
        *self.awaited.lock().unwrap() = Some(Awaited {
            method,
            path: format!("/{BUCKET}/{key}"),
            arrived,
            released,
        });
        SuspendedRequest { arrived: arrives, release }
    }

    /// An object of the lake, by its key.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let root: &Path = self.root.path();
        fs::read_to_string(path_of(root, BUCKET, key)).ok()
    }
}
