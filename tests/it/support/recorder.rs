//! A small HTTP server on loopback that notes what it is asked and gives what a test wrote down: it stands for the services that hand out
//! credentials, none of which can be run here.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Most bytes of a request that are kept.
const REQUEST_MAX: usize = 64 << 10;

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is answered to requests whose first line holds a text: the first that fits.
type Answers = Arc<Vec<(String, String)>>;

/// The server; it goes with the test process.
pub struct Recorder {
    /// `http://127.0.0.1:port`
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// A server that answers 200 with the body beside the first text that the request's first line holds, and else 404.
    pub fn start(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Answers = Arc::new(answers.iter().map(|(line, body)| ((*line).to_owned(), (*body).to_owned())).collect());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, noted) = (Arc::clone(&answers), Arc::clone(&noted));
                thread::spawn(move || serve(stream, &answers, &noted));
            }
        });
        Self { url, requests }
    }

    /// All requests so far, each with its head and the part of its body that came at once.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests had this text in their first line.
    pub fn count(&self, text: &str) -> usize {
        self.requests().iter().filter(|request| first_line(request).contains(text)).count()
    }
}

fn first_line(request: &str) -> &str {
    request.lines().next().unwrap_or_default()
}

fn serve(mut stream: TcpStream, answers: &Answers, noted: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let Some(request) = read(&mut stream) else { return };
    let line = first_line(&request);
    let body = answers.iter().find(|(text, _)| line.contains(text.as_str())).map(|(_, body)| body.as_str());
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    noted.lock().unwrap().push(request);
    let length = body.len();
    // The machine's service gives its token only with a time to live.
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nETag: \"e\"\r\n");
    // The client may be gone.
    let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
}

/// A request with all of its body; `None` when it broke off.
fn read(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            if body.len() >= length.map_or(0, |(_, value)| value.trim().parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 && bytes.len() < REQUEST_MAX => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}
