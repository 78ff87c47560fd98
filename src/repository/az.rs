//! A repository in a container of Azure Blob Storage: builds the client from settings and environment.

use std::sync::Arc;

use object_store::azure::{AzureAccessKey, AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder, split_sas};
use object_store::client::HttpConnector;
use object_store::{RetryConfig, StaticCredentialProvider};
use reqwest::Url;

use super::az_container::{Container, Parts};
use super::bucket::Surroundings;
use super::credentials::Keeper;
use super::error::Error;
use super::location;
use super::settings::Settings;
use super::tokens::{Field, Question, Tokens, service_url};
use super::trust::{Trust, unusable};
use crate::sys::secret::Secret;

/// Variables that name the storage account, the first of them first.
pub const ACCOUNT_VARIABLES: [&str; 2] = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];

/// Variables that hold a key of the account.
const KEY_VARIABLES: [&str; 2] = ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"];

/// The identity provider of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// What a token is asked for.
const SCOPE: &str = "https://storage.azure.com/.default";
const RESOURCE: &str = "https://storage.azure.com/";

/// The machine's own service.
const MACHINE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Versions of the protocols of that service and of the one that App Service and its like have.
const MACHINE_VERSION: &str = "2018-02-01";
const IDENTITY_VERSION: &str = "2019-08-01";

/// A client for the container, and the endpoint it talks to. Neither the store nor a service is asked yet.
///
/// # Errors
/// [`Error::Settings`], [`Error::CaFile`].
pub(super) fn open(settings: &Settings, container: &str, around: &Surroundings<'_>) -> Result<(Container, String), Error> {
    let account = account(settings, around)?;
    let given = settings.endpoint.clone().unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
    let endpoint = location::endpoint(&given, settings.allow_http)?;
    let plain = endpoint.starts_with("http://");
    let trust = Trust::read(settings.ca_file.clone())?;
    let credentials = credentials(settings, &trust, around)?;
    let (wire, options) = (trust.wire(plain, around.rates)?, trust.options(plain));
    let client = wire.connect(&options).map_err(unusable)?;
    // Each try of ours is one request.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let inner = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(container)
        .with_endpoint(endpoint.clone())
        .with_credentials(Arc::clone(&credentials))
        .with_retry(retry)
        .with_client_options(options)
        .with_http_connector(wire)
        .build()
        .map_err(unusable)?;
    let url = Url::parse(&format!("{endpoint}/{container}")).map_err(unusable)?;
    Ok((Container::new(Parts { inner, client, credentials, account, url }), endpoint))
}

fn account(settings: &Settings, around: &Surroundings<'_>) -> Result<String, Error> {
    let named = settings.account.clone().or_else(|| ACCOUNT_VARIABLES.into_iter().find_map(|name| around.var(name)));
    match named {
        // It becomes part of a host name.
        Some(name) if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) && !name.is_empty() => Ok(name),
        Some(_) => Err(Error::Settings("the name of a storage account has lower-case letters and digits only: check account".into())),
        None => Err(Error::Settings("az:// needs the name of the storage account: set account, or AZURE_STORAGE_ACCOUNT".into())),
    }
}

/// The credential: of the settings, of the environment, and only without any of these that of the machine.
fn credentials(settings: &Settings, trust: &Trust, around: &Surroundings<'_>) -> Result<AzureCredentialProvider, Error> {
    match (&settings.account_key, &settings.sas_token) {
        (Some(key), None) => return shared_key(key, "account_key"),
        (None, Some(token)) => return signature(token, "sas_token"),
        (Some(_), Some(_)) => return Err(Error::Settings("account_key and sas_token are both set: keep one of them".into())),
        (None, None) => {}
    }
    if let Some((name, key)) = KEY_VARIABLES.into_iter().find_map(|name| Some((name, around.var(name)?))) {
        return shared_key(&Secret::new(key), name);
    }
    if let Some(token) = around.var("AZURE_STORAGE_SAS_TOKEN") {
        return signature(&Secret::new(token), "AZURE_STORAGE_SAS_TOKEN");
    }
    let question = match identity(around)? {
        Some(question) => question,
        None => machine(around)?,
    };
    let tokens = Tokens::new(question, trust, around.clock, AzureCredential::BearerToken)?;
    Ok(Arc::new(Keeper::new(tokens, Arc::clone(around.clock))))
}

fn shared_key(key: &Secret, name: &str) -> Result<AzureCredentialProvider, Error> {
    let key =
        AzureAccessKey::try_new(key.expose()).map_err(|_| Error::Settings(format!("{name} is no key of an account: it is base64")))?;
    Ok(Arc::new(StaticCredentialProvider::new(AzureCredential::AccessKey(key))))
}

fn signature(token: &Secret, name: &str) -> Result<AzureCredentialProvider, Error> {
    let pairs = split_sas(token.expose()).ok().filter(|pairs| pairs.iter().any(|(key, _)| key == "sig"));
    let pairs = pairs.ok_or_else(|| Error::Settings(format!("{name} is no shared access signature: it is written sv=…&…&sig=…")))?;
    Ok(Arc::new(StaticCredentialProvider::new(AzureCredential::SASToken(pairs))))
}

/// The question to the identity provider, where the environment names an identity: with a token of Kubernetes, or with a secret.
fn identity(around: &Surroundings<'_>) -> Result<Option<Question>, Error> {
    let token_file = around.var("AZURE_FEDERATED_TOKEN_FILE");
    let secret = around.var("AZURE_CLIENT_SECRET");
    let (place, leading, proof) = match (token_file, secret) {
        (Some(path), _) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
            let proof = vec![("client_assertion_type", Field::Plain(kind)), ("client_assertion", Field::File(path.into()))];
            ("workload identity (Azure)", "AZURE_FEDERATED_TOKEN_FILE", proof)
        }
        (None, Some(secret)) => {
            ("client secret (Azure)", "AZURE_CLIENT_SECRET", vec![("client_secret", Field::Hidden(Secret::new(secret)))])
        }
        (None, None) => return Ok(None),
    };
    let needed = |name: &str| {
        let missing = || Error::Settings(format!("{leading} is set and {name} is not: both belong to one identity"));
        around.var(name).ok_or_else(missing)
    };
    let (tenant, client) = (needed("AZURE_TENANT_ID")?, needed("AZURE_CLIENT_ID")?);
    let authority = around.var("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.into());
    let refused = |why: &str| Error::Settings(format!("AZURE_AUTHORITY_HOST cannot be used: {why}"));
    let mut url = service_url(&authority).map_err(|why| refused(&why))?;
    let mut path = url.path_segments_mut().map_err(|()| refused("it names no host"))?;
    path.pop_if_empty().extend([tenant.as_str(), "oauth2", "v2.0", "token"]);
    drop(path);
    let mut form = vec![
        ("grant_type", Field::Plain("client_credentials".into())),
        ("scope", Field::Plain(SCOPE.into())),
        ("client_id", Field::Plain(client)),
    ];
    form.extend(proof);
    Ok(Some(Question { place, url, headers: Vec::new(), form, of_machine: false }))
}

/// The question to the machine's own service, or to the one that the environment names in its place.
fn machine(around: &Surroundings<'_>) -> Result<Question, Error> {
    let named = around.var("IDENTITY_ENDPOINT");
    let (text, version) = match &named {
        Some(url) => (url.as_str(), IDENTITY_VERSION),
        None => (MACHINE, MACHINE_VERSION),
    };
    let mut url = Url::parse(text).map_err(|_| Error::Settings("IDENTITY_ENDPOINT is no URL".into()))?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", RESOURCE);
    // An identity that was assigned by a person is chosen by its name.
    if let Some(client) = around.var("AZURE_CLIENT_ID") {
        url.query_pairs_mut().append_pair("client_id", &client);
    }
    let mut headers = vec![("metadata", Secret::new("true"))];
    if let (Some(_), Some(header)) = (&named, around.var("IDENTITY_HEADER")) {
        headers.push(("x-identity-header", Secret::new(header)));
    }
    Ok(Question { place: "managed identity (Azure)", url, headers, form: Vec::new(), of_machine: true })
}
