//! The HTTP layer under `object_store`: makes refusals tellable, bounds what is read of them, and can damage a body for the probe.

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse};
use object_store::client::{HttpResponseBody, HttpService, ReqwestConnector};

use super::refusal::Refusal;

/// Most bytes that are read of an answer that says why something was refused: such documents have a few hundred.
const REFUSAL_MAX: usize = 64 << 10;

/// Most bytes of one page of a listing: 1,000 keys of 1,024 bytes, escaped, with their metadata, have less.
const PAGE_MAX: usize = 16 << 20;

/// An extension of a PUT: these bytes are sent in place of the signed ones, to see whether the store notices.
#[derive(Clone, Debug)]
pub(super) struct Damaged(pub(super) Bytes);

/// No credential could be had; the source of credentials, not the store, is to blame.
#[derive(Debug)]
pub(super) struct NoCredential(HttpError);

impl fmt::Display for NoCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of credentials cannot be reached")
    }
}

impl std::error::Error for NoCredential {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A page of a listing that has no end.
#[derive(Debug)]
struct LongPage;

impl fmt::Display for LongPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a page of the listing has more than {PAGE_MAX} bytes")
    }
}

impl std::error::Error for LongPage {}

/// Connects to one store. Requests to any other host ask for credentials.
#[derive(Debug)]
pub(super) struct Wire {
    /// Host and port of the store.
    pub(super) authority: String,
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    authority: String,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Service { inner, authority: self.authority.clone() }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(Damaged(bytes)) = request.extensions_mut().remove() {
            *request.body_mut() = HttpRequestBody::from(bytes);
        }
        let of_credentials = request.uri().authority().is_none_or(|authority| !authority.as_str().eq_ignore_ascii_case(&self.authority));
        let is_look = request.method() == reqwest::Method::HEAD;
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type="));
        let response = self.inner.execute(request).await;
        let response = response.map_err(|error| if of_credentials { unreachable_source(error) } else { error })?;
        if !response.status().is_success() {
            let mut refusal = refused(response, of_credentials).await;
            // An answer to HEAD has no body, so its status is all there is. Any other 404 must say that it means the object: a credential, a
            // bucket or a path that a wrong endpoint does not know gives one too.
            if is_look && refusal.status == 404 && refusal.code.is_empty() {
                refusal.code = "NoSuchKey".into();
            }
            return Err(HttpError::new(HttpErrorKind::Unknown, refusal));
        }
        if !is_listing {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let page = read(body, PAGE_MAX).await?;
        if page.len() > PAGE_MAX {
            return Err(HttpError::new(HttpErrorKind::Decode, LongPage));
        }
        Ok(HttpResponse::from_parts(parts, page.into()))
    }
}

fn unreachable_source(error: HttpError) -> HttpError {
    HttpError::new(error.kind(), NoCredential(error))
}

/// What an answer other than success says.
async fn refused(response: HttpResponse, of_credentials: bool) -> Refusal {
    let (parts, body) = response.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.chars().take(100).collect());
    // MinIO says in a header, also in answer to HEAD, what went wrong.
    let code: String = header("x-minio-error-code").unwrap_or_default();
    let mut refusal = Refusal { region: header("x-amz-bucket-region"), of_credentials, ..Refusal::new(parts.status.as_u16(), &code) };
    if let Ok(text) = read(body, REFUSAL_MAX).await {
        refusal = refusal.with_body(&text);
    }
    refusal
}

/// Reads a body until its end or until it has more than `at_most` bytes.
async fn read(body: HttpResponseBody, at_most: usize) -> Result<Bytes, HttpError> {
    let mut stream = body.bytes_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > at_most {
            break;
        }
    }
    Ok(bytes.freeze())
}
