//! `datalake man`

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use jiff::{Timestamp, tz::TimeZone};

use crate::{args::help, clock, exit::UsageError, traces};

/// Prints the main page, or writes a page for each command to a folder.
pub(crate) fn man(dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let date = date()?;
    let mut command = help::command().disable_help_subcommand(true);
    command.build();
    match dir {
        None => {
            let mut text = Vec::new();
            page(&command, &date).render(&mut text)?;
            super::print(&text)?;
        }
        Some(dir) => {
            let failed = |error| {
                UsageError(format!(
                    "cannot write man pages to {}: {error}; choose another folder",
                    dir.display()
                ))
            };
            fs::create_dir_all(&dir).map_err(failed)?;
            let pages = write_pages(&command, &date, &dir).map_err(failed)?;
            super::print(format!("{pages} pages written to {}\n", dir.display()).as_bytes())?;
        }
    }
    Ok(0)
}

/// Writes the pages of a command and its subcommands, and returns their number.
fn write_pages(command: &Command, date: &str, dir: &Path) -> std::io::Result<u32> {
    let mut pages = 1;
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages += write_pages(command, date, dir)?;
    }
    let page = page(command, date);
    let mut file = File::create(dir.join(page.get_filename()))?;
    page.render(&mut file)?;
    file.flush()?;
    Ok(pages)
}

/// A page in the form of man-pages(7), with a title in upper case and a date.
fn page(command: &Command, date: &str) -> Man {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    Man::new(command.clone())
        .title(name.to_uppercase())
        .date(date)
        .source(concat!("datalake ", env!("CARGO_PKG_VERSION")))
        .manual("datalake manual")
}

/// Today, or the date of `SOURCE_DATE_EPOCH` for reproducible packages: <https://reproducible-builds.org/specs/source-date-epoch/>
fn date() -> anyhow::Result<String> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let time = match traces::variable(NAME) {
        None => clock::now(),
        Some(text) => {
            let seconds = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            seconds
                .ok_or_else(|| UsageError(format!("{NAME} is `{text}`, which is not a number of seconds since 1970")))
                .context("cannot date the man pages")?
        }
    };
    Ok(time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string())
}
