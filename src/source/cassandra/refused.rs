//! What the driver's errors come to, for a person: what is wrong, and what to do.
//!
//! Its errors hold one another, each telling all below it. Only the innermost is told.

use std::io::ErrorKind;

use scylla::errors::{
    BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, MetadataFetchErrorKind, NewSessionError, NextPageError, NextRowError, PagerExecutionError, RequestAttemptError,
    RequestError,
};

use super::tls;

/// Why there is no connection.
pub(super) fn connecting(cause: &NewSessionError) -> String {
    match cause {
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(pool)) => of_pool(pool),
        NewSessionError::MetadataError(MetadataError::FetchError(fetch)) => match &fetch.error {
            MetadataFetchErrorKind::PrepareError(attempt) => of_attempt(attempt),
            MetadataFetchErrorKind::NextRowError(row) => answering(row),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// Why a statement has failed.
pub(super) fn asking(cause: &PagerExecutionError) -> String {
    match cause {
        PagerExecutionError::NextPageError(page) => of_page(page),
        other => other.to_string(),
    }
}

/// Why a statement that gives no rows has failed.
pub(super) fn running(cause: &ExecutionError) -> String {
    match cause {
        ExecutionError::LastAttemptError(attempt) => of_attempt(attempt),
        ExecutionError::ConnectionPoolError(pool) => of_pool(pool),
        other => other.to_string(),
    }
}

/// Why an answer has broken off.
pub(super) fn answering(cause: &NextRowError) -> String {
    match cause {
        NextRowError::NextPageError(page) => of_page(page),
        other => format!("its answer is not as expected: {other}"),
    }
}

fn of_page(cause: &NextPageError) -> String {
    match cause {
        NextPageError::RequestFailure(RequestError::LastAttemptError(attempt)) => of_attempt(attempt),
        NextPageError::RequestFailure(RequestError::ConnectionPoolError(pool)) => of_pool(pool),
        other => other.to_string(),
    }
}

fn of_attempt(cause: &RequestAttemptError) -> String {
    match cause {
        RequestAttemptError::DbError(DbError::Unauthorized, said) => format!("{NO_RIGHT} ({said})"),
        RequestAttemptError::DbError(
            DbError::Unavailable { .. } | DbError::ReadTimeout { .. } | DbError::Overloaded | DbError::IsBootstrapping,
            said,
        ) => format!("{NO_ANSWER} from those who have the row ({said})"),
        RequestAttemptError::DbError(_, said) => said.clone(),
        other => other.to_string(),
    }
}

/// Whether nobody has answered in time, or nobody is there to answer: what was asked for may be well.
pub(super) fn is_no_answer(why: &str) -> bool {
    why.starts_with(NO_ANSWER)
}

/// How that begins, also where this side has not waited any longer.
pub(super) const NO_ANSWER: &str = "no answer";

/// Whether it is the role that lacks a right.
pub(super) fn is_no_right(why: &str) -> bool {
    why.starts_with(NO_RIGHT)
}

/// Whether a node refuses a statement before it has carried out any of it: for want of a right, or because it is configured so.
pub(super) fn is_not_allowed(why: &str) -> bool {
    is_no_right(why) || why.starts_with(GUARDRAIL)
}

/// How it begins what it says of a statement that its configuration forbids (`Guardrail.fail` of 4.1 and 5.0).
const GUARDRAIL: &str = "Guardrail ";

/// How a role's lack of a right begins.
const NO_RIGHT: &str = "the role has no right to it";

/// Whether a login is what is wrong.
pub(super) fn is_refused_login(why: &str) -> bool {
    why.starts_with(NOT_LET_IN) || why.starts_with(NO_LOGIN)
}

const NOT_LET_IN: &str = "the password is wrong, or there is no such role, or it may not log in";

const NO_LOGIN: &str = "it asks for a login: give `user` and `password_file`";

fn of_pool(cause: &ConnectionPoolError) -> String {
    match cause {
        ConnectionPoolError::Broken { last_connection_error } => of_connection(last_connection_error),
        other => other.to_string(),
    }
}

fn of_connection(cause: &ConnectionError) -> String {
    match cause {
        ConnectionError::ConnectTimeout => format!("nothing answers; {IS_IT_UP}"),
        ConnectionError::IoError(io) => of_io(io),
        ConnectionError::BrokenConnection(broken) => of_broken(broken.downcast_ref(), &broken.to_string()),
        ConnectionError::ConnectionSetupRequestError(setup) => of_setup(setup.get_error()),
        other => other.to_string(),
    }
}

const IS_IT_UP: &str = "is the node up, and is this where it takes CQL (`cql`)?";

const IS_IT_TLS: &str = "it may take encrypted connections only: give `ca_file`, the certificate that its own comes from";

fn of_io(cause: &std::io::Error) -> String {
    if let Some(tls) = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return format!("{} ({tls})", tls::hint(tls));
    }
    match cause.kind() {
        ErrorKind::ConnectionRefused => format!("nothing listens there; {IS_IT_UP}"),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            format!("it has ended the connection ({cause}); is this where it takes CQL, encrypted or not as the configuration says?")
        }
        _ => format!("{cause}; {IS_IT_UP}"),
    }
}

fn of_broken(kind: Option<&BrokenConnectionErrorKind>, said: &str) -> String {
    match kind {
        // What answers in plain speaks something else than CQL: of TLS, an alert.
        Some(BrokenConnectionErrorKind::FrameHeaderParseError(cause)) => {
            format!("what answers there does not speak CQL in plain ({cause}); {IS_IT_TLS}")
        }
        _ => format!("the connection has broken ({said}); {IS_IT_UP}"),
    }
}

fn of_setup(cause: &ConnectionSetupRequestErrorKind) -> String {
    match cause {
        ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, said) => {
            format!("{NOT_LET_IN} ({said})")
        }
        ConnectionSetupRequestErrorKind::DbError(_, said) => said.clone(),
        ConnectionSetupRequestErrorKind::MissingAuthentication => NO_LOGIN.into(),
        ConnectionSetupRequestErrorKind::BrokenConnection(broken) => of_broken(broken.downcast_ref(), &broken.to_string()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    fn told(cause: ConnectionError) -> String {
        let pool = ConnectionPoolError::Broken { last_connection_error: cause };
        connecting(&NewSessionError::MetadataError(MetadataError::ConnectionPoolError(pool)))
    }

    #[test]
    fn the_innermost_cause_is_told_with_what_to_do() {
        let refused = ConnectionError::IoError(Arc::new(io::Error::from(ErrorKind::ConnectionRefused)));
        assert_eq!(told(refused), "nothing listens there; is the node up, and is this where it takes CQL (`cql`)?");
        let name = rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForName);
        let text = told(ConnectionError::IoError(Arc::new(io::Error::new(ErrorKind::InvalidData, name))));
        assert!(text.contains("among its alternative names (SAN)"), "{text}");
        let page = NextPageError::RequestFailure(RequestError::LastAttemptError(RequestAttemptError::DbError(
            DbError::Unauthorized,
            "User w has no SELECT permission".into(),
        )));
        assert_eq!(asking(&PagerExecutionError::NextPageError(page)), "the role has no right to it (User w has no SELECT permission)");
        let busy = RequestAttemptError::DbError(DbError::Overloaded, "too many requests".into());
        assert!(is_no_answer(&of_attempt(&busy)));
    }
}
