use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use super::*;

/// A server that gives each connection the next of these answers, whatever is asked, and notes the first line of what was.
struct Scripted {
    place: (String, u16),
    asked: Receiver<String>,
}

impl Scripted {
    fn new(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let (told, asked) = channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    head.push(byte[0]);
                }
                told.send(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()).unwrap();
                // Whoever has read enough may be gone.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { place, asked }
    }

    fn api(&self) -> Api {
        Api::open(&self.place, "ks of the ScyllaDB of /etc/scylla/scylla.yaml".to_owned(), &Stop::new()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

const TAG: &str = "20261123T000000123Z";

const EXISTS: &str = r#"{"message": "Keyspace ks: snapshot 20261123T000000123Z already exists.", "code": 500}"#;

fn snapshot(answers: &[&str]) -> (Vec<String>, Result<(), String>) {
    let server = Scripted::new(answers);
    let result = server.api().snapshot(TAG, &["ks".to_owned(), "Other".to_owned()]).map_err(|error| error.to_string());
    (server.asked(), result)
}

#[test]
fn all_keyspaces_are_asked_for_in_one_request() {
    let (asked, result) = snapshot(&[&answer("200 OK", "")]);
    result.unwrap();
    assert_eq!(asked, [format!("POST /storage_service/snapshots?tag={TAG}&kn=ks,Other HTTP/1.1")]);
    let server = Scripted::new(&[&answer("200 OK", "\"\"")]);
    server.api().clear(TAG, &["ks".to_owned()]).unwrap();
    assert_eq!(server.asked(), [format!("DELETE /storage_service/snapshots?tag={TAG}&kn=ks HTTP/1.1")]);
}

#[test]
fn nothing_is_ever_asked_for_all_keyspaces_or_for_snapshots_of_every_name() {
    let server = Scripted::new(&[]);
    for (tag, keyspaces) in [("", vec!["ks"]), (TAG, vec![]), (TAG, vec![""]), (TAG, vec!["a&tag=b"]), ("a,b", vec!["ks"])] {
        let keyspaces: Vec<String> = keyspaces.into_iter().map(str::to_owned).collect();
        assert!(server.api().clear(tag, &keyspaces).is_err() && server.api().snapshot(tag, &keyspaces).is_err(), "{tag} {keyspaces:?}");
    }
}

#[test]
fn a_name_that_is_taken_is_well_only_where_an_own_request_before_has_broken_off() {
    let exists = answer("500 Internal Server Error", EXISTS);
    let (_, first) = snapshot(&[&exists]);
    let error = first.unwrap_err();
    assert!(error.contains("snapshot 20261123T000000123Z already exists.") && error.contains("another run took it"), "{error}");
    let (asked, second) = snapshot(&["", &exists]);
    second.unwrap();
    assert_eq!(asked.len(), 2);
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\"";
    assert!(snapshot(&[half, &exists]).1.is_ok());
    let (asked, broken) = snapshot(&["", "", "never asked for"]);
    assert!(broken.unwrap_err().contains("the connection has broken ("));
    assert_eq!(asked.len(), 2, "it is not tried for ever");
}

#[test]
fn what_is_no_good_answer_is_told_in_words() {
    let refused = answer("500 Internal Server Error", r#"{"message": "Can't find a keyspace ks", "code": 500}"#);
    let error = snapshot(&[&refused]).1.unwrap_err();
    assert!(error.starts_with("cannot take a snapshot of ks of the ScyllaDB of /etc/scylla/scylla.yaml: http://127.0.0.1:"), "{error}");
    assert!(error.ends_with(" says: Can't find a keyspace ks (HTTP 500)"), "{error}");
    let html = snapshot(&[&answer("200 OK", "<html>hello</html>")]).1.unwrap_err();
    assert!(html.contains("its answer is not as ScyllaDB's (<html>hello</html>); is this its API (`api`)?"), "{html}");
    let moved = snapshot(&["HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]).1;
    assert!(moved.unwrap_err().ends_with(" says: nothing (HTTP 302)"));
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n{}", "1".repeat(2_000_000));
    let error = snapshot(&[&long]).1.unwrap_err();
    assert!(error.contains("its answer has more than 1 MiB"), "{error}");
    let nobody = ("127.0.0.1".to_owned(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let error = Api::open(&nobody, "ks".into(), &Stop::new()).unwrap().snapshot(TAG, &["ks".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("nothing listens there; is ScyllaDB up, and is this its API (`api`;"), "{error}");
}

#[test]
fn what_the_node_says_of_itself_must_be_of_the_form_that_is_asked_for() {
    let server = Scripted::new(&[&answer("200 OK", "[\"1\", \"-2\"]"), &answer("200 OK", "{}")]);
    let tokens: Vec<String> = server.api().ask("read the facts of", "/storage_service/tokens").unwrap();
    assert_eq!(tokens, ["1", "-2"]);
    let error = server.api().ask::<Vec<String>>("read the facts of", "/storage_service/tokens").unwrap_err().to_string();
    assert!(error.contains("its answer is not as ScyllaDB's ({})"), "{error}");
    assert_eq!(server.asked()[0], "GET /storage_service/tokens HTTP/1.1");
}

#[test]
fn an_answer_that_does_not_come_in_time_is_told_with_how_long_it_was_waited_for() {
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\""] {
        let server = Silent::new(begun);
        let api = server.api(&Stop::new());
        let time = Duration::from_millis(200);
        assert_eq!(api.http.send(Method::POST, "/storage_service/snapshots?tag=a&kn=b", time).unwrap(), Outcome::Slow(time));
        server.was_asked();
        assert_eq!(server.asked(), 0, "what may still be done is not asked for again");
        let error = api.done("take a snapshot of", Outcome::Slow(SNAPSHOT_TIME)).unwrap_err().to_string();
        assert!(error.ends_with(": no answer within 30 minutes; is the node busy or stuck? Its log tells"), "{error}");
    }
}

#[test]
fn a_stop_ends_the_waiting_also_in_the_middle_of_a_request() {
    let stop = Stop::new();
    stop.request(15);
    let server = Silent::new("");
    assert!(matches!(server.api(&stop).snapshot(TAG, &["ks".to_owned()]).unwrap_err(), Error::Stopped(_)));
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\""] {
        let (stop, server) = (Stop::new(), Silent::new(begun));
        let api = server.api(&stop);
        let waiting = std::thread::spawn(move || api.snapshot(TAG, &["ks".to_owned()]));
        server.was_asked();
        stop.request(15);
        let stopped = waiting.join().unwrap().unwrap_err();
        assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
        assert_eq!(server.asked(), 0, "it is not asked again");
    }
}

/// A server that reads each request, says the beginning of an answer, and nothing more.
struct Silent {
    place: (String, u16),
    requests: Receiver<()>,
}

impl Silent {
    fn new(begun: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let (told, requests) = channel();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = stream;
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                    head.push(byte[0]);
                }
                let _ = stream.write_all(begun.as_bytes());
                open.push(stream);
                if !head.is_empty() && told.send(()).is_err() {
                    return;
                }
            }
        });
        Self { place, requests }
    }

    fn api(&self, stop: &Stop) -> Api {
        Api::open(&self.place, "ks of the ScyllaDB of /etc/scylla/scylla.yaml".to_owned(), stop).unwrap()
    }

    /// Waits for a request.
    fn was_asked(&self) {
        self.requests.recv().unwrap();
    }

    /// How many requests have come that nobody has waited for.
    fn asked(&self) -> usize {
        self.requests.try_iter().count()
    }
}
