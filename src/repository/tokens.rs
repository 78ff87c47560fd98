//! Access tokens that a service gives: of an identity provider, for a secret, or of the machine's own metadata service, for nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::credentials::{Fetched, NoCredential, Origin};
use super::error::Error;
use super::fault::cause_below;
use super::patience::ANSWER;
use super::trust::{Trust, unusable};
use crate::sys::clock::Clock;
use crate::sys::secret::Secret;
use crate::sys::secret_file::SecretFile;

/// Longest time for an answer of the machine's own service, which takes milliseconds. Where there is none, somebody waits for this.
const MACHINE: Duration = Duration::from_secs(5);

/// Most bytes of an answer: a token with its groups has less than 16 KiB.
const ANSWER_MAX: usize = 256 << 10;

/// Most characters of what a service said that are kept.
const SAID_MAX: usize = 300;

/// A value of a form.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Plain(String),
    Hidden(Secret),
    /// The first line of a file, read anew for each request: such files are replaced before what they hold ends.
    File(PathBuf),
}

/// What is asked of which service.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The service, for messages.
    pub(super) place: &'static str,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, Secret)>,
    /// Sent by POST as a form; without any, the request is a GET.
    pub(super) form: Vec<(&'static str, Field)>,
    /// Whether the service is the machine's own: asked without a proxy, and where it does not answer there is none.
    pub(super) of_machine: bool,
}

/// An origin that asks such a service, and makes a credential of each token.
pub(super) struct Tokens<C> {
    question: Question,
    client: Client,
    clock: Arc<dyn Clock>,
    credential: fn(String) -> C,
    /// Whether it has ever given one: then there is such a service.
    given: AtomicBool,
}

impl<C> fmt::Debug for Tokens<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.question.place)
    }
}

impl<C> Tokens<C> {
    /// # Errors
    /// [`Error::Settings`].
    pub(super) fn new(question: Question, trust: &Trust, clock: &Arc<dyn Clock>, credential: fn(String) -> C) -> Result<Self, Error> {
        let local = question.url.scheme() == "http";
        // A secret is sent to where it was told to, and nowhere else.
        let mut client = trust.builder(local).redirect(reqwest::redirect::Policy::none());
        if question.of_machine {
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build().map_err(unusable)?,
            clock: Arc::clone(clock),
            question,
            credential,
            given: AtomicBool::new(false),
        })
    }

    /// Whether a service that does not answer is worth asking again: on a machine that has none of its own, it never comes.
    fn may_answer_yet(&self) -> bool {
        !self.question.of_machine || self.given.load(Ordering::Relaxed)
    }

    fn refused(&self, passing: bool, why: impl fmt::Display) -> NoCredential {
        NoCredential { text: format!("{}: {why}", self.question.place), passing }
    }

    async fn answer(&self) -> Result<Value, NoCredential> {
        let Question { url, headers, form, .. } = &self.question;
        let mut request = if form.is_empty() { self.client.get(url.clone()) } else { self.client.post(url.clone()) };
        for (name, value) in headers {
            request = request.header(*name, value.expose());
        }
        if !form.is_empty() {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(self.form()?);
        }
        let mut response = request.send().await.map_err(|error| {
            let cause = cause_below(&error.without_url());
            self.refused(self.may_answer_yet(), format_args!("{} cannot be asked: {cause}", url.origin().ascii_serialization()))
        })?;
        let status = response.status();
        let body = read(&mut response).await.map_err(|error| self.refused(true, cause_below(&error.without_url())))?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let said = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        let said = format!("{} {}", said("error"), said("error_description"));
        let said = in_words(&said);
        let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        Err(self.refused(passing, format_args!("it answered {} {said}", status.as_u16()).to_string().trim_end()))
    }

    /// The form as it is sent.
    fn form(&self) -> Result<String, NoCredential> {
        let mut pairs = Url::parse("form:").expect("a URL");
        for (name, field) in &self.question.form {
            let value = match field {
                Field::Plain(text) => text.clone(),
                Field::Hidden(secret) => secret.expose().to_owned(),
                Field::File(path) => {
                    let file = SecretFile::read(path);
                    let file = file.map_err(|cause| self.refused(true, format_args!("{} cannot be read: {cause}", path.display())))?;
                    file.secret.expose().to_owned()
                }
            };
            pairs.query_pairs_mut().append_pair(name, &value);
        }
        Ok(pairs.query().unwrap_or_default().to_owned())
    }

    /// When the token ends. Services tell it in seconds from now, or since 1970, as a number or as a text.
    fn ends(&self, answer: &Value) -> Option<Timestamp> {
        let number = |key: &str| answer.get(key).and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
        if let Some(seconds) = number("expires_in") {
            return self.clock.now().checked_add(SignedDuration::from_secs(seconds)).ok();
        }
        number("expires_on").and_then(|seconds| Timestamp::from_second(seconds).ok())
    }
}

/// Reads a body until its end or until it is too long.
async fn read(response: &mut Response) -> Result<BytesMut, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            break;
        }
    }
    Ok(body)
}

#[async_trait]
impl<C: Send + Sync + 'static> Origin<C> for Tokens<C> {
    async fn fetch(&self) -> Result<Fetched<C>, NoCredential> {
        let limit = if self.question.of_machine { MACHINE } else { ANSWER };
        let answer = match tokio::time::timeout(limit, self.answer()).await {
            Ok(answer) => answer?,
            Err(_) => {
                let text = format!("no answer within {} seconds", limit.as_secs());
                return Err(self.refused(self.may_answer_yet(), text));
            }
        };
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) if is_token(token) => {
                self.given.store(true, Ordering::Relaxed);
                Ok(Fetched { credential: (self.credential)(token.to_owned()), ends: self.ends(&answer) })
            }
            _ => Err(self.refused(false, "its answer holds no access token")),
        }
    }
}

/// What a service said, as it can be shown: on one line, without control characters, and of bounded length.
fn in_words(said: &str) -> String {
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect()
}

/// Whether a text can be sent as a token: `object_store` puts it into a header as it is.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The URL of a service that is sent a secret: over TLS, or not off this machine.
///
/// # Errors
/// What is wrong with it.
pub(super) fn service_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "it is no URL".to_owned())?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("a secret is sent there, so it must begin with https://".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::FixedClock;

    fn tokens() -> Tokens<String> {
        let url = Url::parse("http://127.0.0.1:1/").unwrap();
        let question = Question { place: "here", url, headers: vec![], form: vec![], of_machine: true };
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH));
        Tokens::new(question, &Trust::read(None).unwrap(), &clock, |token| token).unwrap()
    }

    #[test]
    fn the_end_of_a_token_is_read_in_every_form_that_services_have() {
        let tokens = tokens();
        for answer in ["{\"expires_in\": 3600}", "{\"expires_in\": \"3600\"}", "{\"expires_on\": \"3600\"}", "{\"expires_on\": 3600}"] {
            let ends = tokens.ends(&serde_json::from_str(answer).unwrap());
            assert_eq!(ends, Some(Timestamp::from_second(3600).unwrap()), "{answer}");
        }
        assert_eq!(tokens.ends(&Value::Null), None);
    }

    #[test]
    fn a_machine_without_a_service_is_not_asked_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let none = runtime.block_on(tokens().fetch()).map(|_| ()).unwrap_err();
        assert!(!none.passing && none.text.starts_with("here: http://127.0.0.1:1 cannot be asked: "), "{none}");
    }

    #[test]
    fn a_service_that_has_given_a_token_is_asked_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tokens = tokens();
        tokens.given.store(true, Ordering::Relaxed);
        assert!(runtime.block_on(tokens.fetch()).map(|_| ()).unwrap_err().passing);
    }

    #[test]
    fn a_secret_goes_over_tls_or_not_off_the_machine() {
        assert!(service_url("https://login.example.com/x").is_ok() && service_url("http://127.0.0.1:8/").is_ok());
        for url in ["http://login.example.com", "http://127.0.0.1.example.com", "ftp://localhost", "nothing"] {
            assert!(service_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_a_service_says_steers_no_terminal() {
        assert_eq!(in_words("invalid_client \u{1b}[2J\u{7}no\r\n such\u{9b}1m secret"), "invalid_client [2Jno such1m secret");
        assert_eq!(in_words(&"x".repeat(1000)).len(), SAID_MAX);
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_no_token() {
        assert!(is_token("ya29.a-b_c/d=") && !is_token("") && !is_token("a\r\nb") && !is_token("a b"));
    }
}
