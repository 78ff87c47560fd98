use super::*;
use crate::ops;
use std::sync::Arc;

/// A place to print to that can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Paper(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(locked(&self.0).clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output of two papers: data, and what is beside it.
pub(crate) fn papers(json: bool, verbosity: Verbosity) -> (Output, Paper, Paper) {
    let (data, aside) = (Paper::default(), Paper::default());
    (Output::to(Box::new(data.clone()), Box::new(aside.clone()), json, verbosity), data, aside)
}

struct Gone(io::ErrorKind);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn data_and_what_is_said_beside_it_never_mix() {
    let (output, data, aside) = papers(false, Verbosity::Normal);
    output.line("a row");
    output.note("a note");
    output.detail("a step");
    output.warning("a warning");
    assert_eq!((data.text().as_str(), aside.text().as_str()), ("a row\n", "a note\nwarning: a warning\n"));
    let (output, data, aside) = papers(false, Verbosity::Quiet);
    output.note("a note");
    output.warning("a warning");
    assert_eq!((data.text().as_str(), aside.text().as_str()), ("", "warning: a warning\n"));
}

#[test]
fn a_document_whose_body_fails_on_the_way_says_so_and_printing_goes_on() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeSeq};
            let mut list = serializer.serialize_seq(None)?;
            list.serialize_element("first")?;
            Err(S::Error::custom("the second cannot be read"))
        }
    }
    let (output, data, _) = papers(true, Verbosity::Normal);
    let error = output.long_document("test", &std::collections::BTreeMap::from([("list", Broken)])).unwrap_err();
    assert!(error.to_string().contains("the second cannot be read"), "{error}");
    output.line("after it");
    assert_eq!(data.text(), "{\"schema\":\"windlass.test/1\",\"list\":[\"first\"\nafter it\n");
    output.finish().unwrap();
}

#[test]
fn with_json_every_line_on_either_side_is_json_with_its_schema_or_event() {
    let (output, data, aside) = papers(true, Verbosity::Verbose);
    output.document("list", &serde_json::json!({ "snapshots": [] }));
    output.note("nothing");
    output.warning("a warning");
    output.failure(&ops::Error::Absent("there is none".into()).into(), Exit::Absent);
    assert_eq!(data.text(), "{\"schema\":\"windlass.list/1\",\"snapshots\":[]}\n");
    let events: Vec<serde_json::Value> = aside.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["event"], &events[0]["message"]), (&"warning".into(), &"a warning".into()));
    assert_eq!((&events[1]["event"], &events[1]["exit_code"]), (&"error".into(), &6.into()));
}

#[test]
fn an_error_is_told_with_its_causes_and_help() {
    let (output, _, aside) = papers(false, Verbosity::Quiet);
    let cause = io::Error::new(io::ErrorKind::PermissionDenied, "not yours");
    output.failure(&ops::Error::file("read", "/etc/shadow")(cause).into(), Exit::Failed);
    assert_eq!(aside.text(), "error: read /etc/shadow\n  because: not yours\n  help: run it as the user who may, usually root\n");
}

#[test]
fn a_reader_that_goes_away_ends_the_output_and_is_no_failure() {
    let output = Output::to(Box::new(Gone(io::ErrorKind::BrokenPipe)), Box::new(io::sink()), false, Verbosity::Normal);
    assert!(output.check().is_ok());
    output.line("lost");
    assert_eq!(output.streamed(output.check()).unwrap(), Exit::Done);
    assert!(output.finish().is_ok());
}

#[test]
fn data_that_could_not_be_written_is_a_failure() {
    let output = Output::to(Box::new(Gone(io::ErrorKind::StorageFull)), Box::new(io::sink()), false, Verbosity::Normal);
    output.line("lost");
    assert!(output.streamed(output.check()).is_err());
    assert_eq!(output.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
}
