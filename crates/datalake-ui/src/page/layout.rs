//! The frame around every view: document head, navigation, and a footer with the API request for the same data.
//!
//! ```text
//! async fn show(context: PageContext, read_at: ReadAt) -> Result<Response, Problem> {
//!     let frame = context.frame(View::Rejects, "Rejects");               // the API address follows from the page's; `.api(…)` sets another
//!     let main = rejects(&snapshot, context.now);                        // pure: plain data -> Markup; starts with `components::heading`
//!     Ok((read_at.freshness_headers(), HtmlPage(frame.page(&main))).into_response())   // `problem.rs` renders a Problem as a page
//! }
//! ```
//!
//! `<main>` is a grid with one column. The script replaces its children when the lake has changed, so a view must not keep state in the page.
//! A form that the user is editing is kept. Elements that may move between two refreshes, such as `details` and forms, need an `id`.
//!
//! | class | use |
//! |---|---|
//! | `card`, `card > header` | a box; its title with a link or a legend on the right |
//! | `columns` | boxes side by side if there is enough space |
//! | `dl.statistics > div.statistic` (`dt`, `dd.value`, `dd.note`) | the most important numbers |
//! | `banner`, `success`, `warning`, `error` | a message: `components::banner` |
//! | `badge`, `success`, `warning`, `error`, `active` | a state: `components::run::badge` |
//! | `scroll` | a wide table: `components::scroll`; cells `number`, `name`, `wrap`, `nowrap` |
//! | `thumb`, `portrait` | an image in a row, and of one user |
//! | `ul.gallery > li > a` (`img` or `.no-image`, `.caption`) | images side by side |
//! | `form.filters > .field` (`label`, control, `.hint`, `.hint.error`), `.choices` | a form of filters; a line of radio buttons and checkboxes |
//! | `button`, `a.button`, `.primary`, `.actions`, `.pager` | buttons; a line of them; links to the previous and the next page |
//! | `dl.properties` | names and values of one object |
//! | `curl` | a shell command: `components::curl` |
//! | `excerpt` with `mark`, `pre.log`, `ins`, `del` | bytes of a source, a log, added and removed text |
//! | `svg.chart` (`grid`, `axis`, `hit`; `with`, `without`, `added`, `changed`, `removed`, `rejected`), `ul.legend` | charts: `chart.rs` |
//! | `empty` | a card without content, and why |

use maud::{DOCTYPE, Markup, html};

use crate::{
    assets, components,
    page::{api_address::ApiAddress, links, return_address::ReturnAddress, status::LakeState},
};

/// The kind of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Overview,
    Users,
    User,
    Runs,
    Run,
    Rejects,
    Versions,
    Changes,
    Examples,
    SignIn,
    Problem,
}

impl View {
    /// The value of `data-view`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Users => "users",
            Self::User => "user",
            Self::Runs => "runs",
            Self::Run => "run",
            Self::Rejects => "rejects",
            Self::Versions => "versions",
            Self::Changes => "changes",
            Self::Examples => "examples",
            Self::SignIn => "sign-in",
            Self::Problem => "problem",
        }
    }

    /// The navigation entry that is highlighted for the view.
    fn navigation_entry(self) -> Self {
        match self {
            Self::User => Self::Users,
            Self::Run => Self::Runs,
            Self::Changes => Self::Versions,
            view => view,
        }
    }
}

const NAVIGATION: [(View, &str, &str); 6] = [
    (View::Overview, links::OVERVIEW, "Overview"),
    (View::Users, links::USERS, "Users"),
    (View::Runs, links::RUNS_PAGE, "Runs"),
    (View::Rejects, links::REJECTS, "Rejects"),
    (View::Versions, links::VERSIONS, "Versions"),
    (View::Examples, links::EXAMPLES, "Examples"),
];

/// The label of the API request in the footer.
pub(crate) const API_LABEL: &str = "Same data via the API:";

/// Shown by search engines and link previews. It is the same for all pages, because a title may contain a user's name.
const DESCRIPTION: &str = "A data lake: its users and their images, the runs that process them, rejected files, and versions.";

/// When an open page is refreshed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refresh<'a> {
    /// When the state of the lake differs from this one.
    OnChange(&'a LakeState),
    /// The page shows a problem, which the next state may resolve.
    Problem,
    Never,
}

/// Whether the user has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// Signing in is not needed, or the page does not know.
    None,
    /// The user has not signed in. Signing in leads back to this address.
    Anonymous(ReturnAddress),
    SignedIn,
}

/// Everything of a page except the view.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) view: View,
    /// The title in the browser's tab.
    pub(crate) title: &'a str,
    /// The API request for the same data, if there is one.
    pub(crate) api: Option<ApiAddress>,
    /// The label of that request.
    pub(crate) api_label: &'static str,
    /// `curl` with its options, as shown before that request.
    pub(crate) curl: &'static str,
    /// Scheme, host and port of the server.
    pub(crate) origin: &'a str,
    pub(crate) refresh: Refresh<'a>,
    pub(crate) account: Account,
}

impl Frame<'_> {
    /// Replaces the API request.
    pub(crate) fn api(self, address: ApiAddress) -> Self {
        Self {
            api: Some(address),
            ..self
        }
    }

    /// Replaces the label of the API request.
    pub(crate) fn api_label(self, api_label: &'static str) -> Self {
        Self { api_label, ..self }
    }

    /// Replaces `curl` and its options.
    pub(crate) fn curl(self, curl: &'static str) -> Self {
        Self { curl, ..self }
    }

    /// The whole page.
    pub(crate) fn page(&self, main: &Markup) -> Markup {
        let (state_id, state) = match self.refresh {
            Refresh::OnChange(state) => (Some(state.id.as_str()), Some(state)),
            // Differs from the ID of every state, so the page is refreshed at the first opportunity.
            Refresh::Problem => (Some("problem"), None),
            Refresh::Never => (None, None),
        };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="description" content=(DESCRIPTION);
                    title { (self.title) " · datalake" }
                    link rel="icon" type="image/svg+xml" href=(assets::icon());
                    link rel="stylesheet" href=(assets::style());
                    script src=(assets::script()) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to main content" }
                    (self.header())
                    main #main tabindex="-1" data-view=(self.view.as_str()) data-live=[state_id]
                        data-version=[state.and_then(|state| state.version)] data-now=[state.map(|state| state.observed_at)] { (main) }
                    (self.footer())
                    (token_dialog())
                }
            }
        }
    }

    fn header(&self) -> Markup {
        let current = self.view.navigation_entry();
        html! {
            header.top {
                div {
                    a.brand href=(links::OVERVIEW) { img src=(assets::icon()) alt="" width="24" height="24"; "datalake" }
                    nav aria-label="Main" {
                        ul {
                            @for (view, href, label) in NAVIGATION {
                                li { a href=(href) aria-current=[(view == current).then_some("page")] { (label) } }
                            }
                        }
                    }
                    span.live #live role="status" hidden {}
                    @match &self.account {
                        Account::None => {}
                        Account::Anonymous(address) => a.account href=(address.sign_in_address()) { "Sign in" },
                        Account::SignedIn => form.account #sign-out method="post" action=(links::SIGN_OUT) { button type="submit" { "Sign out" } },
                    }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer.foot {
                div {
                    @if let Some(address) = &self.api {
                        span #api-label { (self.api_label) }
                        (components::command(self.curl, self.origin, address))
                    }
                    ul {
                        li { a href="/docs/" { "API documentation" } }
                        li { a href="/openapi.json" { "OpenAPI" } }
                        li { a href="/metrics" { "Metrics" } }
                        li { "Times are in UTC. Ages are completed calendar years." }
                    }
                }
            }
        }
    }
}

/// Asks for the token before a run is started or stopped. Only the script opens it.
fn token_dialog() -> Markup {
    html! {
        dialog #token-dialog aria-labelledby="token-title" {
            form method="dialog" {
                h2 #token-title { "Token required" }
                p.small data-invalid-token hidden role="alert" { "Invalid token." }
                div.field {
                    label for="token" { "Token" }
                    input #token type="password" autocomplete="off" spellcheck="false" aria-describedby="token-hint";
                    span.hint #token-hint { "Starting and stopping runs requires the server's token. It is kept in memory until you leave this page." }
                }
                div.actions {
                    // The Enter key presses the first button.
                    button.primary type="submit" value="send" { "Continue" }
                    button type="submit" value="cancel" formnovalidate { "Cancel" }
                }
            }
        }
    }
}
