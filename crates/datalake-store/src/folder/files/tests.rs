//! Tests of the probe for hard links.

use super::*;

#[test]
fn try_hard_link_succeeds_and_removes_its_link() {
    let root = tempfile::tempdir().unwrap();
    let files = Files::new(root.path().to_owned());
    let written = files.write_temporary("a", b"x", &Metadata::new()).unwrap();
    Files::try_hard_link(&written).unwrap();
    assert_eq!(fs::read_dir(root.path().join(PRIVATE).join("tmp")).unwrap().count(), 1);
}
