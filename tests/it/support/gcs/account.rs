//! Who is let in: a service account, by tokens that it signs itself, and whoever was given a token by a service.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

/// A token that the services of the tests give.
pub const TOKEN: &str = "ya29.a-token-of-a-service";

const EMAIL: &str = "windlass@tests.iam.gserviceaccount.com";
const KEY_ID: &str = "0123456789abcdef";
const SCOPES: [&str; 2] = ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/devstorage.read_write"];

/// Longest life of a token that was signed by its bearer, in seconds, and how far clocks may differ.
const LIFE: i64 = 3600;
const SKEW: i64 = 60;

/// A service account with its key.
pub struct Account {
    key: KeyPair,
}

impl Account {
    pub fn new() -> Self {
        Self { key: KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap() }
    }

    /// The account's key as Google gives it out: a JSON file.
    pub fn key_file(&self) -> String {
        let document = json!({
            "type": "service_account", "project_id": "tests", "private_key_id": KEY_ID, "private_key": self.key.serialize_pem(),
            "client_email": EMAIL, "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
        });
        serde_json::to_string_pretty(&document).unwrap()
    }

    /// The private part of the key, which must be shown nowhere.
    pub fn secret(&self) -> String {
        self.key.serialize_pem().lines().nth(3).unwrap().to_owned()
    }

    /// Whether the bearer of a token is let in; with what is wrong.
    pub fn admits(&self, token: &str) -> Result<(), &'static str> {
        if token == TOKEN {
            return Ok(());
        }
        let (message, signature) = token.rsplit_once('.').ok_or("it is no token")?;
        let (header, claims) = message.split_once('.').ok_or("it is no token")?;
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is not base64");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key_raw());
        public.verify(message.as_bytes(), &decode(signature)?).map_err(|_| "its signature is wrong")?;
        let document = |text: &str| serde_json::from_slice::<Value>(&decode(text)?).map_err(|_| "it is not JSON");
        let (header, claims) = (document(header)?, document(claims)?);
        if header != json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID }) {
            return Err("its header is wrong");
        }
        if claims["iss"] != EMAIL || claims["sub"] != EMAIL || !SCOPES.iter().any(|scope| claims["scope"] == *scope) {
            return Err("its claims are wrong");
        }
        let now = Timestamp::now().as_second();
        let (from, until) = (claims["iat"].as_i64().ok_or("it has no iat")?, claims["exp"].as_i64().ok_or("it has no exp")?);
        let is_valid = from <= now + SKEW && until > now && until - from <= LIFE;
        if is_valid { Ok(()) } else { Err("its time is over, has not begun, or is too long") }
    }
}
