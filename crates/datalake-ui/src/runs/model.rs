//! The request for the runs page, and the runs on one page.

use axum::{extract::FromRequestParts, http::request::Parts};
use datalake_core::{
    query::error::QueryError,
    run::{RunId, RunOutcome},
};

use crate::{components::run::state_label, page::page_size};
use datalake_api::{problem::Problem, request::query_string::QueryString};
use datalake_runs::run::{Run, RunState};

/// A filter of runs by their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateFilter {
    /// Runs that have not ended.
    Active,
    Ended(RunOutcome),
}

impl StateFilter {
    pub(crate) const ALL: [Self; 6] = [
        Self::Active,
        Self::Ended(RunOutcome::Succeeded),
        Self::Ended(RunOutcome::Failed),
        Self::Ended(RunOutcome::Blocked),
        Self::Ended(RunOutcome::Misconfigured),
        Self::Ended(RunOutcome::Stopped),
    ];

    /// The value of the parameter.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Ended(outcome) => state_label(RunState::Ended(outcome)),
        }
    }

    fn parse(text: &str) -> Result<Self, QueryError> {
        let found = Self::ALL.into_iter().find(|filter| filter.as_str() == text);
        found.ok_or_else(|| QueryError::value("state", "must be active, succeeded, failed, blocked, misconfigured or stopped"))
    }

    pub(crate) fn matches(self, state: RunState) -> bool {
        match self {
            Self::Active => state.is_active(),
            Self::Ended(outcome) => state == RunState::Ended(outcome),
        }
    }
}

/// The parsed request.
pub(crate) struct RunsRequest {
    pub(crate) limit: usize,
    /// The page starts after this run; without it, at the latest run.
    pub(crate) after: Option<RunId>,
    /// Only runs in this state.
    pub(crate) state: Option<StateFilter>,
}

impl<S: Send + Sync> FromRequestParts<S> for RunsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&["limit", "after", "state"])?;
        let after = pairs.get("after").map(|after| RunId::parse(after).map_err(|_| Problem::NoSuchRun));
        Ok(Self {
            limit: page_size::limit(&pairs)?,
            after: after.transpose()?,
            state: pairs.get("state").map(StateFilter::parse).transpose()?,
        })
    }
}

/// The runs on one page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunsPage<'a> {
    pub(crate) runs: &'a [Run],
    /// The number of later runs.
    pub(crate) before: usize,
    /// The previous page starts after this run; none if it starts at the latest run.
    pub(crate) previous: Option<&'a RunId>,
    pub(crate) has_more: bool,
}

impl<'a> RunsPage<'a> {
    /// Selects a page of `runs`, the latest first. None if [`RunsRequest::after`] is not one of them.
    pub(crate) fn of(runs: &'a [Run], request: &RunsRequest) -> Option<Self> {
        let before = match &request.after {
            Some(after) => runs.iter().position(|run| run.run_id == *after)? + 1,
            None => 0,
        };
        let rest = runs.get(before..).unwrap_or_default();
        Some(Self {
            runs: rest.get(..request.limit).unwrap_or(rest),
            before,
            previous: { before.checked_sub(request.limit + 1) }.and_then(|index| Some(&runs.get(index)?.run_id)),
            has_more: rest.len() > request.limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use datalake_runs::run::RunState;

    use super::*;

    fn run(number: usize) -> Run {
        Run::new(RunId::parse(&format!("run-{number}")).unwrap(), RunState::Pending)
    }

    /// A page of 60 runs, of which `run-59` is the latest. `expected`: the first run, later runs, runs on the page, and whether there are more.
    #[track_caller]
    fn check(limit: usize, after: Option<&str>, expected: Option<(&str, usize, usize, bool)>) {
        let runs: Vec<_> = (0..60).rev().map(run).collect();
        let after = after.map(|after| RunId::parse(after).unwrap());
        let page = RunsPage::of(&runs, &RunsRequest { limit, after, state: None });
        let found = page.as_ref().map(|page| {
            let first = page.runs.first().map_or("", |run| run.run_id.as_str());
            (first, page.before, page.runs.len(), page.has_more)
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn filters_match_their_states() {
        let states = [RunState::Pending, RunState::Running, RunState::Ended(RunOutcome::Failed)];
        let matching = |filter: StateFilter| states.map(|state| filter.matches(state));
        assert_eq!(matching(StateFilter::Active), [true, true, false]);
        assert_eq!(matching(StateFilter::Ended(RunOutcome::Failed)), [false, false, true]);
        for filter in StateFilter::ALL {
            assert_eq!(StateFilter::parse(filter.as_str()).unwrap(), filter);
        }
        assert!(StateFilter::parse("done").is_err());
    }

    #[test]
    fn first_page_starts_at_the_latest_run() {
        check(25, None, Some(("run-59", 0, 25, true)));
        check(60, None, Some(("run-59", 0, 60, false)));
    }

    #[test]
    fn next_page_starts_after_a_run() {
        check(25, Some("run-35"), Some(("run-34", 25, 25, true)));
        check(25, Some("run-25"), Some(("run-24", 35, 25, false)));
        check(25, Some("run-0"), Some(("", 60, 0, false)));
    }

    #[track_caller]
    fn check_previous(after: &str, expected: Option<&str>) {
        let runs: Vec<_> = (0..60).rev().map(run).collect();
        let request = RunsRequest {
            limit: 25,
            after: RunId::parse(after).ok(),
            state: None,
        };
        let previous = RunsPage::of(&runs, &request).unwrap().previous;
        assert_eq!(previous.map(RunId::as_str), expected, "{after}");
    }

    #[test]
    fn previous_page_ends_before_the_page() {
        check_previous("run-35", None);
        check_previous("run-34", Some("run-59"));
        check_previous("run-10", Some("run-35"));
        check_previous("run-50", None);
    }

    #[test]
    fn unknown_run_has_no_next_page() {
        check(25, Some("unknown"), None);
    }
}
