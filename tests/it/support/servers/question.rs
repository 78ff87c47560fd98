//! What a test asks of a server beside the program: signed requests with the server's account.

use std::fs;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequest;

use super::{ACCESS_KEY, REGION, SECRET_KEY, Server};

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Server {
    /// Asks the server; `what` is the path with its query.
    pub fn ask(&self, method: &str, what: &str, body: &str) -> Answer {
        let account = AwsCredential { key_id: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), token: None };
        let mut request = HttpRequest::new(body.to_owned().into());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = format!("{}{what}", self.endpoint).parse().unwrap();
        AwsAuthorizer::new(&account, "s3", REGION).try_authorize(&mut request, None).unwrap();
        let (parts, _) = request.into_parts();
        let mut http = reqwest::Client::builder();
        if let Some(ca_file) = &self.ca_file {
            http = http.add_root_certificate(reqwest::Certificate::from_pem(&fs::read(ca_file).unwrap()).unwrap());
        }
        let question = http.build().unwrap().request(parts.method, parts.uri.to_string()).headers(parts.headers);
        let question = question.header("Content-Length", body.len()).body(body.to_owned());
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let answer = question.send().await.unwrap();
            Answer { status: answer.status().as_u16(), text: answer.text().await.unwrap() }
        })
    }
}
