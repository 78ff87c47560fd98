//! The HTTP client that `aws-config` asks for credentials with: the one that the store is asked with, so that there is one TLS.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use object_store::client::{self, HttpConnector as _, HttpError, HttpErrorKind, HttpRequestBody, ReqwestConnector};
use object_store::{ClientOptions, HeaderValue};
use reqwest::Method;
use reqwest::header::HeaderName;

use super::patience::{ANSWER, CONNECT};
use super::wire::read;

/// Most bytes of an answer: a credential with its session token has less than 4 KiB.
const ANSWER_MAX: usize = 256 << 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes clients that differ in how long they wait for a connection, and keeps them.
#[derive(Clone)]
pub(super) struct Requester {
    options: ClientOptions,
    /// One per time limit; `aws-config` has about three.
    made: Arc<Mutex<Vec<(Duration, client::HttpClient)>>>,
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requester")
    }
}

impl Requester {
    pub(super) fn new(options: ClientOptions) -> Self {
        Self { options: options.with_allow_http(true), made: Arc::default() }
    }

    fn client(&self, connect: Duration) -> object_store::Result<client::HttpClient> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = made.iter().find(|(limit, _)| *limit == connect) {
            return Ok(client.clone());
        }
        let client = ReqwestConnector::default().connect(&self.options.clone().with_connect_timeout(connect))?;
        made.push((connect, client.clone()));
        Ok(client)
    }
}

impl HttpClient for Requester {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let connect = settings.connect_timeout().unwrap_or(CONNECT);
        let limit = connect + settings.read_timeout().unwrap_or(ANSWER);
        SharedHttpConnector::new(Connector { client: self.client(connect).map_err(|error| error.to_string()), limit })
    }
}

/// Sends requests of one kind.
#[derive(Debug)]
struct Connector {
    client: Result<client::HttpClient, String>,
    /// Longest time until the whole answer is there.
    limit: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let client = client.map_err(|error| ConnectorError::user(error.into()))?;
            let request = translated(&request).map_err(ConnectorError::user)?;
            match tokio::time::timeout(limit, exchange(&client, request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ConnectorError::timeout(format!("no answer within {} seconds", limit.as_secs()).into())),
            }
        })
    }
}

fn translated(request: &HttpRequest) -> Result<client::HttpRequest, BoxError> {
    let body = request.body().bytes().ok_or("a request for a credential has a body that is not in memory")?;
    let mut translated = client::HttpRequest::new(HttpRequestBody::from(Bytes::copy_from_slice(body)));
    *translated.method_mut() = Method::from_bytes(request.method().as_bytes())?;
    *translated.uri_mut() = request.uri().parse()?;
    for (name, value) in request.headers() {
        translated.headers_mut().append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    Ok(translated)
}

async fn exchange(client: &client::HttpClient, request: client::HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let (parts, body) = client.execute(request).await.map_err(broken)?.into_parts();
    let body = read(body, ANSWER_MAX).await.map_err(broken)?;
    if body.len() > ANSWER_MAX {
        return Err(ConnectorError::user("the answer is too long for a credential".into()));
    }
    let status = parts.status.as_u16().try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &parts.headers {
        // A header that is no text is not one that is looked for.
        if let Ok(value) = value.to_str() {
            let _ = response.headers_mut().try_append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

fn broken(error: HttpError) -> ConnectorError {
    match error.kind() {
        HttpErrorKind::Timeout => ConnectorError::timeout(Box::new(error)),
        _ => ConnectorError::io(Box::new(error)),
    }
}
