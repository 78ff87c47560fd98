//! What is stored, and what may be done with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use md5::{Digest, Md5};

use super::http::{Answer, Request};
use super::listing;

/// The classes that there are.
const CLASSES: [&str; 4] = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"];

/// Headers that mean nothing here.
const IDLE: [&str; 8] =
    ["accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent"];

/// An object.
pub struct Stored {
    pub bytes: Vec<u8>,
    pub generation: u64,
    pub modified: Timestamp,
    class: Option<String>,
}

impl Stored {
    pub fn tag(&self) -> String {
        Md5::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

pub type Bucket = BTreeMap<String, Stored>;

/// All buckets.
#[derive(Default)]
pub struct Objects {
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

impl Objects {
    pub fn make_bucket(&self, name: &str) {
        self.buckets.lock().unwrap().insert(name.to_owned(), Bucket::new());
    }

    pub fn storage_class(&self, bucket: &str, key: &str) -> Option<String> {
        self.buckets.lock().unwrap()[bucket][key].class.clone()
    }

    pub fn answer(&self, request: &Request) -> Answer {
        let mut buckets = self.buckets.lock().unwrap();
        let Some(bucket) = request.path.first().and_then(|name| buckets.get_mut(name)) else {
            return Answer::refusal(404, "NoSuchBucket", "The specified bucket does not exist.");
        };
        match (request.method.as_str(), request.path.get(1)) {
            ("GET", None) => match unknown(request, &listing::QUERY, &[]) {
                Some(refusal) => refusal,
                None => listing::page(bucket, &request.query),
            },
            ("PUT", Some(key)) => put(bucket, key, request),
            ("GET" | "HEAD", Some(key)) => get(bucket, key, request),
            ("DELETE", Some(key)) => match unknown(request, &[], &[]) {
                Some(refusal) => refusal,
                None if bucket.remove(key).is_some() => Answer::new(204, ""),
                None => absent(),
            },
            _ => Answer::refusal(501, "NotImplemented", "this server does not know such requests"),
        }
    }
}

/// Refuses a request that asks for more than is known here.
fn unknown(request: &Request, query: &[&str], headers: &[&str]) -> Option<Answer> {
    let name = request.query.keys().find(|name| !query.contains(&name.as_str()));
    let name = name.or_else(|| request.headers.keys().find(|name| !headers.contains(&name.as_str()) && !IDLE.contains(&name.as_str())));
    name.map(|name| Answer::refusal(400, "InvalidArgument", &format!("this server does not know `{name}`")))
}

fn absent() -> Answer {
    Answer::refusal(404, "NoSuchKey", "The specified key does not exist.")
}

fn put(bucket: &mut Bucket, key: &str, request: &Request) -> Answer {
    if let Some(refusal) = unknown(request, &[], &["x-goog-if-generation-match", "x-goog-storage-class", "content-md5"]) {
        return refusal;
    }
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let generation = bucket.get(key).map_or(0, |stored| stored.generation);
    if header("x-goog-if-generation-match").is_some_and(|wanted| wanted.parse() != Ok(generation)) {
        return Answer::refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
    }
    if header("content-md5").is_some_and(|sum| sum != BASE64_STANDARD.encode(Md5::digest(&request.body))) {
        return Answer::refusal(400, "BadDigest", "The Content-MD5 you specified did not match what we received.");
    }
    let class = header("x-goog-storage-class").map(str::to_owned);
    if class.as_ref().is_some_and(|class| !CLASSES.contains(&class.as_str())) {
        return Answer::refusal(400, "InvalidStorageClass", "there is no such class");
    }
    let modified = Timestamp::now();
    // Above that of the object before, also within one microsecond.
    let generation = u64::try_from(modified.as_microsecond()).unwrap().max(generation + 1);
    let stored = Stored { bytes: request.body.clone(), generation, modified, class };
    let answer = described(Answer::new(200, ""), &stored);
    bucket.insert(key.to_owned(), stored);
    answer
}

fn get(bucket: &Bucket, key: &str, request: &Request) -> Answer {
    if let Some(refusal) = unknown(request, &[], &["range"]) {
        return refusal;
    }
    let Some(stored) = bucket.get(key) else { return absent() };
    let Some(range) = request.headers.get("range") else { return described(Answer::new(200, stored.bytes.clone()), stored) };
    match part(range, stored.bytes.len()) {
        Some(part) => {
            let says = format!("bytes {}-{}/{}", part.start, part.end - 1, stored.bytes.len());
            described(Answer::new(206, &stored.bytes[part]), stored).with("Content-Range", says)
        }
        None => Answer::refusal(416, "InvalidRange", "The requested range cannot be satisfied."),
    }
}

/// `bytes=first-last`, cut at the end of the object.
fn part(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first < length && first <= last).then(|| first..length.min(last + 1))
}

fn described(answer: Answer, stored: &Stored) -> Answer {
    let mut modified = String::new();
    DateTimePrinter::new().print_timestamp_rfc9110(&stored.modified, &mut modified).unwrap();
    let sum = BASE64_STANDARD.encode(Md5::digest(&stored.bytes));
    let answer = answer.with("ETag", format!("\"{}\"", stored.tag())).with("Last-Modified", modified);
    answer.with("x-goog-generation", stored.generation.to_string()).with("x-goog-hash", format!("md5={sum}"))
}
