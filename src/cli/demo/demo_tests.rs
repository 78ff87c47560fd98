use super::*;
use crate::cli::args::Globals;
use crate::cli::output::Verbosity;
use crate::cli::output::tests::papers;
use crate::sys::stop::Stop;
use std::sync::Arc;

#[test]
fn every_claim_of_the_demo_holds_and_nothing_else_is_left_but_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (output, data, aside) = papers(false, Verbosity::Normal);
    let program = Program::new(Globals::default(), Arc::new(output), Stop::new());
    let demo = Demo { keep: Some(folder.path().join("demo")) };
    let outcome = demo.run(&program);
    assert!(matches!(outcome, Ok(Exit::Done)), "{outcome:?}\n{}\n{}", data.text(), aside.text());
    assert!(!data.text().contains("FAILED") && data.text().matches("proven: ").count() >= 10, "{}", data.text());
    let mut left: Vec<_> = std::fs::read_dir(folder.path().join("demo")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["live", "local", "repository", "windlass.toml"]);
    assert!(matches!(demo.run(&program), Err(Failure::Usage(_))));
}

#[test]
fn a_claim_that_does_not_hold_fails_the_demo() {
    let (output, data, _) = papers(false, Verbosity::Normal);
    let mut claims = Claims::default();
    claims.check(&output, "two is three", "counted", false);
    claims.check(&output, "two is two", "counted", true);
    assert_eq!(claims.failed(), 1);
    assert!(data.text().contains("FAILED: two is three (counted)"));
}

#[test]
fn a_path_is_quoted_for_a_shell_where_it_must_be() {
    assert_eq!(shell_quoted("/a/b-c.d"), "/a/b-c.d");
    assert_eq!(shell_quoted("/it's here"), r"'/it'\''s here'");
}
