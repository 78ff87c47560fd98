//! The MD5 of a body, sent along where no signature covers the body: Azure and Google compare it with what has arrived.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::HeaderValue;
use reqwest::header::HeaderName;

/// The header. It takes part in signatures of Azure, so there it has to be set before a request is signed.
pub(super) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// An extension of a PUT: the value of [`CONTENT_MD5`], of the bytes that were meant to be sent. It finds accidents; names of objects are
/// SHA-256, and forgery is not what this is about.
#[derive(Clone, Debug)]
pub(super) struct ContentMd5(pub(super) HeaderValue);

impl ContentMd5 {
    /// That of a body.
    pub(super) fn of(bytes: &Bytes) -> Self {
        let text = BASE64_STANDARD.encode(Md5::digest(bytes));
        Self(HeaderValue::from_str(&text).expect("base64 is ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_base64_as_rfc_1864_has_it() {
        // RFC 1321: MD5 ("abc") = 900150983cd24fb0d6963f7d28e17f72.
        assert_eq!(ContentMd5::of(&Bytes::from_static(b"abc")).0, "kAFQmDzST7DWlj99KOF/cg==");
    }
}
