//! Every code of the input rules, as a run records it: one test per code, with the name of the code. The tests of `datalake-core` cover the input
//! that leads to a code.

use datalake_core::reject::{IgnoreCode, Notice, RejectCode};

use crate::lake::{COPIES, TestLake, csv, png};

/// Two valid users, one with an image; then an object that is rejected or ignored with `code`. No row changes: the last valid row of `1` is kept.
fn check_rejected(code: &str, name: &str, bytes: impl Into<bytes::Bytes>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let lake = TestLake::new();
        lake.put("0.csv", csv("Ada", "Lee", 1)).await;
        lake.put("1.csv", csv("Eve", "Fox", 2)).await;
        lake.put("1.png", png("valid")).await;
        lake.run().await;
        let before = (lake.output().await, lake.rows().await, lake.objects(COPIES).await);
        assert!(before.0.contains("1,Eve,Fox,2,processed_data/images/1.png"), "{before:?}");

        lake.put(name, bytes).await;
        let report = lake.run().await;
        assert_eq!(lake.rejects().await, [format!("{name} {code}")]);
        let is_rejected = RejectCode::parse(code).is_some();
        assert_eq!(
            (report.counts.rejected, report.counts.ignored),
            (u64::from(is_rejected), u64::from(!is_rejected))
        );
        let after = (lake.output().await, lake.rows().await, lake.objects(COPIES).await);
        assert_eq!(after, before, "no row changes");
        let again = lake.run().await;
        assert_eq!(
            (again.committed, again.counts.rejects_open),
            (Some(false), u64::from(is_rejected)),
            "it was recorded"
        );
    });
}

/// A CSV that is accepted with `code` in the report.
fn check_noticed(code: &str, rows: &str) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let lake = TestLake::new();
        lake.put("1.csv", format!("first_name,last_name,birthts\n{rows}\n")).await;
        let report = lake.run().await;
        let notices: Vec<_> = report.notices.iter().map(|notice| (&*notice.key, &*notice.code)).collect();
        assert_eq!(notices, [("src-data/1.csv", code)]);
        let is_normalized = Notice::parse(code).unwrap().is_normalized();
        assert_eq!(
            (report.counts.normalized, report.counts.warnings),
            (u64::from(is_normalized), u64::from(!is_normalized))
        );
        assert!(lake.output().await.contains("\n1,Ada,Lee,") && lake.rejects().await.is_empty());
    });
}

/// The code of an identifier: a code that is a Rust keyword is written as a raw identifier.
const fn code(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Defines a test per code, and the list of these codes.
macro_rules! codes {
    ($tested:ident by $check:ident: $($code:ident($($argument:expr),+);)+) => {
        const $tested: &[&str] = &[$(code(stringify!($code))),+];
        $(
            #[test]
            fn $code() {
                $check(code(stringify!($code)), $($argument),+);
            }
        )+
    };
}

fn with_name(name: &str) -> String {
    csv(name, "Fox", 2)
}

fn with_birth(birthts: &str) -> String {
    format!("first_name,last_name,birthts\nEve,Fox,{birthts}\n")
}

codes! { REJECTED by check_rejected:
    bad_id("a b.csv", csv("Eve", "Fox", 2));
    shadowed("1.CSV", csv("Shadow", "Fox", 2));
    unknown_kind("notes.txt", "a note");
    temporary("._1.csv", csv("Eve", "Fox", 2));
    nested("a/1.csv", csv("Eve", "Fox", 2));
    orphan_image("2.png", png("orphan"));
    multiple_rows("1.csv", "first_name,last_name,birthts\nEve,Fox,2\nEve,Fox,3\n");
    empty("1.csv", "");
    not_csv("1.csv", &b"\x1f\x8b\x08\0\0\0\0\0"[..]);
    missing_column("1.csv", "first_name,birthts\nEve,2\n");
    duplicate_column("1.csv", "first_name,last_name,last_name,birthts\nEve,Fox,Fox,2\n");
    no_header("1.csv", "Eve,Fox,2\n");
    delimiter("1.csv", "first_name;last_name;birthts\nEve;Fox;2\n");
    field_count("1.csv", "first_name,last_name,birthts\nEve,Fox\n");
    quote("1.csv", "first_name,last_name,birthts\n\"Eve,Fox,2\n");
    encoding("1.csv", &b"first_name,last_name,birthts\nEv\xe9,Fox,2\n"[..]);
    control_character("1.csv", with_name("E\0ve"));
    value_empty("1.csv", with_name(""));
    value_too_long("1.csv", with_name(&"e".repeat(1_001)));
    too_large("1.csv", csv("Eve", "Fox", 2) + &"\n".repeat(64 * 1024));
    r#type("1.csv", with_birth("1989-05-27"));
    out_of_range("1.csv", with_birth("-3786825600001"));
    in_future("1.csv", with_birth("9223372036854775807"));
    image_not_png("1.png", &b"\xff\xd8\xff\xe0JFIF"[..]);
    image_damaged("1.png", png("cut short")[..40].to_vec());
    image_too_large("1.png", vec![0; 8 * 1024 * 1024 + 1]);
}

codes! { NOTICED by check_noticed:
    repeated_row("Ada,Lee,612302400000\nAda,Lee,612302400000");
    trimmed("\u{a0}Ada,Lee\u{200b},612302400000");
    number_format("Ada,Lee,612302400000.0");
    maybe_seconds("Ada,Lee,612302400");
}

/// Codes that this store cannot cause: `unreadable_sources.rs` tests the first two, and only a folder contains objects that are not files.
const OF_OTHER_STORES: [&str; 3] = ["unreadable", "unstable", "not_a_file"];

/// Codes that sources of users cannot cause, because their columns have no such constraint and their files are PNGs.
const OF_OTHER_DATASETS: [&str; 3] = ["constraint", "file_type", "file_too_large"];

#[test]
fn every_code_has_a_test() {
    let rejected = RejectCode::ALL.iter().map(|code| code.as_str());
    let mut codes: Vec<_> = IgnoreCode::ALL.iter().map(|code| code.as_str()).chain(rejected).collect();
    let mut tested = REJECTED.to_vec();
    codes.sort_unstable();
    tested.extend(OF_OTHER_STORES);
    tested.extend(OF_OTHER_DATASETS);
    tested.sort_unstable();
    assert_eq!(tested, codes);
    let mut notices: Vec<_> = Notice::ALL.iter().map(|notice| notice.as_str()).collect();
    let mut tested = NOTICED.to_vec();
    notices.sort_unstable();
    tested.sort_unstable();
    assert_eq!(tested, notices);
}
