//! A container of Azure. `object_store` reads and lists; what is stored and deleted is asked for here, one request each.
//!
//! Two things need this: `object_store` neither sends a checksum of a body nor lets one be added before it signs, and it deletes by a batch,
//! whose answer hides what a single delete says.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::azure::{AzureAuthorizer, AzureCredentialProvider, MicrosoftAzure};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody, HttpResponse};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{CopyOptions, GetOptions, GetResult, HeaderValue, ListResult, MultipartUpload, ObjectMeta, ObjectStore};
use object_store::{PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result};
use reqwest::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use reqwest::{Method, Url};

use super::md5::{CONTENT_MD5, ContentMd5};

/// What a container is made of.
pub(super) struct Parts {
    pub(super) inner: MicrosoftAzure,
    /// The same HTTP that `inner` has.
    pub(super) client: HttpClient,
    pub(super) credentials: AzureCredentialProvider,
    pub(super) account: String,
    /// Of the container itself.
    pub(super) url: Url,
}

impl fmt::Debug for Parts {
    /// Neither `inner` nor `credentials`: what they show of a key or a token is another crate's choice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may hold a signature.
        let mut url = self.url.clone();
        url.set_query(None);
        f.debug_struct("Parts").field("account", &self.account).field("url", &url.as_str()).finish_non_exhaustive()
    }
}

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Container(Arc<Parts>);

impl Container {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// A request about an object, not signed yet. The URL is the one that `object_store` reads it under.
    fn request(&self, method: Method, location: &Path, body: HttpRequestBody) -> HttpRequest {
        let mut url = self.0.url.clone();
        url.path_segments_mut().expect("a URL of HTTP has a path").extend(location.parts());
        let length = HeaderValue::from(body.content_length());
        let mut request = HttpRequest::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = String::from(url).parse().expect("what is a URL is a URI");
        request.headers_mut().insert(CONTENT_LENGTH, length);
        request
    }

    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse> {
        let credential = self.0.credentials.get_credential().await?;
        AzureAuthorizer::new(&credential, &self.0.account).try_authorize(&mut request)?;
        let sent = self.0.client.execute(request).await;
        sent.map_err(|error| object_store::Error::Generic { store: "Azure", source: Box::new(error) })
    }

    async fn delete(&self, location: &Path) -> Result<()> {
        self.send(self.request(Method::DELETE, location, HttpRequestBody::empty())).await.map(|_| ())
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Container {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode != PutMode::Create {
            return self.0.inner.put_opts(location, payload, options).await;
        }
        // Attributes and tags are not sent: what would set them is refused when a container is opened.
        let mut request = self.request(Method::PUT, location, payload.into());
        *request.extensions_mut() = options.extensions;
        let md5 = request.extensions_mut().remove::<ContentMd5>();
        let headers = request.headers_mut();
        headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        if let Some(ContentMd5(value)) = md5 {
            headers.insert(CONTENT_MD5, value);
        }
        let answer = self.send(request).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(PutResult { e_tag: header(ETAG.as_str()), version: header("x-ms-version-id"), extensions: Default::default() })
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let container = self.clone();
        let delete = move |location: Result<Path>| {
            let container = container.clone();
            async move {
                let location = location?;
                container.delete(&location).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.inner.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl PaginatedListStore for Container {
    async fn list_paginated(&self, prefix: Option<&str>, options: PaginatedListOptions) -> Result<PaginatedListResult> {
        self.0.inner.list_paginated(prefix, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::StaticCredentialProvider;
    use object_store::azure::{AzureCredential, MicrosoftAzureBuilder};

    use super::*;

    #[test]
    fn what_a_container_shows_of_itself_holds_no_secret() {
        let signature = AzureCredential::SASToken(vec![("sig".into(), "hunter2".into())]);
        let credentials: AzureCredentialProvider = Arc::new(StaticCredentialProvider::new(signature));
        let builder = MicrosoftAzureBuilder::new().with_account("clearwater").with_container_name("backups");
        let inner = builder.with_credentials(Arc::clone(&credentials)).build().unwrap();
        let url = Url::parse("https://clearwater.blob.core.windows.net/backups?sig=hunter2").unwrap();
        let client = HttpClient::new(reqwest::Client::new());
        let shown = format!("{:?}", Container::new(Parts { inner, client, credentials, account: "clearwater".into(), url }));
        assert!(shown.contains("/backups") && !shown.contains("hunter2"), "{shown}");
    }
}
