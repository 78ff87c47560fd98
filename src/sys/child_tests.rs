use std::sync::atomic::AtomicUsize;

use super::*;

fn words(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).into()
}

fn start(script: &str, stop: &Stop) -> Child {
    Child::start(&words(script), &[("PATH", "/usr/bin:/bin".into())], true, Duration::from_secs(20), stop).unwrap()
}

fn all(child: &mut Child) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 100]);
    loop {
        match child.read(&mut buffer).unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            read => text.extend_from_slice(&buffer[..read]),
        }
    }
}

fn is_alive(id: &str) -> bool {
    // A process that has ended and is not waited for yet still has a folder, and no command line.
    std::fs::read(format!("/proc/{}/cmdline", id.trim())).is_ok_and(|line| !line.is_empty())
}

fn wait_for(holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it does not happen");
}

#[test]
fn what_it_writes_what_it_says_and_how_it_ends_are_told() {
    let mut child = start("cat; echo oops >&2; exit 3", &Stop::new());
    assert!(child.write(b"one\n").unwrap());
    child.close_input();
    assert_eq!(all(&mut child), "one\n");
    let ended = child.finish().unwrap();
    assert!(!ended.is_well());
    assert_eq!(ended.how(), "exit code 3; it said: oops");
    let mut child = start("kill -9 $$", &Stop::new());
    assert_eq!(all(&mut child), "");
    assert_eq!(child.finish().unwrap().how(), "killed by signal 9");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Child::start(&["no-such-program".into()], &[], false, TICK, &Stop::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot start the program no-such-program");
}

#[test]
fn a_flood_on_its_standard_error_neither_stops_it_nor_fills_memory() {
    let mut child =
        start("i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done; echo ok", &Stop::new());
    assert_eq!(all(&mut child), "ok\n");
    assert_eq!(child.finish().unwrap().said.len(), SAID_MAX);
}

#[test]
fn its_whole_group_ends_when_it_is_dropped_and_when_the_run_is_stopped() {
    for by_stop in [false, true] {
        let stop = Stop::new();
        let mut child = start("sleep 1000 & echo $!; trap '' TERM; wait; wait", &stop);
        let mut buffer = [0; 20];
        let read = child.read(&mut buffer).unwrap();
        let grandchild = String::from_utf8(buffer[..read].to_vec()).unwrap();
        // Between its fork and its own program it has no command line.
        wait_for(|| is_alive(&grandchild));
        if by_stop {
            stop.request(15);
            assert!(matches!(child.read(&mut buffer), Err(Error::Stopped(_))));
        }
        drop(child);
        wait_for(|| !is_alive(&grandchild));
    }
}

#[test]
fn silence_has_an_end() {
    let mut child =
        Child::start(&words("sleep 1000"), &[("PATH", "/bin".into())], false, Duration::from_millis(300), &Stop::new()).unwrap();
    let error = child.read(&mut [0; 10]).unwrap_err();
    assert!(matches!(error, Error::Program { what: "read from", .. }), "{error}");
}

#[test]
fn writing_to_a_program_that_has_ended_says_so() {
    let mut child = start("exit 7", &Stop::new());
    assert_eq!(all(&mut child), "");
    // More than the pipe holds: another test that starts a program at this very moment may have its reading end for an instant.
    assert!(!child.write(&vec![0; 4 << 20]).unwrap());
    assert_eq!(child.finish().unwrap().how(), "exit code 7");
}

#[test]
fn it_has_the_environment_that_is_named_and_no_other() {
    let mut child = Child::start(&["/usr/bin/env".into()], &[("ONLY", "this".into())], false, TICK * 100, &Stop::new()).unwrap();
    assert_eq!(all(&mut child), "ONLY=this\n");
    assert!(child.finish().unwrap().is_well());
}

#[test]
fn what_is_fed_arrives_whole_although_the_program_is_slow_and_writes_much() {
    // More than any pipe holds goes both ways.
    let script = "sleep 0.3; head -c 4000000 /dev/zero; cksum >&2";
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let hear = move |bytes: &[u8]| {
        count.fetch_add(bytes.len(), Ordering::SeqCst);
    };
    let mut child = Child::feed(&words(script), &[("PATH", "/usr/bin:/bin".into())], Duration::from_secs(20), hear, &Stop::new()).unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for piece in bytes.chunks(700_001) {
        assert!(child.write(piece).unwrap());
    }
    let ended = child.finish_within(Duration::from_secs(20)).unwrap();
    assert!(ended.is_well());
    assert!(ended.said.trim().ends_with(" 3000000"), "{}", ended.said);
    assert_eq!(heard.load(Ordering::SeqCst), 4_000_000);
}

#[test]
fn a_program_that_takes_nothing_is_not_waited_for_for_ever() {
    let time = Duration::from_millis(300);
    let mut child = Child::feed(&words("sleep 1000"), &[("PATH", "/bin".into())], time, |_| (), &Stop::new()).unwrap();
    let error = child.write(&vec![0; 4 << 20]).unwrap_err();
    assert!(matches!(error, Error::Program { what: "write to", .. }), "{error}");
}

#[test]
fn one_that_reads_a_file_has_all_of_it() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"a\nb").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let child = Child::read_from(file, &words("cat >&2; exit 3"), &[("PATH", "/bin".into())], &Stop::new()).unwrap();
    assert_eq!(child.finish().unwrap().how(), "exit code 3; it said: a; b");
}
