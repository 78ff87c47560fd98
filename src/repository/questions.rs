//! Questions to a bucket for which `object_store` has no call. Each is one signed GET, sent and refused as the store's other requests are.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer};
use serde::de::DeserializeOwned;

use super::core::Core;
use super::error::{At, Cause, Error};
use super::fault::Fault;
use super::patience::{ANSWER, FIRST_TRIES, within};
use super::wire::{PAGE_MAX, read};

/// How long a signature holds. Each try has its own, so this is only for clocks that differ: by as much as S3 lets them.
const SIGNED: Duration = Duration::from_secs(900);

/// The header by which whoever asks pays for it.
const PAYER: (HeaderName, HeaderValue) = (HeaderName::from_static("x-amz-request-payer"), HeaderValue::from_static("requester"));

/// Whom the questions are put to.
#[derive(Debug)]
pub(super) struct Questions {
    pub(super) store: Arc<AmazonS3>,
    /// Connects as the store does.
    pub(super) client: HttpClient,
    /// Whether this account pays for requests.
    pub(super) request_payer: bool,
}

impl Questions {
    /// One try. The signature is a part of the URL, which no error shows.
    async fn ask(&self, path: &Path, query: &[(&str, &str)]) -> Result<Bytes, Fault> {
        let mut options = SignedUrlOptions::new().with_query(query.iter().copied());
        if self.request_payer {
            options = options.with_signed_header(PAYER.0, PAYER.1);
        }
        let url = self.store.signed_url_opts(Method::GET, path, SIGNED, &options).await?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|_| Fault::Other(Cause("the URL of a question cannot be used".into())))?;
        request.headers_mut().extend(options.signed_headers);
        // As `object_store` hands on what went wrong.
        let broken = |error| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        let answer = self.client.execute(request).await.map_err(broken)?;
        let body = read(answer.into_body(), PAGE_MAX).await.map_err(broken)?;
        match body.len() {
            0..=PAGE_MAX => Ok(body),
            _ => Err(Fault::Other(Cause(format!("the answer has more than {PAGE_MAX} bytes")))),
        }
    }
}

impl Core {
    /// Asks the bucket, or about the object under a key; `None` where the repository is no bucket of S3.
    pub(super) async fn question<T: DeserializeOwned>(&self, at: At, query: &[(&str, &str)]) -> Result<Option<T>, Error> {
        let Some(questions) = &self.questions else { return Ok(None) };
        let path = if at.key.is_empty() { Path::default() } else { self.path(&at.key)? };
        // A store that does not know the question may answer as if it were in trouble.
        let answer = self.retry_up_to(FIRST_TRIES, at.clone(), || within(ANSWER, questions.ask(&path, query))).await?;
        let read = std::str::from_utf8(&answer).map_err(|cause| cause.to_string());
        let read = read.and_then(|text| quick_xml::de::from_str(text).map_err(|cause| cause.to_string()));
        read.map(Some).map_err(|cause| Error::Failed { at, cause: Cause(format!("the answer is not understood: {cause}")) })
    }
}
