//! The HTTP layer under `object_store`: makes refusals tellable, bounds what is read of them, and can damage a body for the probe.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse};
use object_store::client::{HttpResponseBody, HttpService, ReqwestConnector};

use super::md5::{CONTENT_MD5, ContentMd5};
use super::rate::{Rates, Waited};
use super::refusal::Refusal;
use super::upload;

/// Most bytes that are read of an answer that says why something was refused: such documents have a few hundred.
pub(super) const REFUSAL_MAX: usize = 64 << 10;

/// Most bytes of one page of a listing: 1,000 keys of 1,024 bytes, escaped, with their metadata, have less, and so have the 5,000 of a page
/// of Azure, each with its name and about 1 KiB of properties.
pub(super) const PAGE_MAX: usize = 16 << 20;

/// An extension of a PUT: these bytes are sent in place of those that were signed, or whose checksum goes along, to see whether the store notices.
#[derive(Clone, Debug)]
pub(super) struct Damaged(pub(super) Bytes);

/// An extension of a PUT: it is sent as fast as the limit allows, and the time that it is held up is counted.
#[derive(Clone, Debug)]
pub(super) struct Paced {
    /// The body, which an `object_store` request does not give out.
    pub(super) bytes: Bytes,
    pub(super) waited: Arc<Waited>,
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

/// Connects to one store.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    /// Where an upload is limited: the client that can send a body bit by bit.
    pub(super) bit_by_bit: Option<reqwest::Client>,
    /// The limits of the rate.
    pub(super) rates: Arc<Rates>,
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    bit_by_bit: Option<reqwest::Client>,
    rates: Arc<Rates>,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Service { inner, bit_by_bit: self.bit_by_bit.clone(), rates: Arc::clone(&self.rates) }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let damaged = request.extensions_mut().remove().map(|Damaged(bytes)| bytes);
        if let Some(bytes) = &damaged {
            *request.body_mut() = HttpRequestBody::from(bytes.clone());
        }
        // On Azure it is in the headers already: there it had to be signed.
        if let Some(ContentMd5(value)) = request.extensions_mut().remove() {
            request.headers_mut().insert(CONTENT_MD5, value);
        }
        let paced = request.extensions_mut().remove::<Paced>();
        let is_look = request.method() == reqwest::Method::HEAD;
        let is_listing = request.uri().query().is_some_and(is_listing);
        let response = match (paced, &self.bit_by_bit, &self.rates.upload) {
            (Some(Paced { bytes, waited }), Some(client), Some(rate)) => {
                upload::send(client, request, damaged.unwrap_or(bytes), Arc::clone(rate), waited).await?
            }
            _ => self.inner.execute(request).await?,
        };
        if !response.status().is_success() {
            let mut refusal = refused(response).await;
            // An answer to HEAD has no body, so its status is all there is. Any other 404 must say that it means the object: a bucket or a
            // path that a wrong endpoint does not know gives one too.
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
        // A page is not held up, so that its limit of time stands; what comes after it waits for it.
        if let Some(rate) = &self.rates.download {
            rate.charge(page.len() as u64);
        }
        Ok(HttpResponse::from_parts(parts, page.into()))
    }
}

/// Whether a query asks for a page of a listing: of S3 and Google, or of Azure.
fn is_listing(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("list-type=") || pair == "comp=list")
}

/// What an answer other than success says.
async fn refused(response: HttpResponse) -> Refusal {
    let (parts, body) = response.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.chars().take(100).collect());
    // MinIO and Azure say in a header, also in answer to HEAD, what went wrong.
    let code: String = header("x-minio-error-code").or_else(|| header("x-ms-error-code")).unwrap_or_default();
    let mut refusal = Refusal { region: header("x-amz-bucket-region"), ..Refusal::new(parts.status.as_u16(), &code) };
    if let Ok(text) = read(body, REFUSAL_MAX).await {
        refusal = refusal.with_body(&text);
    }
    refusal
}

/// Reads a body until its end or until it has more than `at_most` bytes.
pub(super) async fn read(body: HttpResponseBody, at_most: usize) -> Result<Bytes, HttpError> {
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
