//! The commands that read a lake without a server. They use the routes of the API, so parameters and documents are the same.

mod query;
mod rejects;
mod runs;
mod status;
mod versions;

use std::sync::Arc;

use anyhow::{Context, anyhow};
use datalake_api::{
    lake_label::LakeLabel,
    request::auth::Access,
    snapshots::watch::{TableState, TableWatch},
    state::Parts,
    telemetry::metrics::Metrics,
};
use datalake_core::{clock::Clock, keys};
use datalake_http::{allowed_hosts::AllowedHosts, trusted_proxies::TrustedProxies};
use datalake_processor::error::RunError;
use datalake_runs::{disabled::DisabledLauncher, runs::Runs};
use datalake_server::reader::{LakeReader, ReaderResponse};
use datalake_store::{bucket::Bucket, lake_url::LakeUrl};
use datalake_table::table::Table;
use futures_util::TryStreamExt;

pub(super) use self::{query::query, rejects::rejects, runs::runs, status::status, versions::versions};
use crate::{
    args::{LakeArgs, read::DocumentFormat},
    clock,
    csv::csv,
    document::Document,
    exit::{ProblemError, UsageError},
    progress::Bar,
};

const JSON: &str = "application/json";

/// The routes of the API over a lake.
struct OpenedLake {
    reader: LakeReader,
    url: LakeUrl,
    table: TableWatch,
    bucket: Arc<dyn Bucket>,
}

impl OpenedLake {
    /// Opens the lake, without a request to the store.
    async fn open(args: &LakeArgs) -> anyhow::Result<Self> {
        let bucket = super::open(args).await?.bucket;
        let clock = Clock::new(clock::now);
        let table = TableWatch::new(Table::new(Arc::clone(&bucket)), clock);
        let parts = Parts {
            clock,
            table: table.clone(),
            runs: Runs::new(Arc::clone(&bucket), Arc::new(DisabledLauncher::new())),
            bucket: Arc::clone(&bucket),
            lake_label: LakeLabel::default(),
            metrics: Metrics::new(),
            access: Access::Open,
            cors_origins: Vec::new(),
            allowed_hosts: AllowedHosts::Any,
            trusted_proxies: TrustedProxies::default(),
        };
        Ok(Self {
            reader: LakeReader::new(parts),
            url: args.lake.clone(),
            table,
            bucket,
        })
    }

    /// Opens the lake and loads its newest version, if there is a table.
    async fn with_table(args: &LakeArgs) -> anyhow::Result<Self> {
        let bar = Bar::waiting(&format!("reading the table of {}", args.lake));
        let lake = Self::open(args).await?;
        let loaded = lake.table.load_newest().await;
        bar.clear();
        loaded.map_err(RunError::from)?;
        Ok(lake)
    }

    /// Fails if reports cannot be listed. `/runs` would show those in memory, which are none.
    async fn require_reports(&self) -> anyhow::Result<()> {
        self.bucket.list(keys::RUNS, None).try_next().await?;
        Ok(())
    }

    fn has_table(&self) -> bool {
        matches!(self.table.status().state, TableState::Loaded(_))
    }

    /// The response to a request. A response with a problem is an error.
    async fn get(&self, path: &str, parameters: &str, accept: &str) -> anyhow::Result<ReaderResponse> {
        let response = self.reader.get(path, parameters, accept).await;
        let response = response.map_err(|error| UsageError(format!("invalid parameters `{parameters}`: {error}")))?;
        match response.status() {
            200..=299 => Ok(response),
            status => {
                let problem = Document::parse(&response.bytes().await?)?;
                Err(match kind_of(&problem) {
                    "no-table-yet" => self.no_table().await,
                    kind => error_of(status, kind, &problem),
                })
            }
        }
    }

    /// The document of a request, as text and parsed.
    async fn document(&self, path: &str, parameters: &str) -> anyhow::Result<Received> {
        let response = self.get(path, parameters, JSON).await?;
        let next = next_cursor(response.header("link"));
        let is_stale = response.header("datalake-runs-stale") == Some("true");
        let text = String::from_utf8(response.bytes().await?.into()).context("the document of the API is not UTF-8")?;
        if is_stale {
            return Err(anyhow!(
                "cannot read all reports of runs: the store did not respond in time; try again"
            ));
        }
        Ok(Received {
            document: Document::parse(text.as_bytes())?,
            text,
            next,
        })
    }

    /// The error for a lake without a table. After a run that failed, its report has the causes.
    async fn no_table(&self) -> anyhow::Error {
        let last_run = async {
            let response = self.reader.get("/runs", "limit=1", JSON).await.ok()?;
            let runs = Document::parse(&response.bytes().await.ok()?).ok()?.take("runs");
            runs.into_list().into_iter().next()
        };
        match last_run.await {
            Some(run) => {
                let (run_id, state) = (run.get("id"), run.get("state"));
                anyhow!("the lake has no table yet: its last run is {state}; see `datalake runs --id {run_id}`")
            }
            None => anyhow!("the lake has no table yet; run `datalake process`"),
        }
    }
}

/// The kind of a problem: the end of its `type`.
fn kind_of(problem: &Document) -> &str {
    let kind = problem.get("type").text().and_then(|kind| kind.rsplit_once('#'));
    kind.map(|(_, kind)| kind).unwrap_or_default()
}

/// The error for a problem of the API.
fn error_of(status: u16, kind: &str, problem: &Document) -> anyhow::Error {
    let detail = problem.get("detail").text().unwrap_or("the request failed");
    let is_permanent = (400..500).contains(&status) && ![408, 409, 425, 429].contains(&status);
    anyhow::Error::new(ProblemError {
        detail: detail.to_owned(),
        kind: kind.to_owned(),
        is_permanent,
    })
}

/// A document of the API.
struct Received {
    document: Document,
    /// The document as the API sends it.
    text: String,
    /// The cursor of the next page.
    next: Option<String>,
}

impl Received {
    /// Prints the document in this format. `rows` is the field with the list of rows.
    fn print(self, format: DocumentFormat, rows: &str, table: impl FnOnce(&Document, Option<&str>) -> String) -> anyhow::Result<u8> {
        let text = match format {
            DocumentFormat::Table => table(&self.document, self.next.as_deref()),
            DocumentFormat::Json => self.text + "\n",
            DocumentFormat::Csv => csv(self.document.get(rows).list()),
        };
        super::print(text.as_bytes())?;
        Ok(0)
    }
}

/// The cursor in the `Link` header to the next page.
fn next_cursor(link: Option<&str>) -> Option<String> {
    let (url, _) = link?.split_once('>')?;
    let (_, cursor) = url.rsplit_once("cursor=")?;
    Some(cursor.split('&').next().unwrap_or(cursor).to_owned())
}

/// The last line of a table that has more pages.
fn next_page(cursor: Option<&str>) -> String {
    cursor.map_or(String::new(), |cursor| format!("next page: cursor={cursor}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_found_in_the_link() {
        let link = "</data?limit=5&cursor=0~abc~1004>; rel=\"next\"";
        assert_eq!(next_cursor(Some(link)).as_deref(), Some("0~abc~1004"));
        assert_eq!(next_cursor(None), None);
    }
}
