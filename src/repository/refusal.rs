//! What a store answered instead of doing what was asked.

use std::fmt;

/// Most characters of a store's own message that are kept: enough for a sentence, too few for a page.
const MESSAGE_MAX: usize = 300;

/// An answer other than success, as far as it was understood.
///
/// It travels at the bottom of the error chain of `object_store`, so that a decorator in a test can make one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The store's code, like `NoSuchBucket`; empty when it gave none.
    pub code: String,
    /// The store's message; empty when it gave none.
    pub message: String,
    /// The region that the bucket lies in, when the store told it.
    pub region: Option<String>,
}

impl Refusal {
    /// A store's answer with this status and code.
    pub fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned(), message: String::new(), region: None }
    }

    /// Reads code and message from the body of an answer, XML as S3 writes it.
    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        if let Some(code) = element(&text, "Code") {
            self.code = code;
        }
        // Azure adds a number and the time to each message, on lines of their own.
        let text = text.replace("\nRequestId:", "</Message>");
        self.message = element(&text, "Message").unwrap_or_default();
        if self.region.is_none() {
            self.region = element(&text, "Region");
        }
        self
    }

    /// Whether the credential may not do this one thing, as far as can be told: an answer to HEAD has no code.
    pub(super) fn is_denial(&self) -> bool {
        self.status == 403 && matches!(self.code.as_str(), "" | "AccessDenied")
    }

    /// Whether a delete was refused because the object is locked, by a code that says nothing else of a delete: those of Azure, of which the
    /// second is a lease, that keeps an object until it is given back, and that of MinIO.
    pub(super) fn has_lock_code(&self) -> bool {
        let of_azure = ["BlobImmutableDueToPolicy", "LeaseIdMissing"].contains(&self.code.as_str());
        of_azure || (self.status == 400 && self.code == "InvalidRequest")
    }

    /// The same, or by what it says: AWS, versitygw and radosgw refuse what a credential may not do with the same status and code, but nobody
    /// speaks of locks then, unless a name does.
    pub(super) fn is_lock(&self) -> bool {
        let message = self.message.to_lowercase();
        self.has_lock_code() || ["object lock", "worm protected", "legal hold"].iter().any(|words| message.contains(words))
    }

    /// Whether the same request may be answered otherwise a little later.
    pub(super) fn is_passing(&self) -> bool {
        const CODES: [&str; 11] = [
            "SlowDown",
            "ServiceUnavailable",
            "InternalError",
            "RequestTimeout",
            "RequestTimeoutException",
            // The body was damaged or cut on its way; the next try may pass.
            "BadDigest",
            "Md5Mismatch",
            "IncompleteBody",
            "XAmzContentSHA256Mismatch",
            // Two writers at one key; after one is done the answer is a clear one.
            "OperationAborted",
            "ConditionalRequestConflict",
        ];
        match self.status {
            501 | 505 | 507 => false,
            408 | 425 | 429 | 500.. => true,
            _ => CODES.contains(&self.code.as_str()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.as_str() {
            "" => write!(f, "the store answered with status {}", self.status)?,
            code => write!(f, "the store answered {code} ({})", self.status)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message.trim_end_matches('.')) }
    }
}

impl std::error::Error for Refusal {}

/// The text of the first such element, with control characters taken out and its length bounded.
fn element(text: &str, name: &str) -> Option<String> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let rest = &text[start..];
    let inner = &rest[..rest.find("</")?];
    let named = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    // The two that S3 servers write as numbers.
    let plain = named.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    Some(plain.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_message_and_region_come_from_the_body() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting &apos;eu&apos;\n.</Message>\
            <Region>eu-west-1</Region></Error>";
        let refusal = Refusal::new(400, "").with_body(body);
        assert_eq!((refusal.code.as_str(), refusal.region.as_deref()), ("AuthorizationHeaderMalformed", Some("eu-west-1")));
        assert_eq!(refusal.to_string(), "the store answered AuthorizationHeaderMalformed (400): expecting 'eu'");
    }

    #[test]
    fn of_azures_messages_the_sentence_is_shown() {
        let body = b"<Error>\n<Code>BlobNotFound</Code>\n<Message>The specified blob does not exist.\nRequestId:8ce3\nTime:2026-11-26</Message></Error>";
        let told = Refusal::new(404, "").with_body(body).to_string();
        assert_eq!(told, "the store answered BlobNotFound (404): The specified blob does not exist");
    }

    #[test]
    fn quotes_in_a_message_are_shown_as_quotes() {
        let body = b"<Message>the region &#34;eu&#34; isn&#39;t &amp;lt;this&amp;gt;</Message>";
        assert_eq!(Refusal::new(400, "").with_body(body).message, "the region \"eu\" isn't &lt;this&gt;");
    }

    #[test]
    fn a_body_that_is_no_error_document_is_no_message() {
        for body in [&b""[..], b"\xff\xfe", b"<Code>", b"<html>No</html>"] {
            assert_eq!(Refusal::new(502, "").with_body(body).to_string(), "the store answered with status 502");
        }
        let long = format!("<Message>{}</Message>", "x".repeat(10_000));
        assert_eq!(Refusal::new(500, "").with_body(long.as_bytes()).message.len(), MESSAGE_MAX);
    }

    #[test]
    fn a_lock_is_told_from_a_right_that_is_missing() {
        let said = |message: &str| Refusal { message: message.to_owned(), ..Refusal::new(403, "AccessDenied") }.is_lock();
        assert!(said("Access Denied because object protected by object lock."));
        assert!(said("Object is WORM protected and cannot be overwritten"));
        assert!(said("forbidden by object lock"));
        assert!(!said("Access Denied.") && !said(""));
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        for (status, code) in [(503, "SlowDown"), (500, ""), (429, ""), (400, "RequestTimeout"), (409, "OperationAborted")] {
            assert!(Refusal::new(status, code).is_passing(), "{status} {code}");
        }
        for (status, code) in [(403, "AccessDenied"), (404, "NoSuchKey"), (400, "InvalidRequest"), (501, "NotImplemented"), (507, "")] {
            assert!(!Refusal::new(status, code).is_passing(), "{status} {code}");
        }
    }
}
