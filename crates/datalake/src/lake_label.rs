//! How pages name the lake, from the arguments.

use datalake_api::lake_label::LakeLabel;
use datalake_store::lake_url::LakeUrl;

use crate::{
    args::{LakeArgs, PageArgs},
    lake_arguments::arguments,
};

/// The label of the lake that the arguments select.
pub(crate) fn lake_label(lake: &LakeArgs, page: &PageArgs) -> LakeLabel {
    let title = page.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    let (name, address) = match &lake.lake {
        LakeUrl::S3 { bucket, prefix } => (format!("{bucket}/{prefix}").trim_end_matches('/').to_owned(), lake.lake.to_string()),
        LakeUrl::Folder(folder) => {
            // `.` has no name of its own.
            let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            let name = absolute
                .components()
                .next_back()
                .map(|name| name.as_os_str().to_string_lossy().into_owned());
            (name.unwrap_or_default(), lake.lake.to_string())
        }
    };
    LakeLabel::new(title.map(str::to_owned), name, address, arguments(lake))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[track_caller]
    fn check(arguments: &[&str], name: &str, expected: &str) {
        let cli = Cli::try_parse_from(["datalake", "up"].iter().chain(arguments)).unwrap();
        let Command::Up(up) = cli.command else { panic!("{cli:?}") };
        let label = lake_label(&up.lake, &up.page);
        assert_eq!((label.name(), label.arguments()), (Some(name), expected));
    }

    #[test]
    fn lake_is_named_by_its_title_bucket_or_folder() {
        check(&["--lake", "s3://bucket"], "bucket", "--lake s3://bucket");
        check(&["--lake", "s3://bucket/a/b"], "bucket/a/b", "--lake s3://bucket/a/b");
        check(&["--lake", "/data/my lake"], "my lake", "--lake '/data/my lake'");
        check(&["--lake", "/data/it's"], "it's", r"--lake '/data/it'\''s'");
        check(&["--lake", "s3://bucket", "--title", "Sales"], "Sales", "--lake s3://bucket");
        check(&["--lake", "s3://bucket", "--title", " "], "bucket", "--lake s3://bucket");
    }

    #[test]
    fn arguments_select_the_same_store() {
        check(
            &[
                "--lake",
                "s3://bucket",
                "--s3-endpoint",
                "http://e:9000",
                "--s3-region",
                "r",
                "--s3-addressing",
                "path",
            ],
            "bucket",
            "--lake s3://bucket --s3-endpoint http://e:9000 --s3-region r --s3-addressing path",
        );
    }
}
