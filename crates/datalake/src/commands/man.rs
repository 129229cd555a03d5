//! `datalake man`

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;

/// Prints the page of the whole, or writes a page for each command into a folder.
pub(crate) fn man(dir: Option<PathBuf>) -> anyhow::Result<u8> {
    match dir {
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            super::print(&page)?;
        }
        Some(dir) => {
            fs::create_dir_all(&dir).with_context(|| format!("the folder cannot be made, dir={}", dir.display()))?;
            clap_mangen::generate_to(Cli::command(), &dir)
                .with_context(|| format!("the pages cannot be written, dir={}", dir.display()))?;
        }
    }
    Ok(0)
}
