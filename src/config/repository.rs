//! `[repository]`: where it is and how it is reached.

use std::collections::BTreeSet;

use super::mistake::Gatherer;
use super::secret::WrittenSecret;
use super::section::Written;
use super::units::size_text;
use super::{belonging, file, keeping};
use crate::repository::{FLOOR_RATE, RATE_MIN, Settings};
use crate::sys::environment::Environment;
use crate::sys::secret::Secret;

/// What the repository's room needs; `None` without a URL that can be used.
pub(super) fn resolve(written: &file::Repository, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<Settings> {
    let look_up = |secret: &Option<WrittenSecret>| secret.as_ref().and_then(|secret| secret.look_up(environment, gather));
    let [access_key_id, secret_access_key, session_token] =
        [&written.access_key_id, &written.secret_access_key, &written.session_token].map(look_up);
    let [account_key, sas_token, service_account] = [&written.account_key, &written.sas_token, &written.service_account].map(look_up);
    check_pairs(written, gather);
    check_endpoint(written, gather);
    for limit in [&written.upload_limit, &written.download_limit].into_iter().flatten().filter(|limit| limit.value < RATE_MIN) {
        gather.mistake(limit.at, &limit.key, format!("a pack would take most of an hour: give at least {}/s", size_text(RATE_MIN)));
    }
    let Some(url) = &written.url else {
        gather.missing(
            written.at,
            "repository.url",
            "this is missing: write url = \"s3://bucket/prefix\", az://, gs:// or \"file:///folder\" in [repository]",
        );
        return None;
    };
    if let Err(message) = check_url(&url.value) {
        gather.mistake(url.at, &url.key, message);
        return None;
    }
    belonging::check(written, url, environment, gather);
    Some(Settings {
        url: url.value.clone(),
        endpoint: text(&written.endpoint),
        region: text(&written.region),
        allow_http: written.allow_http.as_ref().is_some_and(|allow| allow.value),
        virtual_host: written.virtual_host.as_ref().is_some_and(|host| host.value),
        ca_file: written.ca_file.as_ref().map(|file| file.value.clone()),
        profile: text(&written.profile),
        access_key_id,
        secret_access_key,
        session_token,
        account: text(&written.account),
        account_key,
        sas_token,
        service_account,
        floor_rate: FLOOR_RATE,
        upload_limit: written.upload_limit.as_ref().map(|limit| limit.value),
        download_limit: written.download_limit.as_ref().map(|limit| limit.value),
        keeping: keeping::resolve(written, gather),
    })
}

/// Names of the secrets that are set, for `config show`.
pub(super) fn secrets(settings: &Settings) -> BTreeSet<&'static str> {
    let all: [(&str, &Option<Secret>); 6] = [
        ("access_key_id", &settings.access_key_id),
        ("secret_access_key", &settings.secret_access_key),
        ("session_token", &settings.session_token),
        ("account_key", &settings.account_key),
        ("sas_token", &settings.sas_token),
        ("service_account", &settings.service_account),
    ];
    all.into_iter().filter(|(_, secret)| secret.is_some()).map(|(name, _)| name).collect()
}

fn text(written: &Option<Written<String>>) -> Option<String> {
    written.as_ref().map(|written| written.value.clone())
}

fn check_pairs(written: &file::Repository, gather: &Gatherer<'_>) {
    if let (Some(profile), Some(_)) = (&written.profile, written.access_key_id.as_ref().or(written.secret_access_key.as_ref())) {
        gather.warning(format!("{}: access_key_id is set, so the profile is not used", profile.key));
    }
    if let (Some(_), Some(token)) = (&written.account_key, &written.sas_token) {
        gather.mistake(token.place().0, token.place().1, "account_key is set too: keep one of them");
    }
    match (&written.access_key_id, &written.secret_access_key) {
        (Some(id), None) => gather.missing(id.place().0, id.place().1, "this goes with secret_access_key, which is missing"),
        (None, Some(key)) => gather.missing(key.place().0, key.place().1, "this goes with access_key_id, which is missing"),
        (None, None) => {
            if let Some(token) = &written.session_token {
                gather.missing(token.place().0, token.place().1, "this goes with access_key_id and secret_access_key, which are missing");
            }
        }
        (Some(_), Some(_)) => {}
    }
}

/// Whether a URL names a place that there can be. A URL that may hold a secret is not shown.
fn check_url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let (form, secrets) = match scheme {
        "s3" => ("s3://bucket/prefix", "access_key_id and secret_access_key_file"),
        "az" => ("az://container/prefix", "account and account_key_file"),
        "gs" => ("gs://bucket/prefix", "service_account_file"),
        "file" if !rest.starts_with('/') => return Err("a folder is written with three slashes: file:///srv/backups".into()),
        "file" if rest.split('/').any(|part| part == "..") => return Err("the folder cannot hold `..`".into()),
        "file" | "memory" => return Ok(()),
        "azure" | "abfs" | "abfss" | "adl" | "wasb" | "wasbs" => {
            return Err("Azure is written az://container/prefix, beside account".into());
        }
        "gcs" => return Err("Google is written gs://bucket/prefix".into()),
        _ if authority.contains('@') => return Err("a URL must not hold a user or a password".into()),
        _ => {
            return Err(
                "this is no repository URL: write s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or file:///folder".into()
            );
        }
    };
    if authority.contains('@') {
        return Err(format!("a URL must not hold a user or a password: use {secrets}"));
    }
    if rest.contains(['?', '#']) {
        return Err(format!("a URL cannot hold ? or #: write {form}"));
    }
    if authority.is_empty() { Err(format!("the URL names no bucket: write {form}")) } else { Ok(()) }
}

fn check_endpoint(written: &file::Repository, gather: &Gatherer<'_>) {
    let Some(endpoint) = &written.endpoint else { return };
    let (scheme, rest) = endpoint.value.split_once("://").unwrap_or_default();
    let message = match scheme {
        _ if rest.contains('@') => "an endpoint must not hold a user or a password",
        "http" | "https" if rest.trim_matches('/').is_empty() => "the endpoint names no host: write https://host:port",
        "http" if written.allow_http.as_ref().is_none_or(|allow| !allow.value) => {
            "this is not encrypted on its way: use https, or set allow_http = true where the network is trusted"
        }
        "http" | "https" => return,
        _ => "an endpoint is written https://host:port",
    };
    gather.mistake(endpoint.at, &endpoint.key, message);
}
