//! From an address to an object store, with the credentials that each cloud's own tools have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use crate::credentials;
use crate::error::StoreError;
use crate::link::Asked;

/// The variables of the user's environment.
pub type Environment = BTreeMap<String, String>;

/// For connections; a store that does not answer must not hold a run up for long.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two parts of an answer.
const READ: Duration = Duration::from_secs(30);
/// For a whole request: a full pack over a slow line.
const REQUEST: Duration = Duration::from_secs(900);

/// An object store, and the prefix below which everything lies.
pub(crate) type Connected = (Asked, Path);

/// Whether an address can be one; nothing is asked.
///
/// # Errors
/// If it cannot.
pub(crate) fn check(address: &str) -> Result<(), StoreError> {
    let url = Url::parse(address).map_err(|error| wrong(address, error.to_string()))?;
    match ObjectStoreScheme::parse(&url) {
        Ok((ObjectStoreScheme::Memory, _)) | Err(_) => Err(wrong(address, "no store has such an address")),
        Ok(_) => Ok(()),
    }
}

/// The object store at an address.
///
/// # Errors
/// If the address cannot be one, or credentials are needed and cannot be used.
pub(crate) fn connect(address: &str, environment: &Environment) -> Result<Connected, StoreError> {
    // Whoever came first has installed the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = Url::parse(address).map_err(|error| wrong(address, error.to_string()))?;
    let (scheme, path) =
        ObjectStoreScheme::parse(&url).map_err(|_| wrong(address, "no store has such an address"))?;
    let refused = |error: object_store::Error| wrong(address, error.to_string());
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::Local => {
            let folder =
                url.to_file_path().map_err(|()| wrong(address, "it names no folder of this machine"))?;
            std::fs::create_dir_all(&folder).map_err(|error| wrong(address, error.to_string()))?;
            let folder = LocalFileSystem::new_with_prefix(folder).map_err(refused)?.with_fsync(true);
            return Ok((Asked { store: Arc::new(folder), by_folder: false }, Path::default()));
        }
        ObjectStoreScheme::AmazonS3 => Arc::new(s3(&url, environment)?.build().map_err(refused)?),
        ObjectStoreScheme::MicrosoftAzure => Arc::new(azure(&url, environment).build().map_err(refused)?),
        ObjectStoreScheme::GoogleCloudStorage => {
            Arc::new(google(&url, environment).build().map_err(refused)?)
        }
        ObjectStoreScheme::Http => Arc::new(
            http(&url, environment).map_err(|reason| wrong(address, reason))?.build().map_err(refused)?,
        ),
        _ => return Err(wrong(address, "no store has such an address")),
    };
    Ok((Asked { store, by_folder: scheme == ObjectStoreScheme::Http }, path))
}

/// The address as it may be shown: without a password and without a query, which may be a signature.
#[must_use]
pub(crate) fn shown(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return address.split('?').next().unwrap_or_default().to_owned();
    };
    if url.password().is_some() {
        url.set_password(Some("***")).ok();
    }
    url.set_query(None);
    url.to_string()
}

fn wrong(address: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Address { url: shown(address), reason: reason.into() }
}

fn client(allow_http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(READ)
        .with_timeout(REQUEST)
        .with_allow_http(allow_http)
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 5, retry_timeout: Duration::from_secs(60) }
}

fn s3(url: &Url, environment: &Environment) -> Result<AmazonS3Builder, StoreError> {
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let endpoint = endpoint.iter().find_map(|name| environment.get(*name));
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_url(url.as_str())
        .with_retry(retry())
        .with_client_options(client(is_plain));
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("AWS_")) {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
            && !matches!(key, AmazonS3ConfigKey::Client(_))
        {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    for (key, value) in credentials::aws(environment)? {
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

fn azure(url: &Url, environment: &Environment) -> MicrosoftAzureBuilder {
    let connection = environment.get("AZURE_STORAGE_CONNECTION_STRING");
    let parts = connection.map(|text| credentials::connection_string(text)).unwrap_or_default();
    let endpoint = parts.get("BlobEndpoint").or_else(|| environment.get("AZURE_STORAGE_ENDPOINT"));
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = MicrosoftAzureBuilder::new()
        .with_url(url.as_str())
        .with_retry(retry())
        .with_client_options(client(is_plain));
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("AZURE_")) {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>()
            && !matches!(key, AzureConfigKey::Client(_))
        {
            builder = builder.with_config(key, value);
        }
    }
    let own = [
        (
            AzureConfigKey::AccountName,
            parts.get("AccountName").or_else(|| environment.get("AZURE_STORAGE_ACCOUNT")),
        ),
        (AzureConfigKey::AccessKey, parts.get("AccountKey").or_else(|| environment.get("AZURE_STORAGE_KEY"))),
        (
            AzureConfigKey::SasKey,
            parts.get("SharedAccessSignature").or_else(|| environment.get("AZURE_STORAGE_SAS_TOKEN")),
        ),
    ];
    for (key, value) in own {
        if let Some(value) = value {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    if credentials::azure_cli_is_all(&parts, environment) {
        builder = builder.with_use_azure_cli(true);
    }
    builder
}

fn google(url: &Url, environment: &Environment) -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_url(url.as_str())
        .with_retry(retry())
        .with_client_options(client(environment.contains_key("STORAGE_EMULATOR_HOST")));
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("GOOGLE_")) {
        if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>()
            && !matches!(key, GoogleConfigKey::Client(_))
        {
            builder = builder.with_config(key, value);
        }
    }
    match environment.get("STORAGE_EMULATOR_HOST") {
        Some(host) => builder.with_base_url(host).with_skip_signature(true),
        None => builder,
    }
}

/// A `WebDAV` server: all of it, so that also the folders of the address are made where they are missing.
fn http(url: &Url, environment: &Environment) -> Result<HttpBuilder, String> {
    let mut options = client(url.scheme() == "http");
    let mut url = url.clone();
    url.set_path("/");
    if let Some(value) = credentials::authorization(&mut url, environment) {
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| "its password cannot be sent".to_owned())?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        options = options.with_default_headers(headers);
    }
    Ok(HttpBuilder::new()
        .with_url(url)
        .with_retry(retry())
        .with_client_options(options)
        .with_http_connector(ToWebDav))
}

/// Makes the clients for `WebDAV` servers.
#[derive(Debug)]
struct ToWebDav;

impl HttpConnector for ToWebDav {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(WebDav(ReqwestConnector::default().connect(options)?)))
    }
}

/// A client for which a folder that somebody else made in the meantime is made: many write at once.
#[derive(Debug)]
struct WebDav(HttpClient);

impl HttpService for WebDav {
    fn call<'client, 'answer>(
        &'client self,
        request: HttpRequest,
    ) -> BoxFuture<'answer, Result<HttpResponse, HttpError>>
    where
        'client: 'answer,
        Self: 'answer,
    {
        Box::pin(async move {
            let makes_folder = request.method() == "MKCOL";
            let mut response = self.0.execute(request).await?;
            // So says a server that something is there (RFC 4918, 9.3.1).
            if makes_folder && response.status() == StatusCode::METHOD_NOT_ALLOWED {
                *response.status_mut() = StatusCode::CREATED;
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> String {
        connect(address, &Environment::new()).unwrap_err().to_string()
    }

    #[test]
    fn an_address_that_cannot_be_one_is_told() {
        for address in ["", "bucket", "ftp://host/x", "file://host/x", "s3:///x"] {
            assert!(refused(address).contains("cannot be the address of a store"), "{address}");
        }
    }

    #[test]
    fn nothing_secret_of_an_address_is_shown() {
        assert_eq!(shown("https://ada:secret@host/x?sig=abc"), "https://ada:***@host/x");
        assert_eq!(shown("no address?sig=abc"), "no address");
    }

    #[test]
    fn a_prefix_is_kept() {
        let environment = Environment::from(
            [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for address in ["s3://bucket/team/store", "http://host/team/store", "https://ada:pw@host/team/store/"]
        {
            let (_, prefix) = connect(address, &environment).unwrap();
            assert_eq!(prefix, Path::from("team/store"), "{address}");
        }
    }
}
