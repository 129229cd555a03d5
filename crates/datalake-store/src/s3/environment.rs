//! The AWS variables and profiles, checked before the first request: the SDK ignores many invalid values, or panics on them.

use aws_config::profile::{self, Profile, ProfileSet};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use crate::{
    error::StoreError,
    masking::mask,
    s3_settings::{Endpoint, Region},
    setting_text::white_space_problem,
};

/// The variables that are read, and whether a message may show the value.
const VARIABLES: &[(&str, Visibility)] = &[
    (ACCESS_KEY_ID, Visibility::Public),
    (SECRET_ACCESS_KEY, Visibility::Secret),
    ("AWS_SESSION_TOKEN", Visibility::Secret),
    ("AWS_REGION", Visibility::Public),
    ("AWS_DEFAULT_REGION", Visibility::Public),
    (PROFILE, Visibility::Public),
    ("AWS_CONFIG_FILE", Visibility::Public),
    ("AWS_SHARED_CREDENTIALS_FILE", Visibility::Public),
    ("AWS_ENDPOINT_URL", Visibility::Public),
    ("AWS_ENDPOINT_URL_S3", Visibility::Public),
    ("AWS_ENDPOINT_URL_STS", Visibility::Public),
    (TOKEN_FILE, Visibility::Public),
    (ROLE_ARN, Visibility::Public),
    ("AWS_ROLE_SESSION_NAME", Visibility::Public),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Visibility::Public),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Visibility::Public),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Visibility::Secret),
    ("AWS_CA_BUNDLE", Visibility::Public),
    ("SSL_CERT_FILE", Visibility::Public),
    ("SSL_CERT_DIR", Visibility::Public),
    ("HTTPS_PROXY", Visibility::Public),
    ("https_proxy", Visibility::Public),
    ("HTTP_PROXY", Visibility::Public),
    ("http_proxy", Visibility::Public),
    ("ALL_PROXY", Visibility::Public),
    ("all_proxy", Visibility::Public),
    ("NO_PROXY", Visibility::Public),
    ("no_proxy", Visibility::Public),
];

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const PROFILE: &str = "AWS_PROFILE";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE_ARN: &str = "AWS_ROLE_ARN";

/// Keys of a profile for sign-in methods that are not supported.
const SIGN_IN_KEYS: &[&str] = &["sso_session", "sso_start_url", "sso_account_id", "login_session"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visibility {
    Public,
    Secret,
}

/// The variables and profiles. Invariant: they contain no setting that can never work.
#[derive(Debug)]
pub(super) struct Environment {
    profiles: ProfileSet,
}

impl Environment {
    pub(super) async fn load() -> Result<Self, StoreError> {
        check_white_space()?;
        check_access_keys()?;
        // The SDK would use an empty variable as the name of a profile.
        let selected = variable(PROFILE).unwrap_or_else(|| "default".to_owned());
        let profiles = profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), Some(selected.into()))
            .await
            .map_err(|error| {
                let cause = std::error::Error::source(&error)
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                invalid(format!(
                    "the profiles cannot be used: {error}{cause}; check AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
                ))
            })?;
        let environment = Self { profiles };
        environment.check_profile()?;
        if variable(ACCESS_KEY_ID).is_none() {
            check_web_identity()?;
        }
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
            check_endpoint(name)?;
        }
        Ok(environment)
    }

    /// The region from a variable or the profile.
    pub(super) fn region(&self) -> Result<Option<Region>, StoreError> {
        let named = ["AWS_REGION", "AWS_DEFAULT_REGION"]
            .into_iter()
            .find_map(|name| Some((name.to_owned(), variable(name)?)));
        let named = named.or_else(|| {
            Some((
                format!("`region` of the profile `{}`", self.profile_name()),
                self.get("region")?.to_owned(),
            ))
        });
        named
            .map(|(name, value)| {
                let region = value.parse::<Region>();
                region.map_err(|error| invalid(format!("{name} is not a region: `{}`: {error}", mask(&value))))
            })
            .transpose()
    }

    /// A key of the selected profile.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.selected()?.get(key).filter(|value| !value.is_empty())
    }

    /// The name of the selected profile, which may not exist.
    pub(super) fn profile_name(&self) -> &str {
        self.profiles.selected_profile()
    }

    fn selected(&self) -> Option<&Profile> {
        self.profiles.get_profile(self.profile_name())
    }

    fn check_profile(&self) -> Result<(), StoreError> {
        let Some(selected) = self.selected() else {
            return match variable(PROFILE) {
                None => Ok(()),
                Some(name) => {
                    let mut known: Vec<_> = self.profiles.profiles().collect();
                    known.sort_unstable();
                    let known = match known.as_slice() {
                        [] => "none is defined".to_owned(),
                        known => format!("defined are {}", known.join(", ")),
                    };
                    Err(invalid(format!(
                        "{PROFILE} names the profile `{name}`, which does not exist; {known}, in ~/.aws/config and ~/.aws/credentials, or where \
                         AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say"
                    )))
                }
            };
        };
        let has_keys = variable(ACCESS_KEY_ID).is_some() || selected.get("aws_access_key_id").is_some();
        match SIGN_IN_KEYS.iter().find(|key| selected.get(key).is_some()) {
            Some(key) if !has_keys => Err(invalid(format!(
                "the profile `{name}` signs in by `{key}`, which is not supported; run `eval \"$(aws configure export-credentials --profile {name} \
                 --format env)\"` first",
                name = selected.name()
            ))),
            _ => Ok(()),
        }
    }
}

/// The value of a variable. None if it is empty.
#[expect(clippy::disallowed_methods, reason = "the AWS SDK's variables are a convention over all programs")]
pub(super) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    // A value that is not UTF-8 is an error in `check_white_space`.
    value.into_string().ok().filter(|value| !value.is_empty())
}

pub(super) fn invalid(reason: String) -> StoreError {
    StoreError::Invalid {
        key: String::new(),
        reason,
    }
}

#[expect(clippy::disallowed_methods, reason = "the AWS SDK's variables are a convention over all programs")]
fn check_white_space() -> Result<(), StoreError> {
    for (name, visibility) in VARIABLES {
        let Some(value) = std::env::var_os(name) else { continue };
        let problem = match value.to_str() {
            None => Some("the value is not UTF-8"),
            Some("") => None,
            Some(value) => white_space_problem(value),
        };
        let Some(problem) = problem else { continue };
        let value = match visibility {
            Visibility::Public => format!(" is `{}`", mask(&value.to_string_lossy())),
            Visibility::Secret => " (not shown)".to_owned(),
        };
        return Err(invalid(format!("{name}{value}: {problem}")));
    }
    Ok(())
}

/// Fails if only one of the keys is set. The SDK would search for credentials elsewhere, which takes seconds.
fn check_access_keys() -> Result<(), StoreError> {
    let secret = variable(SECRET_ACCESS_KEY).or_else(|| variable("SECRET_ACCESS_KEY"));
    let (set, missing) = match (variable(ACCESS_KEY_ID), secret) {
        (Some(_), None) => (ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        (None, Some(_)) if variable(SECRET_ACCESS_KEY).is_some() => (SECRET_ACCESS_KEY, ACCESS_KEY_ID),
        (Some(key), Some(_)) => {
            return check_header(ACCESS_KEY_ID, &key, &mask(&key))
                .and_then(|()| variable("AWS_SESSION_TOKEN").map_or(Ok(()), |token| check_header("AWS_SESSION_TOKEN", &token, "not shown")))
                .map_err(invalid);
        }
        _ => return Ok(()),
    };
    Err(invalid(format!("{set} is set and {missing} is not; set both or neither")))
}

/// Fails for a value that is not visible ASCII, which a header cannot contain.
fn check_header(name: &str, value: &str, shown: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(format!(
            "{name} ({shown}) contains a space or a character that is not ASCII; copy it again"
        )),
    }
}

fn check_web_identity() -> Result<(), StoreError> {
    let Some(file) = variable(TOKEN_FILE) else { return Ok(()) };
    match variable(ROLE_ARN) {
        None => {
            return Err(invalid(format!("{TOKEN_FILE} is set and {ROLE_ARN} is not; set both or neither")));
        }
        Some(role) if !role.starts_with("arn:") => {
            return Err(invalid(format!(
                "{ROLE_ARN} is not an ARN: `{role}`; it is like arn:aws:iam::123456789012:role/NAME"
            )));
        }
        Some(_) => {}
    }
    match std::fs::read(&file) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid(format!("{TOKEN_FILE} names `{file}`, which cannot be read: {error}"))),
    }
}

/// Fails for an endpoint that is not a URL, which the SDK would ignore and send the requests to AWS.
fn check_endpoint(name: &str) -> Result<(), StoreError> {
    let Some(value) = variable(name) else { return Ok(()) };
    value
        .parse::<Endpoint>()
        .map(|_| ())
        .map_err(|error| invalid(format!("{name} is not an endpoint: `{}`: {error}", mask(&value))))
}

/// Checks credentials of any source before they become part of a header, because the SDK's signer would panic.
#[derive(Debug)]
pub(super) struct CheckedCredentials(pub(super) SharedCredentialsProvider);

impl ProvideCredentials for CheckedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.0.provide_credentials().await?;
            check_header("the access key", credentials.access_key_id(), &mask(credentials.access_key_id()))
                .and_then(|()| check_header("the session token", credentials.session_token().unwrap_or_default(), "not shown"))
                .map_err(CredentialsError::invalid_configuration)?;
            Ok(credentials)
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.0.fallback_on_interrupt()
    }
}
