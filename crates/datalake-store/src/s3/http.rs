//! The HTTP client under the SDK's: which certificates it trusts, and which proxies it uses.

use std::{fs, path::Path, time::Duration};

use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use url::Url;

use super::environment::{Environment, invalid, variable};
use crate::{error::StoreError, masking::mask};

/// As many requests as a run has in flight. Connections above that are closed after use instead of being kept.
const IDLE_CONNECTIONS_MAX: usize = 128;

/// Below the 20 s and more after which servers and load balancers close an idle connection: better ours than theirs, which a request
/// in that moment would run into.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// A client for all requests, those for credentials among them.
pub(super) fn client(environment: &Environment) -> Result<SharedHttpClient, StoreError> {
    check_proxies()?;
    let trusted = trusted(environment)?;
    let context = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|error| invalid(format!("the trusted certificates cannot be used: {error}")))?;
    // The builder of clients has no proxies; that of connectors has. A connector is made once for each set of timeouts.
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .proxy_config(ProxyConfig::from_env());
        connector
            .set_connector_settings(settings.cloned())
            .set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build()
    }))
}

/// As the AWS CLI: `AWS_CA_BUNDLE`, or the profile's `ca_bundle`, instead of the system's certificates. `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// name those of the system.
fn trusted(environment: &Environment) -> Result<TrustStore, StoreError> {
    let bundle = variable("AWS_CA_BUNDLE").map(|file| ("AWS_CA_BUNDLE".to_owned(), file));
    let bundle = bundle.or_else(|| {
        let file = environment.get("ca_bundle")?;
        Some((
            format!("`ca_bundle` of the profile `{}`", environment.profile_name()),
            file.to_owned(),
        ))
    });
    if let Some((name, file)) = bundle {
        return match read_certificates(&name, &file)? {
            (_, Some(unusable)) => Err(unusable),
            (pem, None) => Ok(TrustStore::empty().with_pem_certificate(pem)),
        };
    }
    if let Some(file) = variable("SSL_CERT_FILE") {
        // Bundles of a system have old certificates that no TLS library accepts.
        read_certificates("SSL_CERT_FILE", &file)?;
    }
    if let Some(folders) = variable("SSL_CERT_DIR") {
        let mut folders = std::env::split_paths(&folders);
        if let Some(missing) = folders.find(|folder| !folder.is_dir()) {
            return Err(invalid(format!(
                "SSL_CERT_DIR names `{}`, which is not a folder; correct or unset it",
                missing.display()
            )));
        }
    }
    Ok(TrustStore::default())
}

/// The bytes of a file with at least one certificate that can be used, and why the first of the others cannot.
fn read_certificates(name: &str, file: &str) -> Result<(Vec<u8>, Option<StoreError>), StoreError> {
    let refused = |reason: String| {
        invalid(format!(
            "{name} names `{file}`, {reason}; it must be a file of PEM certificates (-----BEGIN CERTIFICATE-----)"
        ))
    };
    if Path::new(file).is_dir() {
        return Err(refused("which is a folder".to_owned()));
    }
    let pem = fs::read(file).map_err(|error| refused(format!("which cannot be read: {error}")))?;
    let (mut store, mut unusable) = (RootCertStore::empty(), None);
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refused(format!("which is damaged: {error}")))?;
        if let Err(error) = store.add(certificate) {
            unusable.get_or_insert_with(|| refused(format!("which holds an invalid certificate: {error}")));
        }
    }
    match (store.is_empty(), unusable) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(refused("which holds no certificate".to_owned())),
        (false, unusable) => Ok((pem, unusable)),
    }
}

/// A proxy that cannot be used would be left out without a word.
fn check_proxies() -> Result<(), StoreError> {
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let Some(value) = variable(name) else { continue };
        let refused = |reason: &str| {
            invalid(format!(
                "{name} is `{}`: {reason}; a proxy is like http://proxy.example.com:3128",
                mask(&value)
            ))
        };
        // The scheme may be left out.
        let text = if value.contains("://") {
            value.clone()
        } else {
            format!("http://{value}")
        };
        let url = Url::parse(&text).map_err(|_| refused("this is not a URL"))?;
        if url.scheme().starts_with("socks") {
            return Err(refused("SOCKS proxies are not supported"));
        }
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("the scheme must be http or https"));
        }
        if !value.is_ascii() {
            return Err(refused("the address contains a character that is not ASCII"));
        }
    }
    Ok(())
}
