//! Extracts the files that `/docs` needs from the archive of Swagger UI, and compresses them for the executable.

use std::{
    borrow::Cow,
    env,
    error::Error,
    fs::File,
    io::{self, Cursor},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const FILES: [&str; 3] = ["favicon-32x32.png", "swagger-ui.css", "swagger-ui-bundle.js"];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes the output directory of a build script in the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let paths = archive.file_names().map(|path| path.map(Cow::into_owned));
    let paths: Vec<String> = paths.collect::<Result<_, _>>()?;
    for name in FILES {
        // The name of the top directory contains the version.
        let is_requested = |path: &&String| path.split_once('/').is_some_and(|(_, rest)| rest == format!("dist/{name}"));
        let path = paths.iter().find(is_requested).ok_or_else(|| format!("Swagger UI has no {name}"))?;
        let compressed = File::create(Path::new(&folder).join(format!("{name}.gz")))?;
        let mut encoder = GzEncoder::new(compressed, Compression::best());
        io::copy(&mut archive.by_name(path)?, &mut encoder)?;
        encoder.finish()?;
    }
    Ok(())
}
