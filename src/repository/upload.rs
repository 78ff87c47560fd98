//! An upload that is kept to a limit of the rate: its body is sent bit by bit, as time allows.
//!
//! The bodies of `object_store` cannot wait, so these requests go through a client of their own, with the same TLS.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream;
use object_store::HeaderValue;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use reqwest::header::CONTENT_LENGTH;

use super::rate::{Rate, Waited};
use super::wire::REFUSAL_MAX;

/// Sends a signed request with this body, which is not copied.
pub(super) async fn send(
    client: &reqwest::Client,
    request: HttpRequest,
    bytes: Bytes,
    rate: Arc<Rate>,
    waited: Arc<Waited>,
) -> Result<HttpResponse, HttpError> {
    let (parts, _) = request.into_parts();
    let url = parts.uri.to_string().parse().map_err(|error| HttpError::new_boxed(HttpErrorKind::Unknown, Box::new(error)))?;
    let mut sent = reqwest::Request::new(parts.method, url);
    *sent.headers_mut() = parts.headers;
    // Without it the body would be sent in chunks of unknown number, which stores refuse.
    sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let step = rate.step();
    let pieces = stream::unfold((bytes, rate, waited), move |(mut rest, rate, waited)| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(step.min(rest.len()));
        rate.take(piece.len() as u64, &waited).await;
        Some((Ok::<_, std::convert::Infallible>(piece), (rest, rate, waited)))
    });
    *sent.body_mut() = Some(reqwest::Body::wrap_stream(pieces));
    let mut answer = client.execute(sent).await.map_err(broken)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        body.extend_from_slice(&chunk);
        if body.len() > REFUSAL_MAX {
            break;
        }
    }
    let mut response = HttpResponse::new(body.freeze().into());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn broken(error: reqwest::Error) -> HttpError {
    let kind = match &error {
        error if error.is_timeout() => HttpErrorKind::Timeout,
        error if error.is_connect() => HttpErrorKind::Connect,
        error if error.is_decode() => HttpErrorKind::Decode,
        _ => HttpErrorKind::Request,
    };
    // The URL is told with the key already.
    HttpError::new(kind, error.without_url())
}
