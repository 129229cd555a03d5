//! `datalake doctor`

use std::sync::Arc;

use datalake_core::{count::count, dataset::Dataset, run::RunOutcome, text::counted};
use datalake_processor::{
    doctor::{self, Check, CheckResult},
    options::{RunOptions, Writers},
};
use datalake_store::{lake_url::LakeUrl, masking::mask_urls_in};

use crate::{
    args::{
        self,
        read::{DoctorArgs, DocumentFormat},
    },
    clock,
    csv::csv,
    dataset_file,
    document::Document,
    exit::{self, USAGE},
    lake_arguments::{arguments, with_complete_commands},
    progress::Bar,
    screen::{Cell, Screen, Tone},
    signals,
    table::{Column, table},
};

/// Checks the lake. Returns 0 if no check failed, 1 if a retry may help, and 2 otherwise.
pub(crate) async fn doctor(args: DoctorArgs) -> anyhow::Result<u8> {
    let dataset = dataset_file::dataset(args.dataset.as_deref())?;
    let url = &args.lake.lake;
    let bar = Bar::waiting(&format!("checking {url}"));
    let checks = examine(&args, dataset, &bar).await?;
    bar.clear();
    let Some(checks) = checks else {
        return Ok(RunOutcome::Stopped.exit_status());
    };
    let checks = with_commands(checks, &arguments(&args.lake));
    let text = match args.output.output {
        DocumentFormat::Table => render(&checks, Screen::stdout()),
        DocumentFormat::Json => document(url, &checks).to_json()? + "\n",
        DocumentFormat::Csv => csv(document(url, &checks).get("checks").list()),
    };
    super::print(text.as_bytes())?;
    Ok(status(&checks))
}

/// The checks; none if a signal stopped them.
async fn examine(args: &DoctorArgs, dataset: Option<Arc<Dataset>>, bar: &Bar) -> anyhow::Result<Option<Vec<Check>>> {
    let lake = match super::open(&args.lake).await {
        Ok(lake) => lake,
        Err(error) => return Ok(Some(vec![settings(Err(&error), &args.lake.lake)])),
    };
    let options = RunOptions {
        dataset,
        writers: if args.single_writer { Writers::Single } else { Writers::Many },
        cancel: signals::cancelled_by_signals()?,
        ..RunOptions::new(args::new_run_id(clock::now()), clock::now)
    };
    let checked = doctor::examine(&lake, &options, &|name| bar.set_message(&format!("checking {name}"))).await;
    Ok(checked.map(|checks| {
        let settings = settings(Ok(lake.bucket.identity()), &args.lake.lake);
        let credentials = credentials(&args.lake.lake, &checks);
        [vec![settings, credentials], checks].concat()
    }))
}

/// The check of the settings, which passes if the lake can be opened. `store` is the store and the lake's location in it.
fn settings(store: Result<String, &anyhow::Error>, url: &LakeUrl) -> Check {
    let check = Check {
        name: "settings",
        result: CheckResult::Ok,
        found: String::new(),
        remedy: None,
        is_transient: false,
    };
    match store {
        Ok(store) => Check {
            found: format!("{url} is {}", mask_urls_in(&store)),
            ..check
        },
        Err(error) => {
            let message = exit::message(error);
            let (found, remedy) = message
                .rsplit_once("; ")
                .map_or((&*message, None), |(found, remedy)| (found, Some(remedy)));
            Check {
                result: CheckResult::Failed,
                found: found.to_owned(),
                remedy: remedy.map(ToOwned::to_owned),
                is_transient: exit::status_of(error) != USAGE,
                ..check
            }
        }
    }
}

/// The check of the credentials: the store accepts them if it permits anything.
fn credentials(url: &LakeUrl, checks: &[Check]) -> Check {
    let is_permission = |check: &&Check| matches!(check.name, "list" | "read" | "write");
    let permissions: Vec<&Check> = checks.iter().filter(is_permission).collect();
    let first = permissions.iter().find(|check| check.result == CheckResult::Failed);
    let (result, found, remedy) = match (url, first) {
        (LakeUrl::Folder(_), _) => (CheckResult::Skipped, "a folder needs no credentials".to_owned(), None),
        (_, Some(first)) if permissions.iter().all(|check| check.result != CheckResult::Ok) => {
            (CheckResult::Failed, "the store permits no request".to_owned(), first.remedy.clone())
        }
        _ => (CheckResult::Ok, "the store accepts the credentials".to_owned(), None),
    };
    Check {
        name: "credentials",
        result,
        found,
        remedy,
        is_transient: first.is_some_and(|check| check.is_transient),
    }
}

fn status(checks: &[Check]) -> u8 {
    let mut failed = checks.iter().filter(|check| check.result == CheckResult::Failed).peekable();
    match (failed.peek().is_none(), failed.all(|check| check.is_transient)) {
        (true, _) => RunOutcome::Succeeded.exit_status(),
        (false, true) => RunOutcome::Failed.exit_status(),
        (false, false) => RunOutcome::Misconfigured.exit_status(),
    }
}

/// The checks with complete commands in their remedies.
fn with_commands(checks: Vec<Check>, lake: &str) -> Vec<Check> {
    let complete = |check: Check| Check {
        remedy: check.remedy.map(|remedy| with_complete_commands(&remedy, lake)),
        ..check
    };
    checks.into_iter().map(complete).collect()
}

/// The checks as a table. The remedy of a check has the next line.
fn render(checks: &[Check], screen: Screen) -> String {
    let rows: Vec<Vec<Cell>> = checks
        .iter()
        .flat_map(|check| {
            let tone = match check.result {
                CheckResult::Ok => Tone::Good,
                CheckResult::Warning => Tone::Warning,
                CheckResult::Failed => Tone::Bad,
                CheckResult::Skipped => Tone::Faint,
            };
            let finding = vec![
                check.name.into(),
                Cell::new(check.result.as_str(), tone),
                check.found.as_str().into(),
            ];
            let remedy = check
                .remedy
                .as_deref()
                .map(|remedy| vec![Cell::default(), Cell::new("remedy", Tone::Strong), remedy.into()]);
            std::iter::once(finding).chain(remedy)
        })
        .collect();
    let columns = ["CHECK", "RESULT", "FINDING"];
    let text = table(columns.map(Column::text).into(), &rows, screen);
    let number = |result| count(checks.iter().filter(|check| check.result == result).count());
    text + &format!(
        "{} ok, {}, {} failed, {} skipped\n",
        number(CheckResult::Ok),
        counted(number(CheckResult::Warning), "warning", "warnings"),
        number(CheckResult::Failed),
        number(CheckResult::Skipped)
    )
}

fn document(url: &LakeUrl, checks: &[Check]) -> Document {
    let text = |text: &str| Document::Text(text.to_owned());
    let object =
        |fields: Vec<(&str, Document)>| Document::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let rows = checks.iter().map(|check| {
        object(vec![
            ("name", text(check.name)),
            ("result", text(check.result.as_str())),
            ("found", text(&check.found)),
            ("remedy", check.remedy.as_deref().map_or(Document::Null, text)),
        ])
    });
    object(vec![
        ("lake", text(&url.to_string())),
        ("ok", Document::Bool(checks.iter().all(|check| check.result != CheckResult::Failed))),
        ("checks", Document::List(rows.collect())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedy_has_its_own_line_with_a_complete_command() {
        let check = |name, result, found: &str, remedy: Option<&str>| Check {
            name,
            result,
            found: found.to_owned(),
            remedy: remedy.map(ToOwned::to_owned),
            is_transient: false,
        };
        let checks = vec![
            check("list", CheckResult::Ok, "3 objects", None),
            check(
                "table",
                CheckResult::Warning,
                "there is no table yet",
                Some("run `datalake process`"),
            ),
        ];
        let screen = Screen {
            has_color: false,
            width: None,
        };
        assert_eq!(
            render(&with_commands(checks, "--lake ./lake"), screen),
            "CHECK  RESULT   FINDING\n\
             list   ok       3 objects\n\
             table  warning  there is no table yet\n       \
             remedy   run `datalake process --lake ./lake`\n\
             1 ok, 1 warning, 0 failed, 0 skipped\n"
        );
    }
}
