//! A lake of other rows than users: its declaration, its runs and its queries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{check_status, csv, datalake};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/orders").join(path)
}

struct Lake(TempDir);

impl Lake {
    /// A lake without declaration, with the sources of the orders.
    fn of_orders() -> Self {
        let lake = Self(TempDir::new().unwrap());
        fs::create_dir(lake.0.path().join("src-data")).unwrap();
        for entry in fs::read_dir(example("src-data")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, lake.0.path().join("src-data").join(path.file_name().unwrap())).unwrap();
        }
        lake
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn declared() -> Self {
        let lake = Self::of_orders();
        fs::copy(example("dataset.toml"), lake.0.path().join("dataset.toml")).unwrap();
        lake
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = datalake();
        command.arg(name).arg("--lake").arg(self.0.path()).args(arguments);
        command.output().unwrap()
    }

    #[track_caller]
    fn json(&self, name: &str, arguments: &[&str], status: i32) -> Value {
        let output = self.command(name, &[arguments, &["--output", "json"]].concat());
        check_status(&output, status);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn ids(&self, parameters: &str) -> Vec<String> {
        let rows = self.json("query", &[parameters, "select=order_id"], 0);
        let ids = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["order_id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    #[track_caller]
    fn check_error(&self, name: &str, arguments: &[&str], status: i32, word: &str) {
        let output = self.command(name, arguments);
        check_status(&output, status);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }

    fn output(&self) -> String {
        fs::read_to_string(self.0.path().join("processed_data/output.csv")).unwrap()
    }
}

const OUTPUT: &str = "\
order_id,customer,ordered,quantity,total,state,coupon,invoice_path
A-1001,Zoë Müller,2026-02-03,2,59.8,paid,,src-data/A-1001.pdf
A-1002,Köln Traders,2025-11-17,120,1234.5,sent,WINTER,src-data/A-1002.pdf
A-1003,Ada Lee,2026-11-24,1,0.99,new,,
A-1004,José; Söhne,2024-02-29,7,70,sent,LEAP,
";

#[test]
fn declared_rows_are_processed_and_queried() {
    let lake = Lake::declared();
    let report = lake.json("process", &[], 0);
    assert_eq!(report["counts"]["added"], 4, "{report}");
    assert_eq!(lake.output(), OUTPUT);
    let row = &lake.json("query", &["order_id=A-1002"], 0)[0];
    let expected = json!({
        "order_id": "A-1002", "customer": "Köln Traders", "ordered": "2025-11-17", "quantity": 120, "total": 1234.5, "state": "sent",
        "coupon": "WINTER", "invoice_path": "src-data/A-1002.pdf", "ordered_year": 2025, "invoiced": true,
    });
    assert_eq!(row, &expected);
    lake.check_error("query", &["min_total=59,8"], 2, "min_total: must be a number");
    assert_eq!(lake.ids("min_total=59.8&order=total.desc"), ["A-1002", "A-1004", "A-1001"]);
    assert_eq!(lake.ids("min_ordered"), ["A-1004"]);
    assert_eq!(lake.ids("max_ordered_year=2025"), ["A-1002", "A-1004"]);
    assert_eq!(lake.ids("is_invoice_exists=False&state=sent"), ["A-1004"]);
    assert_eq!(lake.ids("coupon__isnull=1"), ["A-1001", "A-1003"]);
    lake.put(
        "src-data/A-1003.csv",
        "Kunde;Bestellt am;Menge;Summe;Status;Gutschein\nAda Lee;24.11.2026;1;0,99;lost;\n",
    );
    let report = lake.json("process", &[], 0);
    assert_eq!(
        (&report["counts"]["changed"], &report["counts"]["rejected"]),
        (&json!(0), &json!(1)),
        "{report}"
    );
    assert_eq!(lake.output(), OUTPUT, "the last valid row is kept");
}

#[test]
fn files_have_the_declared_type() {
    let lake = Lake::declared();
    lake.put("src-data/A-1003.pdf", "no PDF");
    lake.json("process", &[], 0);
    assert_eq!(lake.output(), OUTPUT);
    assert_eq!(lake.json("rejects", &[], 0)["rejects"][0]["code"], "file_type");
    lake.put("src-data/A-1003.pdf", "%PDF-1.7\n");
    lake.json("process", &[], 0);
    assert!(lake.output().contains(",src-data/A-1003.pdf\n"), "{}", lake.output());
    assert!(!lake.0.path().join("processed_data/images").exists(), "no file is copied");
}

#[test]
fn declaration_of_the_command_line_must_equal_that_of_the_lake() {
    let (lake, file) = (Lake::of_orders(), example("dataset.toml"));
    let given = ["--dataset", file.to_str().unwrap()];
    lake.json("process", &given, 0);
    assert_eq!(lake.output(), OUTPUT);
    lake.put("dataset.toml", &format!("# A comment\n{}", fs::read_to_string(&file).unwrap()));
    let report = lake.json("process", &given, 0);
    assert_eq!(report["committed"], false, "comments are no change: {report}");
    lake.put(
        "dataset.toml",
        &fs::read_to_string(&file).unwrap().replace("minimum = 1 ", "minimum = 2 "),
    );
    lake.check_error("process", &given, 2, "dataset.toml");
    assert_eq!(lake.json("process", &[&given[..], &["--dry-run"]].concat(), 0)["steps"], json!([]));
    assert_eq!(lake.output(), OUTPUT);
}

#[test]
fn invalid_declarations_change_nothing() {
    let lake = Lake::of_orders();
    for (declaration, word) in [
        ("[source]\nkey = 'src-data/{id}.csv'\n[columns]\nx = 'strin'\n", "string"),
        ("[source]\nkey = 'src-data/{id}.json'\n", "json"),
        ("[source]\nkey = 'src-data/{id}.csv.gz'\n", "compress"),
    ] {
        lake.put("dataset.toml", declaration);
        lake.check_error("process", &[], 2, word);
        lake.check_error("doctor", &[], 2, word);
        assert!(!lake.0.path().join("processed_data/users").exists(), "{declaration}");
    }
}

#[test]
fn changed_declaration_is_one_version_and_its_removals_are_guarded() {
    let lake = Lake::declared();
    lake.json("process", &[], 0);
    let text = fs::read_to_string(example("dataset.toml")).unwrap();
    lake.put("dataset.toml", &text.replace("minimum = 1 ", "minimum = 500 "));
    let report = lake.json("process", &["--max-reject-ratio", "0.5"], 4);
    assert_eq!(report["committed"], false, "{report}");
    assert_eq!(lake.output(), OUTPUT);

    lake.put(
        "dataset.toml",
        &text
            .replace("[derived]", "[derived]\nlength = \"length(customer)\"")
            .replace("quantity", "pieces"),
    );
    let report = lake.json("process", &[], 0);
    assert_eq!(report["version"], 1, "{report}");
    assert_eq!(lake.output(), OUTPUT.replace("quantity", "pieces"));
    assert_eq!(
        lake.json("query", &["order_id=A-1001&select=pieces,length"], 0),
        json!([{ "pieces": 2, "length": 10 }])
    );
    let earlier = lake.json("query", &["order_id=A-1001&select=quantity&version=0"], 0);
    assert_eq!(earlier, json!([{ "quantity": 2 }]), "a version has its own declaration");
    assert_eq!(lake.json("process", &[], 0)["committed"], false);
}

#[test]
fn init_uploads_a_valid_declaration() {
    let lake = Lake(TempDir::new().unwrap());
    let (declaration, sources) = (example("dataset.toml"), example("src-data"));
    let arguments = ["--dataset", declaration.to_str().unwrap(), "--from", sources.to_str().unwrap()];
    let path = lake.0.path().display();
    let effect = format!("see its effect with `datalake process --lake {path} --dry-run`\n");
    lake.check_error("init", &arguments, 0, &format!("dataset.toml uploaded\n{effect}"));
    assert_eq!(
        fs::read(lake.0.path().join("dataset.toml")).unwrap(),
        fs::read(&declaration).unwrap()
    );
    lake.check_error("init", &arguments, 0, "dataset.toml unchanged\n0 sources uploaded");
    let text = fs::read_to_string(&declaration).unwrap();
    lake.put("dataset.toml", &format!("# A comment\n{text}"));
    lake.check_error("init", &arguments, 0, &format!("dataset.toml replaced\n{effect}"));
    lake.json("process", &[], 0);
    assert_eq!(lake.output(), OUTPUT);
    lake.put("broken.toml", "[source]\n");
    let broken = lake.0.path().join("broken.toml");
    lake.check_error("init", &["--dataset", broken.to_str().unwrap()], 2, "broken.toml");
    assert_eq!(
        fs::read(lake.0.path().join("dataset.toml")).unwrap(),
        fs::read(&declaration).unwrap()
    );
}

#[test]
fn init_uploads_the_sources_of_several_folders() {
    let from = Lake(TempDir::new().unwrap());
    let key = "source.key = 'samples/{plate}/{well}.csv'\ncolumns.value = 'integer'\n";
    let scan = |folder: &str| format!("{key}[files.scan]\nkey = '{folder}/{{plate}}/{{well}}.png'\ntypes = ['image/png']\n");
    let check = |scans: &str, from_folder: &str, expected: &[&str], message: &str| {
        let lake = Lake(TempDir::new().unwrap());
        from.put("dataset.toml", &scan(scans));
        let (declaration, folder) = (from.0.path().join("dataset.toml"), from.0.path().join(from_folder));
        let arguments = ["--dataset", declaration.to_str().unwrap(), "--from", folder.to_str().unwrap()];
        lake.check_error("init", &arguments, 0, message);
        for key in expected {
            assert!(lake.0.path().join(key).is_file(), "{key} of {scans}");
        }
        lake.check_error(
            "init",
            &arguments,
            0,
            &format!("0 sources uploaded, {} already there", expected.len()),
        );
    };
    for key in [
        "samples/P1/A01.csv",
        "samples/scans/P1/A01.png",
        "scans/P1/A01.png",
        "other/P1/A01.csv",
    ] {
        from.put(key, "value\n1\n");
    }
    check("scans", "", &["samples/P1/A01.csv", "scans/P1/A01.png"], "2 sources uploaded");
    check(
        "samples/scans",
        "samples",
        &["samples/P1/A01.csv", "samples/scans/P1/A01.png"],
        "2 sources uploaded",
    );
    let inner = from.0.path().join("other").display().to_string();
    from.put("dataset.toml", &scan("scans"));
    let declaration = from.0.path().join("dataset.toml").display().to_string();
    Lake(TempDir::new().unwrap()).check_error(
        "init",
        &["--dataset", &declaration, "--from", &inner],
        2,
        "pass the folder that contains samples/ and scans/ to --from",
    );
    let empty = Lake(TempDir::new().unwrap());
    let arguments = ["--dataset", &format!("{}/dataset.toml", from.0.path().display())];
    from.put("dataset.toml", &scan("scans"));
    empty.check_error(
        "init",
        &arguments,
        0,
        "next: put samples/{plate}/{well}.csv and scans/{plate}/{well}.png files into the lake, then",
    );
    from.put("dataset.toml", key);
    empty.check_error("init", &arguments, 0, "next: put {plate}/{well}.csv files under samples/, then");
}

#[test]
fn invalid_declaration_of_the_lake_is_no_reason_for_a_retry() {
    let lake = Lake::declared();
    lake.json("process", &[], 0);
    lake.put("dataset.toml", "[source]\nkey = 'src-data/{id}.csv'\n[columns]\nx = 'strin'\n");
    lake.check_error("init", &[], 2, "dataset.toml is invalid: line 4, column 5");
    let doctor = lake.json("doctor", &[], 2);
    let checks = doctor["checks"].as_array().unwrap();
    let invalid: Vec<_> = checks
        .iter()
        .filter(|check| check["found"].as_str().unwrap().contains("strin"))
        .collect();
    let [declaration] = invalid[..] else { panic!("{doctor}") };
    assert!(
        declaration["found"].as_str().unwrap().contains("did you mean `string`?"),
        "{declaration}"
    );
    assert!(
        declaration["remedy"].as_str().unwrap().starts_with("correct the declaration"),
        "{declaration}"
    );

    let file = example("dataset.toml");
    let given = ["--dataset", file.to_str().unwrap(), "--dry-run"];
    assert_eq!(lake.json("process", &given, 0)["steps"], json!([]), "the given declaration is used");
}

/// The check of the drift.
#[track_caller]
fn check_drift(lake: &Lake, arguments: &[&str], found: &str, remedy: &str) {
    let doctor = lake.json("doctor", arguments, 0);
    let drift = doctor["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "drift")
        .unwrap();
    let text = |name: &str| drift[name].as_str().unwrap_or_default();
    assert!(text("found").contains(found) && text("remedy").contains(remedy), "{drift}");
}

#[test]
fn doctor_compares_the_declaration_with_that_of_the_table() {
    let lake = Lake::of_orders();
    let file = example("dataset.toml");
    let given = ["--dataset", file.to_str().unwrap()];
    lake.json("process", &given, 0);
    check_drift(&lake, &given, "the table is up to date", "");
    check_drift(&lake, &[], "the default declaration differs from the declaration of version 0", "");
    let text = fs::read_to_string(&file).unwrap();
    lake.put("dataset.toml", &text.replace("minimum = 1 ", "minimum = 500 "));
    let changed = "dataset.toml differs from the declaration of version 0: the next run reads all sources";
    check_drift(&lake, &[], changed, "see its effect with `datalake process --lake ");
    lake.json("process", &["--run-id", "blocked", "--max-reject-ratio", "0.5"], 4);
    check_drift(&lake, &[], "; a guard blocked the last run: ", "--id blocked`");
    lake.check_error("doctor", &given, 2, "datalake init --lake ");
}

#[test]
fn tables_have_the_words_of_the_dataset() {
    let lake = Lake::declared();
    let text = |name: &str, arguments: &[&str], status| {
        let output = lake.command(name, arguments);
        check_status(&output, status);
        String::from_utf8(output.stdout).unwrap()
    };
    let report = text("process", &[], 0);
    assert!(report.contains("4 CSVs, 2 invoices"), "{report}");
    assert!(report.lines().any(|line| line.split_whitespace().eq(["orders", "4"])), "{report}");
    let versions = text("versions", &[], 0);
    assert!(versions.contains(" ORDERS ") && !versions.contains("USERS"), "{versions}");
    for entry in fs::read_dir(lake.0.path().join("src-data")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    lake.put("src-data/A-2.pdf", "%PDF-1.7\n");
    let plan = text("process", &["--dry-run"], 4);
    assert!(plan.contains("if these orders are meant to be removed"), "{plan}");
    let plan = lake.json("process", &["--dry-run"], 4);
    let blocked_by = plan["blocked_by"].as_str().unwrap();
    assert!(
        blocked_by.contains("all 4 orders would be removed") && !blocked_by.contains("users"),
        "{plan}"
    );
    let blocked = text("process", &[], 4);
    assert!(blocked.contains("all 4 orders would be removed"), "{blocked}");
    assert!(blocked.contains("if these orders are meant to be removed"), "{blocked}");
    assert!(blocked.contains("removal of order A-1001"), "{blocked}");
}

#[test]
fn users_become_orders_in_one_version() {
    let lake = Lake::of_orders();
    for entry in fs::read_dir(lake.0.path().join("src-data")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    lake.put("src-data/1.csv", &csv("Ada"));
    lake.json("process", &[], 0);
    lake.put(
        "dataset.toml",
        "title = 'Devices'\nentity = 'device'\nsource.key = 'src-data/{id}.csv'\ncolumns.last_name = 'string'\n",
    );
    lake.json("process", &[], 0);
    assert_eq!(lake.output(), "id,last_name\n1,Lee\n");
    fs::remove_file(lake.0.path().join("dataset.toml")).unwrap();
    lake.json("process", &[], 0);
    assert_eq!(
        lake.output(),
        "user_id,first_name,last_name,birthts,img_path\n1,Ada,Lee,612302400000,\n"
    );
}
