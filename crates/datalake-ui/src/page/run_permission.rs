//! Who may start a run from a page.

/// Who may start a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunPermission {
    /// Whoever reaches the server.
    Open,
    /// Clients with the token.
    NeedsToken,
    /// This browser, which has signed in; other clients need the token.
    SignedIn,
    /// Nobody: the server was started to only read.
    NotOffered,
}
