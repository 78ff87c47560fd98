//! What went wrong in one try, told apart by what follows from it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use super::advice;
use super::credentials::NoCredential;
use super::error::{At, Cause, Error};
use super::refusal::Refusal;

/// What went wrong in one try.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such object.
    Absent,
    /// The store says that the key is taken, or that a condition is not met; with its answer where it gave one.
    Exists(Option<Refusal>),
    /// The key was taken a moment ago and is free now.
    Wavering,
    /// The key is taken by other bytes.
    Taken,
    /// The object is larger than it may be.
    TooLarge { at_most: u64, found: u64 },
    /// The object ends before the range does.
    TooShort { expected: u64, found: u64 },
    /// Another number of bytes came than was announced.
    Cut { expected: u64, found: u64 },
    /// The store answered.
    Refused(Refusal),
    /// No credential could be had.
    NoCredential(NoCredential),
    /// The certificate is not trusted.
    Certificate(Cause),
    /// The connection could not be made or broke, or no answer came in time. `sent`: the request may have arrived.
    Broken { sent: bool, cause: Cause },
    /// A file system's error.
    Io(io::ErrorKind, Cause),
    /// Anything else.
    Other(Cause),
    /// An error that needs nothing added.
    Told(Error),
}

impl From<object_store::Error> for Fault {
    fn from(error: object_store::Error) -> Self {
        // What the wire saw says more than what object_store made of it.
        for link in links(&error) {
            if let Some(refusal) = link.downcast_ref::<Refusal>() {
                return Self::of_refusal(refusal.clone());
            }
            if let Some(none) = link.downcast_ref::<NoCredential>() {
                return Self::NoCredential(none.clone());
            }
            if let Some(http) = link.downcast_ref::<HttpError>()
                && !links(http).any(|deeper| deeper.is::<Refusal>())
            {
                return Self::of_transport(http);
            }
        }
        match error {
            object_store::Error::NotFound { .. } => Self::Absent,
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => Self::Exists(None),
            other => match links(&other).find_map(|link| link.downcast_ref::<io::Error>()) {
                Some(io) => Self::Io(io.kind(), cause_below(&other)),
                None => Self::Other(cause_below(&other)),
            },
        }
    }
}

impl Fault {
    /// No answer within this time.
    pub(super) fn timeout(limit: Duration) -> Self {
        Self::Broken { sent: true, cause: Cause(format!("not done within {} seconds", limit.as_secs())) }
    }

    /// A file of the store could not be read.
    pub(super) fn io(cause: io::Error) -> Self {
        Self::Io(cause.kind(), Cause(cause.to_string()))
    }

    fn of_refusal(refusal: Refusal) -> Self {
        match refusal.status {
            404 if ["NoSuchKey", "BlobNotFound"].contains(&refusal.code.as_str()) => Self::Absent,
            304 | 412 => Self::Exists(Some(refusal)),
            // What Azure answers, also to a credential that may create and not write over anything.
            403 | 409 if ["BlobAlreadyExists", "UnauthorizedBlobOverwrite"].contains(&refusal.code.as_str()) => Self::Exists(Some(refusal)),
            _ => Self::Refused(refusal),
        }
    }

    fn of_transport(error: &HttpError) -> Self {
        let cause = cause_below(error);
        if cause.0.contains("certificate") {
            return Self::Certificate(cause);
        }
        match error.kind() {
            HttpErrorKind::Connect => Self::Broken { sent: false, cause },
            HttpErrorKind::Decode | HttpErrorKind::Unknown if !is_of_connection(error) => Self::Other(cause),
            _ => Self::Broken { sent: true, cause },
        }
    }

    /// Whether the store itself answered, so that it is there and the credential reached it.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(self, Self::NoCredential(_) | Self::Certificate(_) | Self::Broken { .. } | Self::Other(_) | Self::Told(_))
    }

    /// Whether another try may go better.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_passing(),
            Self::NoCredential(none) => none.passing,
            Self::Wavering | Self::Cut { .. } | Self::Broken { .. } => true,
            // The file that was being written has gone under its temporary name: it stood still for so long that a prune took it for that of
            // a writer who had died. An object that is not there is `Absent`.
            Self::Io(io::ErrorKind::NotFound, _) => true,
            _ => false,
        }
    }

    /// The error that tells it.
    pub(super) fn into_error(self, at: At, tries: u32) -> Error {
        match self {
            Self::Absent => Error::Absent { at },
            // A delete has no condition of ours: somebody else holds the object, as with a lease on Azure.
            Self::Exists(Some(refusal)) if at.operation == "delete" => advice::error(refusal, at, tries),
            Self::Exists(_) | Self::Taken => Error::Taken { at },
            Self::Wavering => Error::Busy { at, tries, answer: Box::new(Refusal::new(409, "ConditionalRequestConflict")) },
            Self::TooLarge { at_most, found } => Error::TooLarge { at, at_most, found },
            Self::TooShort { expected, found } => Error::TooShort { at, expected, found },
            Self::Cut { expected, found } => Error::Cut { at, expected, found, tries },
            Self::Refused(refusal) => advice::error(refusal, at, tries),
            Self::NoCredential(none) => Error::Credentials { help: advice::credential(&at), at, cause: Cause(none.text) },
            Self::Certificate(cause) => Error::Certificate { at, cause },
            Self::Broken { cause, .. } => Error::Unreachable { help: connection_help(&cause.0), at, tries, cause },
            Self::Io(kind, cause) => io_error(kind, cause, at),
            Self::Other(cause) => Error::Failed { at, cause },
            Self::Told(error) => error,
        }
    }
}

fn connection_help(cause: &str) -> &'static str {
    let lower = cause.to_lowercase();
    if lower.contains("dns error") || lower.contains("failed to lookup") {
        ": its name cannot be resolved, check endpoint and region"
    } else if lower.contains("refused") {
        ": nothing listens there, check endpoint"
    } else if lower.contains("invalidcontenttype") || lower.contains("corrupt message") {
        ": it does not speak TLS, check whether endpoint must begin with http://"
    } else {
        ""
    }
}

fn io_error(kind: io::ErrorKind, cause: Cause, at: At) -> Error {
    use io::ErrorKind as Kind;
    match kind {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            let answer = Refusal { message: cause.0, ..Refusal::new(403, "AccessDenied") };
            Error::Denied { at, answer: Box::new(answer), help: ": check the folder's owner and mode", whole: false }
        }
        _ => Error::Failed { at, cause },
    }
}

/// An error and all below it.
fn links<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |link: &&'a (dyn StdError + 'static)| (*link).source())
}

/// Whether an I/O error of a connection lies below; then it is not that the answer was not understood.
fn is_of_connection(error: &HttpError) -> bool {
    links(error).any(|link| link.is::<io::Error>()) || cause_below(error).0.contains("connection")
}

/// The texts of an error and all below it on one line, without those that another one already holds.
pub(super) fn cause_below(error: &(dyn StdError + 'static)) -> Cause {
    let mut texts: Vec<String> = Vec::new();
    for link in links(error) {
        let text = link.to_string();
        // An outer text that repeats the inner one says less than the inner one.
        texts.retain(|outer| !outer.contains(&text));
        texts.push(text);
    }
    Cause(texts.join(": "))
}
