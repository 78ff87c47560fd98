//! What a refusal means, and what a person can do about it: stores of every kind have words of their own.

use super::error::{At, Error};
use super::location::Scheme;
use super::refusal::Refusal;

/// The error that a refusal is.
pub(super) fn error(refusal: Refusal, at: At, tries: u32) -> Error {
    if refusal.is_passing() {
        return Error::Busy { at, tries, answer: Box::new(refusal) };
    }
    // MinIO refuses it with a status of its own (400); it is a denial like any other.
    let locked = at.operation == "delete" && refusal.is_lock();
    let (help, whole) = match refusal.code.as_str() {
        "NoSuchBucket" | "ContainerNotFound" => return Error::NoBucket { at },
        // The last is what versitygw says.
        "InvalidAccessKeyId" | "InvalidAccessKey" | "XAdminUserNotFound" => (": check access_key_id", true),
        "SignatureDoesNotMatch" => (": check secret_access_key, and that region is the bucket's", true),
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => (": the session token is no longer valid: give a fresh one", true),
        "RequestTimeTooSkewed" => (": this machine's clock is wrong: check its time service", true),
        // Azure. The third is also what its firewall says, and what Azurite says of a wrong key.
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "AuthorizationFailure" | "NoAuthenticationInformation" => {
            (": check account_key or sas_token and when it ends, this machine's clock, and the account's network rules", true)
        }
        "KeyBasedAuthenticationNotPermitted" => (": the account takes no key: use an identity", true),
        "InvalidObjectState" => (": it lies in a class that is not read at once: have the store restore it first", false),
        _ if locked => (": the object is locked", false),
        _ if refusal.status == 403 => {
            (": the credential may not do this (or, when reading without the right to list, it is not there)", false)
        }
        _ if refusal.status == 401 => (wrong(&at), true),
        _ => return Error::Refused { help: refused(&refusal), at, answer: Box::new(refusal) },
    };
    Error::Denied { at, answer: Box::new(refusal), help, whole }
}

fn refused(refusal: &Refusal) -> String {
    match (&refusal.region, refusal.status) {
        (Some(region), _) => format!(": the bucket lies in another region: set region = \"{region}\""),
        (None, 301 | 302 | 307 | 308) => ": the bucket answers elsewhere: check endpoint and region".into(),
        (None, 507) => ": the store is full".into(),
        (None, 400..) if refusal.code.is_empty() => ": this is not how such a store answers, check endpoint".into(),
        _ => String::new(),
    }
}

/// The settings to look at where a credential is not accepted.
fn wrong(at: &At) -> &'static str {
    match Scheme::of(&at.store) {
        Some(Scheme::Az) => ": check account_key or sas_token, or the identity that was used",
        Some(Scheme::Gs) => ": check service_account, or the credential that was used in its place",
        _ => ": check access_key_id and secret_access_key",
    }
}

/// Where a credential can be given.
pub(super) fn credential(at: &At) -> &'static str {
    match Scheme::of(&at.store) {
        Some(Scheme::Az) => {
            "set account_key or sas_token, or AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_TENANT_ID and AZURE_CLIENT_ID with \
             AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE"
        }
        Some(Scheme::Gs) => "set service_account_file, or GOOGLE_APPLICATION_CREDENTIALS",
        _ => "set access_key_id and secret_access_key, or profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    }
}
