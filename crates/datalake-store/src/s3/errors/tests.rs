//! Tests of the classification of credentials errors.

use super::*;

#[track_caller]
fn check(error: CredentialsError, word: Option<&str>) {
    let error = SdkError::<aws_sdk_s3::Error>::dispatch_failure(ConnectorError::other(error.into(), None));
    let reason = missing_credentials(&error).map(|denial| match denial {
        Denial::OfRequest(reason) | Denial::OfAll(reason) => reason,
    });
    assert_eq!(reason.is_some(), word.is_some(), "{reason:?}");
    assert!(
        reason.as_ref().zip(word).is_none_or(|(reason, word)| reason.contains(word)),
        "{reason:?}"
    );
}

#[test]
fn missing_credentials_are_distinguished_from_network_failures() {
    check(CredentialsError::not_loaded("none anywhere"), Some("there are no credentials"));
    check(CredentialsError::invalid_configuration("no such profile"), Some("check them"));
    check(
        CredentialsError::provider_error("the role may not be assumed"),
        Some("cannot get the credentials of the store: the role may not be assumed"),
    );
    check(
        CredentialsError::provider_error(ConnectorError::io("connection refused".into())),
        None,
    );
    check(CredentialsError::provider_timed_out(std::time::Duration::from_secs(5)), None);
}
