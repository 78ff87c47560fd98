//! Requests to the API of a node, with blocking calls that end when the run is stopped.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::super::cql::{told, within};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How long a connection may take: the API is on this machine or beside it.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Most bytes of an answer. The longest that is asked for is the list of a node's tokens, some 20 bytes each, of which it has 256.
const ANSWER_MAX: usize = 1 << 20;

/// Longest that an answer becomes in an error.
const TOLD_MAX: usize = 400;

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer, of at most 1 MiB.
    Well(Vec<u8>),
    /// It was refused, with these words.
    Refused {
        /// The status of HTTP.
        status: u16,
        /// What the node says.
        message: String,
    },
    /// Nobody could be asked.
    Unreachable(String),
    /// The connection broke after the request was on its way: nobody knows what has become of it.
    Cut(String),
    /// There was no answer in time; what was asked for may still be done.
    Slow(Duration),
    /// The answer is nothing that Scylla says.
    Strange(String),
}

/// The API of one node.
pub(super) struct Http {
    // Before the runtime, which it needs to end.
    client: Client,
    runtime: Runtime,
    base: String,
    stop: Stop,
}

impl Http {
    /// Opens nothing yet: a connection is made with the first request.
    ///
    /// # Errors
    /// [`Error::Cassandra`], [`Error::File`] when there can be no requests at all.
    pub(super) fn new((host, port): &(String, u16), node: &str, stop: &Stop) -> Result<Self, Error> {
        let base = format!("http://{}", told(host, *port));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::file("start a runtime for", &base))?;
        // No proxy, no other address than the one that is configured, and no certificates to be read: it speaks in plain.
        let client = Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only([]).http1_only().connect_timeout(CONNECT_TIME);
        let client = client.build().map_err(|cause| Error::Cassandra {
            what: "prepare requests to the API of",
            node: node.to_owned(),
            why: innermost(&cause),
        })?;
        Ok(Self { client, runtime, base, stop: stop.clone() })
    }

    /// Where it is.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request without a body and reads the answer. `path` begins with `/` and needs no escapes.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub(super) fn send(&self, method: Method, path: &str, time: Duration) -> Result<Outcome, Error> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let work = async {
            match request.send().await {
                Ok(response) => outcome(response).await,
                Err(cause) => self.broken(&cause),
            }
        };
        Ok(within(&self.runtime, &self.stop, time, work)?.unwrap_or(Outcome::Slow(time)))
    }

    fn broken(&self, cause: &reqwest::Error) -> Outcome {
        let base = &self.base;
        if !cause.is_connect() {
            return Outcome::Cut(innermost(cause));
        }
        let refused = causes(cause).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
        let refused = refused.map(std::io::Error::kind).any(|kind| kind == ErrorKind::ConnectionRefused);
        let what = if refused { "nothing listens there".to_owned() } else { innermost(cause) };
        Outcome::Unreachable(format!(
            "{base}: {what}; is ScyllaDB up, and is this its API (`api`; `api_address` and `api_port` of its configuration)?"
        ))
    }
}

async fn outcome(mut response: Response) -> Outcome {
    let (status, mut body) = (response.status(), Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_MAX => {
                return Outcome::Strange(format!("its answer has more than {} MiB", ANSWER_MAX >> 20));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(cause) => return Outcome::Cut(innermost(&cause)),
        }
    }
    if status.is_success() {
        return Outcome::Well(body);
    }
    Outcome::Refused { status: status.as_u16(), message: message(&body) }
}

/// A refusal as Scylla writes it (`json_exception` of Seastar).
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// What a refusal says: its message, or the beginning of whatever came.
fn message(body: &[u8]) -> String {
    let said =
        serde_json::from_slice::<Refusal>(body).map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |refusal| refusal.message);
    shortened(&said)
}

/// The beginning of a text on one line.
pub(super) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "nothing".to_owned() } else { line.chars().take(TOLD_MAX).collect() }
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn causes(cause: &reqwest::Error) -> impl Iterator<Item = Cause<'_>> {
    fn next<'a>(cause: &Cause<'a>) -> Option<Cause<'a>> {
        (*cause).source()
    }
    std::iter::successors(cause.source(), next)
}

/// The innermost cause: those around it repeat it, and the address.
fn innermost(cause: &reqwest::Error) -> String {
    causes(cause).last().map_or_else(|| cause.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_nodes_own_words_whatever_form_they_have() {
        assert_eq!(
            message(br#"{"message": "Keyspace k: snapshot t already exists.", "code": 500}"#),
            "Keyspace k: snapshot t already exists."
        );
        assert_eq!(message(b"<html>\n  <body>not here"), "<html> <body>not here");
        assert_eq!(message(b""), "nothing");
        assert_eq!(message("ü".repeat(1000).as_bytes()).chars().count(), TOLD_MAX);
    }
}
