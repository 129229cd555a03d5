//! The frame around every view: document head, navigation, and a footer with the API request for the same data.
//!
//! ```text
//! async fn show(context: PageContext, read_at: SelectedSnapshot) -> Result<Response, Problem> {
//!     let frame = context.frame(View::Rejects, "Rejects");               // the API address follows from the page's; `.api(…)` sets another
//!     let main = rejects(&snapshot, context.now);                        // pure: plain data -> Markup; starts with `components::heading`
//!     Ok((read_at.freshness_headers(), HtmlPage(frame.page(&main))).into_response())   // `problem.rs` renders a Problem as a page
//! }
//! ```
//!
//! The style is several files: `tokens.css` is the design system (colors, sizes, distances), `page.css` has the classes below, and the others belong to
//! tables, charts and single views.
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
//! | `table.cards` | a table whose rows become cards on phones: `components::table` |
//! | `thumb`, `portrait` | an image in a list, and of one row |
//! | `ul.gallery > li > a` (`img` or `.no-image`, `.caption`) | images side by side |
//! | `form.filters > .field` (`label`, control, `.hint`, `.hint.error`), `.choices` | a form of filters; a line of radio buttons and checkboxes |
//! | `button`, `a.button`, `.primary`, `.actions`, `.pager` | buttons; a line of them; links to the previous and the next page |
//! | `dl.properties` | names and values of one object |
//! | `curl` | a shell command: `components::curl` |
//! | `excerpt` with `mark`, `pre.log`, `ins`, `del` | bytes of a source, a log, added and removed text |
//! | `svg.chart` (`grid`, `axis`, `hit`; `with`, `without`, `added`, `changed`, `removed`, `rejected`), `ul.legend` | charts: `chart.rs` |
//! | `empty` | a card without content, and why |

use datalake_core::{
    dataset::Dataset,
    query::{column::Column, search::SEARCH},
    text::capitalized,
};
use maud::{DOCTYPE, Markup, html};

use crate::{
    assets,
    components::{self, format::number, labels},
    page::{api_address::ApiAddress, lake_status::LakeState, links, return_address::ReturnAddress, site::Site, theme},
    rows::{filter_form, form_query::FORM},
};

/// The kind of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Overview,
    Rows,
    Row,
    Runs,
    Run,
    Rejects,
    Versions,
    Changes,
    Examples,
    Reference,
    SignIn,
    Problem,
}

impl View {
    /// The value of `data-view`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Rows => "users",
            Self::Row => "user",
            Self::Runs => "runs",
            Self::Run => "run",
            Self::Rejects => "rejects",
            Self::Versions => "versions",
            Self::Changes => "changes",
            Self::Examples => "examples",
            Self::Reference => "reference",
            Self::SignIn => "sign-in",
            Self::Problem => "problem",
        }
    }

    /// Whether the page starts, follows or stops runs.
    fn has_runs(self) -> bool {
        matches!(self, Self::Overview | Self::Runs | Self::Run)
    }

    /// The navigation entry that is highlighted for the view.
    fn navigation_entry(self) -> Self {
        match self {
            Self::Row => Self::Rows,
            Self::Run => Self::Runs,
            Self::Changes => Self::Versions,
            view => view,
        }
    }
}

/// View, address, label, and the key that opens the view after `g`.
fn navigation(dataset: &Dataset) -> [(View, &'static str, &str, &'static str); 5] {
    [
        (View::Overview, links::OVERVIEW, "Overview", "o"),
        (View::Rows, links::ROWS, dataset.title(), "u"),
        (View::Runs, links::RUNS_PAGE, "Runs", "r"),
        (View::Rejects, links::REJECTS, "Rejects", "x"),
        (View::Versions, links::VERSIONS, "Versions", "v"),
    ]
}

/// The pages about the API. The keys are those after `g`.
const API_MENU: [(&str, &str, Option<&str>); 4] = [
    (links::EXAMPLES, "Examples", Some("e")),
    ("/docs/", "Documentation", Some("d")),
    ("/openapi.json", "OpenAPI", None),
    ("/metrics", "Metrics", None),
];

/// The keys that are not in the navigation.
const OTHER_KEYS: [(&str, &str); 3] = [
    ("/", "Search"),
    ("r", "Start a run, or show the active run"),
    ("?", "Keyboard shortcuts"),
];

/// How many characters fit into the search box.
const SEARCH_LABEL_CHARS_MAX: usize = 18;

/// The version of the product, in the footer.
const PRODUCT: &str = concat!("datalake ", env!("CARGO_PKG_VERSION"));

/// The label of the API request in the footer.
pub(crate) const API_LABEL: &str = "Same data via the API:";

/// Shown by search engines and link previews. It is the same for all pages, because a title may contain the name of a user.
const DESCRIPTION: &str = "A data lake: its rows and their files, the runs that process them, rejected files, and versions.";

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
    /// The declaration of the rows, for their nouns.
    pub(crate) dataset: &'a Dataset,
    pub(crate) site: &'a Site,
    /// A banner above the view.
    pub(crate) notice: Option<Markup>,
    /// The address of the page. Choosing a theme leads back to it.
    pub(crate) address: ReturnAddress,
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
    /// The number of rejected sources, in the navigation.
    pub(crate) rejected_count: usize,
    /// The text of the search box; none for a page without one.
    pub(crate) search: Option<String>,
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
            html lang="en" data-theme=[self.site.theme.attribute()] data-times=[self.site.time_zone.attribute()] {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content=(self.site.theme.color_scheme());
                    meta name="description" content=(DESCRIPTION);
                    title { (self.title) " · " (self.site.lake_name.as_deref().unwrap_or("datalake")) }
                    link rel="icon" type="image/svg+xml" href=(assets::icon());
                    link rel="stylesheet" href=(assets::style());
                    script src=(assets::script()) defer {}
                    @if self.view.has_runs() {
                        link rel="stylesheet" href=(assets::run_style());
                        script src=(assets::run_script()) defer {}
                    }
                    @match self.view {
                        View::Overview | View::Runs | View::SignIn => {}
                        View::Rows => { link rel="stylesheet" href=(assets::rows_style()); }
                        _ => { link rel="stylesheet" href=(assets::details_style()); }
                    }
                    @if matches!(self.view, View::Rows | View::Row | View::Run | View::Rejects | View::Problem) {
                        script src=(assets::view_script()) defer {}
                    }
                    @if self.view == View::Overview {
                        link rel="stylesheet" href=(assets::chart_style());
                        @if has_several_charts(self.dataset) { link rel="stylesheet" href=(assets::distribution_style()); }
                        script src=(assets::chart_script()) defer {}
                    }
                }
                body {
                    a.skip href="#main" { "Skip to main content" }
                    (self.header())
                    main #main tabindex="-1" data-view=(self.view.as_str()) data-live=[state_id]
                        data-version=[state.and_then(|state| state.version)] data-now=[state.map(|state| state.observed_at)]
                        data-store=[self.notice.is_some().then_some("unreachable")] {
                        @if let Some(notice) = &self.notice { (notice) }
                        (main)
                    }
                    (self.footer())
                    @if self.view.has_runs() { (token_dialog()) }
                    (help_dialog(self.dataset))
                }
            }
        }
    }

    fn header(&self) -> Markup {
        let current = self.view.navigation_entry();
        html! {
            header.top {
                div {
                    a.brand href=(links::OVERVIEW) {
                        img src=(assets::icon()) alt="" width="24" height="24";
                        "datalake"
                        @if let Some(name) = &self.site.lake_name { span.lake title=(name) { " / " bdi { (name) } } }
                    }
                    nav aria-label="Main" {
                        ul {
                            @for (view, href, label, key) in navigation(self.dataset) {
                                li {
                                    a id=[(view == View::Rejects).then_some("nav-rejects")] href=(href) data-shortcut=(key)
                                        aria-current=[(view == current).then_some("page")] {
                                        (label)
                                        @if view == View::Rejects && self.rejected_count > 0 { " " span.count { (number(self.rejected_count)) } }
                                    }
                                }
                            }
                            li {
                                details.menu #api-menu {
                                    summary aria-current=[(current == View::Examples).then_some("true")] { "API" }
                                    ul {
                                        @for (href, label, key) in API_MENU {
                                            li { a href=(href) data-shortcut=[key] aria-current=[(self.view == View::Examples && href == links::EXAMPLES).then_some("page")] { (label) } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    @if let Some(text) = &self.search { (self.search_box(text)) }
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

    /// Searches all rows. On the page of the rows, the box is a field of the filter form, so that a search keeps the other filters.
    fn search_box(&self, text: &str) -> Markup {
        let is_filter = self.view == View::Rows;
        let label = format!("Search {}", labels::rows(self.dataset));
        let is_short = label.chars().count() <= SEARCH_LABEL_CHARS_MAX;
        let placeholder = if is_short { label.as_str() } else { "Search" };
        let input = html! {
            input #search type="search" name=(SEARCH) value=(text) placeholder=(placeholder) aria-label={ (label) " by ID or text" }
                autocomplete="off" spellcheck="false" form=[is_filter.then_some(filter_form::ID)];
        };
        html! {
            @if is_filter {
                div.search { (input) }
            } @else {
                form.search role="search" method="get" action=(links::ROWS) {
                    input type="hidden" name=(FORM) value="search";
                    (input)
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer.foot {
                div {
                    @if let Some(address) = &self.api {
                        details.api #api-request {
                            summary { "API" }
                            span #api-label { (self.api_label) }
                            (components::command(self.curl, self.origin, address))
                        }
                    }
                    div.settings {
                        (theme::form(self.site, &self.address))
                        button.plain type="button" data-help hidden { "Keyboard shortcuts" }
                    }
                    p {
                        (PRODUCT) " · " span #time-zone { "Times are in UTC." }
                        @if let Some(computed) = labels::computed_on_a_day(self.dataset) { " " (capitalized(&computed)) ": completed calendar years." }
                    }
                }
            }
        }
    }
}

/// Whether the overview has more than the numbers of one file and one column.
fn has_several_charts(dataset: &Dataset) -> bool {
    let has_categories = || Column::all(dataset).any(|column| column.categories(dataset).is_some());
    dataset.files().len() != 1 || dataset.stats().len() != 1 || has_categories()
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

/// The keyboard shortcuts. Only the script opens it.
fn help_dialog(dataset: &Dataset) -> Markup {
    let go = navigation(dataset).into_iter().map(|(_, _, label, key)| (label, key));
    let go = go.chain(API_MENU.into_iter().filter_map(|(_, label, key)| Some((label, key?))));
    html! {
        dialog #help-dialog aria-labelledby="help-title" {
            form method="dialog" {
                h2 #help-title { "Keyboard shortcuts" }
                dl.keys {
                    @for (key, label) in OTHER_KEYS { div { dt { kbd { (key) } } dd { (label) } } }
                    @for (label, key) in go { div { dt { kbd { "g" } " " kbd { (key) } } dd { (label) } } }
                }
                div.actions { button type="submit" { "Close" } }
            }
        }
    }
}
