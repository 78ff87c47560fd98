//! A credential of Google as it lies in a file: JSON documents of several types.

use std::path::{Path, PathBuf};

use reqwest::Url;
use serde_json::{Value, json};

use super::error::Error;
use super::tokens::{Field, Question, service_url};
use crate::sys::secret::Secret;
use crate::sys::secret_file::SecretFile;

/// Where a person's refresh token is exchanged, unless the document says otherwise.
const TOKEN_SERVICE: &str = "https://oauth2.googleapis.com/token";

/// What a document holds.
#[derive(Debug)]
pub(super) enum GoogleKey {
    /// The key of a service account, as the document that `object_store` signs tokens with by itself.
    Service(Secret),
    /// What a person is logged in with, as the question that gives an access token for it.
    Person(Question),
}

impl GoogleKey {
    /// Reads the file of application default credentials.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let file = SecretFile::read_whole(path);
        let file = file.map_err(|cause| Error::Settings(format!("the Google credential {} cannot be read: {cause}", path.display())))?;
        Self::parse(&file.secret, &path.display().to_string())
    }

    /// Takes a document apart; `place` says where it comes from. Nothing of what it holds is ever shown.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub(super) fn parse(document: &Secret, place: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::Settings(format!("{place} holds no Google credential that can be used: {why}"));
        let value: Value = serde_json::from_str(document.expose()).map_err(|_| refused("it is not JSON"))?;
        let text = |key: &str| {
            let text = value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| refused(&format!("it has no `{key}`")))
        };
        match text("type")?.as_str() {
            "service_account" => {
                // Only what is needed is handed on: other fields have a meaning to object_store that they do not have to Google.
                let [email, id, key] = ["client_email", "private_key_id", "private_key"].map(text);
                let plain = json!({ "client_email": email?, "private_key_id": id?, "private_key": key? });
                Ok(Self::Service(Secret::new(plain.to_string())))
            }
            "authorized_user" => {
                let url = value.get("token_uri").and_then(Value::as_str).unwrap_or(TOKEN_SERVICE);
                let url: Url = service_url(url).map_err(|why| refused(&format!("its token_uri cannot be used: {why}")))?;
                let form = vec![
                    ("grant_type", Field::Plain("refresh_token".into())),
                    ("client_id", Field::Plain(text("client_id")?)),
                    ("client_secret", Field::Hidden(Secret::new(text("client_secret")?))),
                    ("refresh_token", Field::Hidden(Secret::new(text("refresh_token")?))),
                ];
                let place = "application default credentials";
                Ok(Self::Person(Question { place, url, headers: Vec::new(), form, of_machine: false }))
            }
            other => {
                let known = other.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && other.len() < 60;
                let kind = if known { format!("`{other}`") } else { "unknown".into() };
                Err(refused(&format!("its type is {kind}; use the key of a service account, or the service account of the machine")))
            }
        }
    }
}

/// Where `gcloud auth application-default login` leaves a credential.
pub(super) fn well_known(var: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = var("CLOUDSDK_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(var("HOME")?).join(".config/gcloud")));
    folder.map(|folder| folder.join("application_default_credentials.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(document: &str) -> String {
        GoogleKey::parse(&Secret::new(document), "/k.json").map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn of_a_service_account_only_what_signs_is_handed_on() {
        let document = r#"{"type": "service_account", "client_email": "a@b", "private_key_id": "7", "private_key": "PEM",
            "disable_oauth": true, "gcs_base_url": "http://elsewhere"}"#;
        let GoogleKey::Service(plain) = GoogleKey::parse(&Secret::new(document), "/k").unwrap() else { panic!("a service account") };
        let plain: Value = serde_json::from_str(plain.expose()).unwrap();
        assert_eq!(plain, json!({"client_email": "a@b", "private_key_id": "7", "private_key": "PEM"}));
    }

    #[test]
    fn a_document_that_cannot_be_used_is_told_without_showing_it() {
        for (document, says) in [
            ("hunter2", "not JSON"),
            ("{}", "no `type`"),
            (r#"{"type": "service_account", "client_email": "a", "private_key": "hunter2"}"#, "no `private_key_id`"),
            (r#"{"type": "external_account", "x": "hunter2"}"#, "`external_account`"),
            (r#"{"type": "hunter2"}"#, "unknown"),
            (r#"{"type": "authorized_user", "token_uri": "http://hunter2.example.com"}"#, "https://"),
        ] {
            let found = refusal(document);
            assert!(found.contains(says) && found.contains("/k.json") && !found.contains("hunter2"), "{document}: {found}");
        }
    }
}
