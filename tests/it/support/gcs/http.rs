//! As much of HTTP/1.1 as a client of an object store speaks.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};

use super::account::Account;
use super::objects::Objects;

/// Most bytes of the head of a request.
const HEAD_MAX: usize = 64 << 10;

/// Most bytes of a body: larger than any object of a repository.
const BODY_MAX: usize = 64 << 20;

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A request. Names of headers are in small letters; path and query are without escapes.
pub struct Request {
    pub method: String,
    /// Bucket and key.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// A refusal as the XML API writes it.
    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        let text = format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Self::new(status, text).with("Content-Type", "application/xml; charset=UTF-8")
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers the requests of one connection until it ends.
pub fn serve(mut stream: Box<dyn Stream>, account: &Account, objects: &Objects) {
    let mut rest = Vec::new();
    while let Some(request) = read(&mut *stream, &mut rest) {
        let (answer, is_head, goes_on) = match request {
            Ok(request) => (admitted(&request, account, objects), request.method == "HEAD", true),
            Err(refusal) => (refusal, false, false),
        };
        if write(&mut *stream, &answer, is_head).is_err() || !goes_on {
            return;
        }
    }
}

fn admitted(request: &Request, account: &Account, objects: &Objects) -> Answer {
    let Some(token) = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
        return Answer::refusal(401, "AuthenticationRequired", "Authentication required.");
    };
    match account.admits(token) {
        Ok(()) => objects.answer(request),
        Err(why) => Answer::refusal(401, "AuthenticationRequired", why),
    }
}

/// The next request; `None` when the connection has ended.
fn read(stream: &mut dyn Stream, rest: &mut Vec<u8>) -> Option<Result<Request, Answer>> {
    let head = loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(rest[..end].to_vec()).ok()?;
            rest.drain(..end + 4);
            break head;
        }
        if rest.len() > HEAD_MAX || !more(stream, rest) {
            return None;
        }
    };
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let length = match headers.get("content-length").map(|length| length.parse::<usize>()) {
        _ if headers.contains_key("transfer-encoding") => return Some(Err(Answer::refusal(501, "NotImplemented", "no chunks here"))),
        None if method == "PUT" => return Some(Err(Answer::refusal(411, "MissingContentLength", "how long is it?"))),
        None => 0,
        Some(Ok(length)) if length <= BODY_MAX => length,
        Some(_) => return Some(Err(Answer::refusal(400, "EntityTooLarge", "this is too long"))),
    };
    while rest.len() < length {
        // An object that is cut short on its way is not stored.
        if !more(stream, rest) {
            return None;
        }
    }
    let body = rest.drain(..length).collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts = path.trim_start_matches('/').splitn(2, '/').map(plain);
    let path = [parts.next()?, parts.next().unwrap_or_default()].into_iter().filter(|part| !part.is_empty()).collect();
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(name, value)| (plain(name), plain(&value.replace('+', " ")))).collect();
    Some(Ok(Request { method, path, query, headers, body }))
}

fn more(stream: &mut dyn Stream, rest: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(read) => {
                rest.extend_from_slice(&buffer[..read]);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// A text without percent escapes.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn write(stream: &mut dyn Stream, answer: &Answer, is_head: bool) -> std::io::Result<()> {
    let Answer { status, headers, body } = answer;
    let mut text = format!("HTTP/1.1 {status} \r\n");
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    // The answer to HEAD tells the length that the body would have.
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(text.as_bytes())?;
    if !is_head {
        stream.write_all(body)?;
    }
    stream.flush()
}
