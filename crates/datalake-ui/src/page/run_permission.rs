//! Who may start and stop runs from a page.

/// Who may start and stop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunPermission {
    /// Every client.
    Open,
    /// Clients that send the token; this one has not.
    NeedsToken,
    /// This browser, which has signed in. Other clients must send the token.
    SignedIn,
    /// No client: the server was started without a launcher.
    NotOffered,
}
