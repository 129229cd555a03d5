//! TLS failures for which retrying will not help.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// The failure of a handshake, unless a retry may succeed. None if the connection was closed.
pub(super) fn failure<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    std::iter::successors(Some(error), |&error| cause_of(error))
        .filter_map(|cause| cause.downcast_ref::<TlsError>()).find(|error| {
        matches!(
            error,
            TlsError::InvalidCertificate(_)
                | TlsError::InvalidMessage(_)
                | TlsError::PeerIncompatible(_)
                | TlsError::NoCertificatesPresented
                | TlsError::UnsupportedNameType
        ) || matches!(error, TlsError::AlertReceived(alert) if !matches!(alert, AlertDescription::InternalError | AlertDescription::UserCanceled | AlertDescription::CloseNotify))
    })
}

fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        // The source of an `io::Error` is that of its inner error, which would be skipped.
        Some(error) => error.get_ref().map(|inner| -> &(dyn Error + 'static) { inner }),
        None => error.source(),
    }
}

/// The cause and the remedy of a failed handshake.
pub(super) fn reason(error: &TlsError) -> String {
    let (cause, remedy) = match error {
        TlsError::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => (
                "the server's certificate is issued by an authority that is not trusted".to_owned(),
                "name the file with the authority's certificate in AWS_CA_BUNDLE or SSL_CERT_FILE",
            ),
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => (
                format!("the server's certificate is not valid now ({certificate})"),
                "renew it, or set this machine's clock",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                format!("the server's certificate is for another name ({certificate})"),
                "use an endpoint with a name that the certificate lists",
            ),
            certificate => (
                format!("the server's certificate is not accepted ({certificate})"),
                "install a valid server certificate there",
            ),
        },
        TlsError::InvalidMessage(_) => (
            format!("the server does not speak TLS at this address ({error})"),
            "write http:// for the endpoint or the proxy, or use the port for HTTPS",
        ),
        error => (
            format!("the TLS handshake with the server failed ({error})"),
            "the server has to accept TLS 1.2 or 1.3 without a client certificate",
        ),
    };
    format!("{cause}; {remedy}")
}
