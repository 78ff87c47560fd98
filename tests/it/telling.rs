//! What the program tells whoever runs it.

use serde_json::json;

use crate::support::program::Machine;

#[test]
fn diff_prints_nothing_before_it_knows_both_snapshots_and_then_says_which() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    machine.write("a", b"22");
    machine.run(&["backup", "tree"]).expect(0);
    for names in [["tree/latest", "tree/2001"], ["tree/2001", "tree/latest"], ["tree/2", "tree/latest"]] {
        let run = machine.run(&["--json", "diff", names[0], names[1]]);
        assert_eq!(run.expect(6).stdout, "");
    }
    let ids: Vec<String> = machine.listed().into_iter().map(|(id, _)| format!("tree/{id}")).collect();
    let document = machine.json(&["diff", &ids[0], "tree/latest"], 0);
    assert_eq!((&document["before"], &document["after"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(document["summary"]["changed"], json!(1));
}
