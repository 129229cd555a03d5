//! `output.csv`: the rows as RFC 4180, LF, sorted by user id. The same rows make the same bytes.

use datalake_core::keys;
use datalake_table::{columns::RowView, error::TableError, table::Table, version::Version};
use futures_util::TryStreamExt;

const HEADER: &str = "user_id,first_name,last_name,birthts,img_path\n";

/// The whole file of a version. Reads one segment after the other.
pub(crate) async fn render(table: &Table, version: &Version) -> Result<Vec<u8>, TableError> {
    /// A guess at a line's length, so that the buffer grows a few times only.
    const LINE_BYTES: u64 = 80;
    let capacity = usize::try_from(version.row_count().saturating_mul(LINE_BYTES)).unwrap_or_default();
    let mut text = String::with_capacity(HEADER.len() + capacity);
    text.push_str(HEADER);
    let mut batches = table.shown(version);
    while let Some(rows) = batches.try_next().await? {
        for row in rows.iter() {
            push_line(&mut text, row);
        }
    }
    Ok(text.into_bytes())
}

fn push_line(text: &mut String, row: RowView<'_>) {
    push_field(text, row.user_id);
    text.push(',');
    push_field(text, row.first_name);
    text.push(',');
    push_field(text, row.last_name);
    text.push(',');
    text.push_str(&row.birth.as_ms().to_string());
    text.push(',');
    if row.has_image {
        text.push_str(&keys::image(row.user_id));
    }
    text.push('\n');
}

/// Quotes where RFC 4180 asks for it, and about blanks at an end, which many readers drop otherwise.
fn push_field(text: &mut String, field: &str) {
    let needs_quotes = field.contains(['"', ',', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ');
    if needs_quotes {
        text.push('"');
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::user::BirthTimestamp;

    use super::*;

    #[track_caller]
    fn check(last_name: &str, has_image: bool, expected: &str) {
        let mut text = String::new();
        let birth = BirthTimestamp::from_ms(-1).unwrap();
        push_line(
            &mut text,
            RowView {
                user_id: "0001",
                first_name: "Ada",
                last_name,
                birth,
                has_image,
            },
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn lines() {
        check("Lee", false, "0001,Ada,Lee,-1,\n");
        check("Lee", true, "0001,Ada,Lee,-1,processed_data/images/0001.png\n");
        check("Lee, Jr", false, "0001,Ada,\"Lee, Jr\",-1,\n");
        check("Lee \"the Bee\"", false, "0001,Ada,\"Lee \"\"the Bee\"\"\",-1,\n");
        check("Lee\r\nSmith", false, "0001,Ada,\"Lee\r\nSmith\",-1,\n");
        check(" Lee", false, "0001,Ada,\" Lee\",-1,\n");
        check("=cmd()", false, "0001,Ada,=cmd(),-1,\n");
    }
}
