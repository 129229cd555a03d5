//! What stands around every view: the head, the navigation, and the line that says which request answers the same.
//!
//! ```text
//! async fn show(visit: PageContext, read_at: ReadAt) -> Result<Response, Problem> {
//!     let frame = visit.frame(View::Rejects, "Rejects");            // the API address follows from the page's own; `.api(…)` sets another
//!     let main = rejects(&facts, visit.now);                        // pure: plain data -> Markup, begun by `components::heading`
//!     Ok((read_at.freshness_headers(), Page(frame.page(&main))).into_response())  // a Problem is rendered as a page by `failure.rs`
//! }
//! ```
//!
//! `<main>` is a grid: its children stand below each other with a gap. The script replaces them when the lake has changed, so a view keeps
//! nothing in the page that it cannot draw anew; a form that somebody is filling in stays. Give an `id` to `details` and forms that may move.
//!
//! | class | for |
//! |---|---|
//! | `card`, `card > header` | a box; its title with a line or a legend to the right |
//! | `columns` | boxes side by side where there is room |
//! | `dl.figures > div.figure` (`dt`, `dd.value`, `dd.note`) | the numbers that matter most |
//! | `banner` `good` `warn` `bad` | a message: [`components::banner`](crate::components::banner) |
//! | `badge` `good` `warn` `bad` `active` | a state: [`components::run_badge`](crate::components::run_badge) |
//! | `scroll` | a wide table: [`components::scroll`](crate::components::scroll); cells `number`, `name`, `wrap`, `nowrap` |
//! | `thumb`, `portrait` | a picture in a row, and of one person |
//! | `ul.gallery > li > a` (`img` or `.no-picture`, `.caption`) | pictures side by side |
//! | `form.filters > .field` (`label`, control, `.hint`, `.hint.bad`), `.choices` | a form of filters; radio buttons and boxes in a line |
//! | `button`, `a.button`, `.primary`, `.actions`, `.pager` | what is pressed; a line of it; former and next page |
//! | `dl.pairs` | names and values of one thing |
//! | `curl` | a line for a shell: [`components::curl`](crate::components::curl) |
//! | `excerpt` with `mark`, `pre.log`, `ins`, `del` | bytes of a source, a log, what was added and taken away |
//! | `svg.chart` (`grid`, `axis`, `hit`; `with` `without` `added` `changed` `removed` `rejected`), `ul.legend` | charts: `chart.rs` |
//! | `empty` | a card that has nothing to show, and says why |
//! | `muted`, `small`, `visually-hidden` | as they say |

use maud::{DOCTYPE, Markup, html};

use crate::{
    assets, components,
    page::{
        api_address::ApiAddress,
        live::Live,
        sign_in::{LocalAddress, SIGN_OUT},
    },
};

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Overview,
    People,
    Person,
    Runs,
    Run,
    Rejects,
    Versions,
    Changes,
    Examples,
    SignIn,
    Failure,
}

impl View {
    /// The word that stands for the view in `data-view`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::People => "people",
            Self::Person => "person",
            Self::Runs => "runs",
            Self::Run => "run",
            Self::Rejects => "rejects",
            Self::Versions => "versions",
            Self::Changes => "changes",
            Self::Examples => "examples",
            Self::SignIn => "sign-in",
            Self::Failure => "failure",
        }
    }

    /// The entry of the navigation that the view belongs to.
    fn entry(self) -> Self {
        match self {
            Self::Person => Self::People,
            Self::Run => Self::Runs,
            Self::Changes => Self::Versions,
            view => view,
        }
    }
}

const NAVIGATION: [(View, &str, &str); 6] = [
    (View::Overview, "/", "Overview"),
    (View::People, "/page/people", "People"),
    (View::Runs, "/page/runs", "Runs"),
    (View::Rejects, "/page/rejects", "Rejects"),
    (View::Versions, "/page/versions", "Versions"),
    (View::Examples, "/page/examples", "Examples"),
];

/// Says of the request behind a view that its answer is what the view shows.
pub(crate) const SAME: &str = "This view, asked of the API:";

/// What search engines and messengers show of a page. It is the same for all: a title may name a user.
const DESCRIPTION: &str = "A data lake: its users and their images, the runs that process them, rejected files, and versions.";

/// What an open page is redrawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Redrawn<'a> {
    /// Any state of the lake but this one.
    After(&'a Live),
    /// A problem that may be gone with the next state, or by itself.
    Problem,
    /// Nothing.
    Never,
}

/// Whether the user has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// There is nothing to sign in to, or that is not known.
    None,
    /// The user has not signed in, and returns to this page after it.
    Anonymous(LocalAddress),
    /// The user has signed in.
    SignedIn,
}

/// What stands around a view.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) view: View,
    /// Names the page in the browser's tab.
    pub(crate) title: &'a str,
    /// The request that answers what the page shows; none where no request does.
    pub(crate) api: Option<ApiAddress>,
    /// What the answer to that request is to the view.
    pub(crate) words: &'static str,
    /// What the line for a shell begins with.
    pub(crate) command: &'static str,
    /// Where the server is reached.
    pub(crate) origin: &'a str,
    pub(crate) redrawn: Redrawn<'a>,
    pub(crate) account: Account,
}

impl Frame<'_> {
    /// The same with another request than the one that the page's address stands for.
    pub(crate) fn api(self, address: ApiAddress) -> Self {
        Self {
            api: Some(address),
            ..self
        }
    }

    /// The same where the request answers something else than what the view shows.
    pub(crate) fn words(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    /// The same where the line for a shell has options.
    pub(crate) fn command(self, command: &'static str) -> Self {
        Self { command, ..self }
    }

    /// The whole page.
    pub(crate) fn page(&self, main: &Markup) -> Markup {
        let live = match self.redrawn {
            Redrawn::After(live) => Some(live),
            Redrawn::Problem | Redrawn::Never => None,
        };
        let name = match self.redrawn {
            Redrawn::After(live) => Some(live.name.as_str()),
            // Names no state: whatever there is by then is another one.
            Redrawn::Problem => Some("problem"),
            Redrawn::Never => None,
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
                    a.skip href="#main" { "Skip to the content" }
                    (self.top())
                    main #main tabindex="-1" data-view=(self.view.as_str()) data-live=[name]
                        data-version=[live.and_then(|live| live.version)] data-now=[live.map(|live| live.now)] { (main) }
                    (self.foot())
                    (token_dialog())
                }
            }
        }
    }

    fn top(&self) -> Markup {
        let entry = self.view.entry();
        html! {
            header.top {
                div {
                    a.brand href="/" { img src=(assets::icon()) alt="" width="24" height="24"; "datalake" }
                    nav aria-label="Views" {
                        ul {
                            @for (view, href, name) in NAVIGATION {
                                li { a href=(href) aria-current=[(view == entry).then_some("page")] { (name) } }
                            }
                        }
                    }
                    span.live #live role="status" hidden {}
                    @match &self.account {
                        Account::None => {}
                        Account::Anonymous(page) => a.account href=(page.sign_in()) { "Sign in" },
                        Account::SignedIn => form.account #sign-out method="post" action=(SIGN_OUT) { button type="submit" { "Sign out" } },
                    }
                }
            }
        }
    }

    fn foot(&self) -> Markup {
        html! {
            footer.foot {
                div {
                    @if let Some(address) = &self.api {
                        span #api-label { (self.words) }
                        (components::command(self.command, self.origin, address))
                    }
                    ul {
                        li { a href="/docs/" { "API documentation" } }
                        li { a href="/openapi.json" { "OpenAPI" } }
                        li { a href="/metrics" { "Metrics" } }
                        li { "Times are in UTC; ages are completed calendar years." }
                    }
                }
            }
        }
    }
}

/// Asks for the token of whoever starts runs. It stays closed where there is no script.
fn token_dialog() -> Markup {
    html! {
        dialog #token-dialog aria-labelledby="token-title" {
            form method="dialog" {
                h2 #token-title { "RunPermission and stopping runs needs the token of this server" }
                p.small data-wrong hidden role="alert" { "The server did not take that token." }
                div.field {
                    label for="token" { "Token" }
                    input #token type="password" autocomplete="off" spellcheck="false";
                    span.hint { "Kept until this page is left, and nowhere else." }
                }
                div.actions {
                    // The first button is the one that the Enter key presses.
                    button.primary type="submit" value="send" { "Go on" }
                    button type="submit" value="cancel" formnovalidate { "Cancel" }
                }
            }
        }
    }
}
