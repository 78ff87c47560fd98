//! A credential that ends, as a role has one: from the token service that a MinIO server has.

use jiff::Timestamp;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequest;

use super::servers::{ACCESS_KEY, REGION, SECRET_KEY, Server};

/// What is asked of the service: a credential for an hour.
const QUESTION: &str = "Action=AssumeRole&Version=2011-06-15&DurationSeconds=3600";

/// A credential with an end.
pub struct Session {
    pub id: String,
    pub secret: String,
    pub token: String,
    pub ends: Timestamp,
}

impl Session {
    /// Asks the server's token service, with the server's account.
    pub fn begin(server: &Server) -> Self {
        Self::ask(server, QUESTION.to_owned())
    }

    /// The same with no more rights than this policy allows.
    pub fn restricted(server: &Server, policy: &str) -> Self {
        let encoded: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
        Self::ask(server, format!("{QUESTION}&Policy={encoded}"))
    }

    /// What stands in a configuration for it.
    pub fn configuration(&self) -> String {
        let Self { id, secret, token, .. } = self;
        format!("access_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\nsession_token = \"{token}\"\n")
    }

    fn ask(server: &Server, question: String) -> Self {
        let account = AwsCredential { key_id: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), token: None };
        let mut request = HttpRequest::new(question.clone().into());
        *request.method_mut() = reqwest::Method::POST;
        *request.uri_mut() = format!("{}/", server.endpoint).parse().unwrap();
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        AwsAuthorizer::new(&account, "sts", REGION).try_authorize(&mut request, None).unwrap();
        let (parts, _) = request.into_parts();
        let answer = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let sent = reqwest::Client::new().post(parts.uri.to_string()).headers(parts.headers).body(question).send().await.unwrap();
            sent.text().await.unwrap()
        });
        let element = |name: &str| {
            let found = answer.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
            found.unwrap_or_else(|| panic!("no {name} in {answer}")).0.to_owned()
        };
        let ends = element("Expiration").parse().unwrap();
        Self { id: element("AccessKeyId"), secret: element("SecretAccessKey"), token: element("SessionToken"), ends }
    }
}
