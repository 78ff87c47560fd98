//! Sends what is to be told, one after the other, from a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::Address;
use crate::format::names::SourceName;
use crate::ops::event::Event;

/// How much may wait. With an address that hangs one letter takes a minute; runs of more sources than this do not begin in one.
const WAITING_MAX: usize = 64;

/// How long one try may take, its connection included.
const TRY_TIME: Duration = Duration::from_secs(15);

/// Between the tries: an address that is being restarted is there again after them; what is longer away is told of by the next run.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// How long the end of the agent is put off for what waits.
const LAST: Duration = Duration::from_secs(5);

/// What names this program to an address.
const AGENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));

type Events = Arc<dyn Fn(Event) + Send + Sync>;

/// Something that is to be told.
pub(super) struct Letter {
    /// What it is, for a person.
    pub(super) what: &'static str,
    pub(super) source: SourceName,
    pub(super) address: Address,
    /// JSON to be posted; without it the address is only asked for.
    pub(super) body: Option<Vec<u8>>,
}

/// The way to the thread.
pub(super) struct Post {
    /// Nothing, where there can be no thread.
    letters: Option<SyncSender<Letter>>,
    /// Closed when all is sent.
    ended: Receiver<()>,
}

impl Post {
    pub(super) fn open(events: &Events) -> Self {
        let (letters, waiting) = sync_channel(WAITING_MAX);
        let (end, ended) = sync_channel(1);
        let events = Arc::clone(events);
        let work = move || {
            deliver(&waiting, &events);
            // Whoever waits for the end may take what is told to be all that there is.
            drop(events);
            drop(end);
        };
        let thread = std::thread::Builder::new().name("notices".into()).spawn(work);
        Self { letters: thread.ok().map(|_| letters), ended }
    }

    /// Sends a letter some time.
    ///
    /// # Errors
    /// Why it is not sent.
    pub(super) fn send(&self, letter: Letter) -> Result<(), String> {
        let (what, host) = (letter.what, letter.address.to_string());
        let why = match &self.letters {
            None => "no thread can be started for that",
            Some(letters) => match letters.try_send(letter) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => "too much waits to be told already",
                Err(TrySendError::Disconnected(_)) => "the thread for that has ended",
            },
        };
        Err(format!("the {what} at {host} is not told: {why}"))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.letters = None;
        // What is not sent by then is lost, and the agent ends.
        let _ = self.ended.recv_timeout(LAST);
    }
}

fn deliver(waiting: &Receiver<Letter>, events: &Events) {
    let warn = |letter: &Letter, why: &str| {
        let message = format!("the {} at {} could not be told: {why}", letter.what, letter.address);
        events(Event::Warning { source: Some(letter.source.clone()), message });
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    for letter in waiting {
        match &runtime {
            Ok(runtime) => {
                if let Err(why) = runtime.block_on(send(&letter)) {
                    warn(&letter, &why);
                }
            }
            Err(cause) => warn(&letter, &cause.to_string()),
        }
    }
}

/// Sends a letter, if need be several times. The reason why it was not taken holds nothing of the address.
async fn send(letter: &Letter) -> Result<(), String> {
    let client = client(&letter.address).map_err(|error| innermost(&error.without_url()))?;
    let mut pauses = PAUSES.iter();
    loop {
        let (why, is_final) = match try_once(&client, letter).await {
            Ok(status) if status.is_success() => return Ok(()),
            // Not followed: where it leads to, the secret of the address would go too.
            Ok(status) if status.is_redirection() => (format!("it answers with {status}: give the address that it leads to"), true),
            Ok(status) => {
                let may_change = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
                (format!("it answers with {status}"), status.is_client_error() && !may_change)
            }
            Err(error) => (innermost(&error.without_url()), false),
        };
        match pauses.next() {
            Some(pause) if !is_final => tokio::time::sleep(*pause).await,
            _ => return Err(why),
        }
    }
}

/// A client of the system's certificates, and of none where nothing is encrypted: a machine may have none.
fn client(address: &Address) -> Result<Client, reqwest::Error> {
    let client = Client::builder().user_agent(AGENT).timeout(TRY_TIME).redirect(Policy::none()).http1_only();
    let client = if address.url().scheme() == "http" { client.tls_certs_only([]) } else { client };
    client.build()
}

async fn try_once(client: &Client, letter: &Letter) -> Result<StatusCode, reqwest::Error> {
    let url = letter.address.url().clone();
    let request = match &letter.body {
        Some(body) => client.post(url).header(CONTENT_TYPE, "application/json").body(body.clone()),
        None => client.get(url),
    };
    Ok(request.send().await?.status())
}

/// The innermost cause, which holds no address.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("there is no answer within {} seconds", TRY_TIME.as_secs());
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
