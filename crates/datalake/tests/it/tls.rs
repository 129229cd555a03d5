//! An S3 server with a certificate of a private authority, directly and through a proxy.

use std::{
    fs,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    process::csv,
    s3_server::{Conditions, server},
    settings::datalake,
};

/// Long enough for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_mins(1);

struct TlsLake {
    dir: Arc<TempDir>,
    /// The port of the server, on the loopback interface.
    port: u16,
    /// The port of a proxy that connects to the server as `s3.example.test`.
    proxy: u16,
    connections: Arc<AtomicU32>,
    tunnels: Arc<AtomicU32>,
}

impl TlsLake {
    fn new() -> Self {
        let dir = Arc::new(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(certificate(&dir)));
        let service = server(Arc::clone(&dir), ["test-user", "secret"], Conditions { are_obeyed: true });
        let (listening, listens) = mpsc::channel();
        let [connections, tunnels]: [Arc<AtomicU32>; 2] = Default::default();
        let (accepted, tunneled) = (Arc::clone(&connections), Arc::clone(&tunnels));
        let serve = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            listening.send((port, proxy.local_addr().unwrap().port())).unwrap();
            tokio::spawn(async move {
                while let Ok((stream, _)) = proxy.accept().await {
                    tunneled.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(tunnel(stream, port));
                }
            });
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _client_may_be_gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        };
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(serve);
        });
        let (port, proxy) = listens.recv_timeout(TIMEOUT).expect("the server listens");
        Self {
            dir,
            port,
            proxy,
            connections,
            tunnels,
        }
    }

    fn authority(&self) -> String {
        self.dir.path().join("ca.pem").to_str().unwrap().to_owned()
    }
}

fn run(command: &[&str], endpoint: &str, variables: &[(&str, &str)]) -> Output {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "test-user"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        // An empty variable counts as not set.
        ("AWS_CA_BUNDLE", ""),
    ];
    let arguments = [command, &["--lake", "s3://lake", "--s3-endpoint", endpoint]].concat();
    datalake(&arguments, &[&keys, variables].concat()).output().unwrap()
}

/// Creates an authority, writes its certificate to `ca.pem`, and issues the server's certificate.
fn certificate(dir: &TempDir) -> ServerConfig {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
    let authority = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", "s3.example.test"].map(ToOwned::to_owned);
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap()
}

/// Connects the client of a proxy to the server at this port, if it requests the server's name.
async fn tunnel(stream: TcpStream, port: u16) {
    let mut client = BufReader::new(stream);
    let mut first = String::new();
    client.read_line(&mut first).await.unwrap();
    let mut line = String::new();
    while client.read_line(&mut line).await.is_ok_and(|length| length > 2) {
        line.clear();
    }
    if !first.starts_with("CONNECT s3.example.test:443 ") {
        let _client_may_be_gone = client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _either_may_be_gone = copy_bidirectional(&mut client, &mut server).await;
}

#[test]
fn private_authority_is_trusted_if_configured() {
    let lake = TlsLake::new();
    let endpoint = format!("https://127.0.0.1:{}", lake.port);
    let authority = lake.authority();
    for (command, name) in [("init", "AWS_CA_BUNDLE"), ("init", "SSL_CERT_FILE")] {
        let output = run(&[command], &endpoint, &[(name, &authority)]);
        assert!(output.status.success(), "{name}: {output:?}");
    }
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("1.csv"), csv("Ada")).unwrap();
    let bundle = [("AWS_CA_BUNDLE", authority.as_str())];
    let uploaded = run(&["init", "--from", folder.path().to_str().unwrap()], &endpoint, &bundle);
    assert!(uploaded.status.success(), "{uploaded:?}");
    let processed = run(&["process"], &endpoint, &bundle);
    assert!(String::from_utf8_lossy(&processed.stdout).contains("1 added"), "{processed:?}");
}

#[test]
fn authority_is_read_from_the_profile() {
    let lake = TlsLake::new();
    let config = lake.dir.path().join("config");
    fs::write(&config, format!("[default]\nca_bundle = {}\n", lake.authority())).unwrap();
    let endpoint = format!("https://127.0.0.1:{}", lake.port);
    let output = run(&["init"], &endpoint, &[("AWS_CONFIG_FILE", config.to_str().unwrap())]);
    assert!(output.status.success(), "{output:?}");
}

/// Checks that a command fails at the first attempt with these words.
#[track_caller]
fn check_failure(lake: &TlsLake, endpoint: &str, variables: &[(&str, &str)], words: &[&str]) {
    let before = lake.connections.load(Ordering::SeqCst);
    let output = run(&["init"], endpoint, variables);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for word in words.iter().chain(&[endpoint]) {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
    assert_eq!(lake.connections.load(Ordering::SeqCst) - before, 1, "{text}");
}

#[test]
fn untrusted_certificate_is_reported_after_one_attempt() {
    let lake = TlsLake::new();
    let by_number = format!("https://127.0.0.1:{}", lake.port);
    check_failure(
        &lake,
        &by_number,
        &[],
        &["authority that is not trusted", "AWS_CA_BUNDLE or SSL_CERT_FILE"],
    );
    let authority = lake.authority();
    let by_name = format!("https://localhost:{}", lake.port);
    check_failure(
        &lake,
        &by_name,
        &[("AWS_CA_BUNDLE", &authority)],
        &["for another name", "localhost", "127.0.0.1"],
    );
}

#[test]
fn server_without_tls_is_reported() {
    let server = crate::recorder::Recorder::without_buckets();
    let endpoint = format!("https://{}", server.address);
    let variables = [("AWS_ACCESS_KEY_ID", "test-user"), ("AWS_SECRET_ACCESS_KEY", "a")];
    let output = datalake(&["init", "--lake", "s3://lake", "--s3-endpoint", &endpoint], &variables)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("does not speak TLS") && text.contains("http://"), "{text}");
    assert_eq!(server.requests().len(), 1, "{text}");
}

#[test]
fn tls_is_tunneled_through_a_proxy() {
    let lake = TlsLake::new();
    let proxy = format!("http://127.0.0.1:{}", lake.proxy);
    let authority = lake.authority();
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let output = run(
            &["init"],
            "https://s3.example.test",
            &[("AWS_CA_BUNDLE", &authority), (name, &proxy)],
        );
        assert!(output.status.success(), "{name}: {output:?}");
    }
    assert!(lake.tunnels.load(Ordering::SeqCst) >= 3);
    check_failure(
        &lake,
        "https://s3.example.test",
        &[("HTTPS_PROXY", &proxy)],
        &["authority that is not trusted"],
    );
}
