//! Credentials, where the clouds' own tools keep them. What the libraries know themselves (variables, metadata services, workload
//! identities, application default credentials) is left to them.

use std::collections::BTreeMap;
use std::process::Command;

use object_store::aws::AmazonS3ConfigKey;
use serde::Deserialize;
use url::Url;

use crate::connect::Environment;
use crate::error::StoreError;

type Found = Vec<(AmazonS3ConfigKey, String)>;

/// What `aws configure export-credentials` and a `credential_process` print (version 1 of that format).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// What the files of the AWS tools say, unless variables name a key or another way to one.
pub(crate) fn aws(environment: &Environment) -> Result<Found, StoreError> {
    let profile = environment.get("AWS_PROFILE").or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
    let by_variables = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"];
    if profile.is_none() && by_variables.iter().any(|name| environment.contains_key(*name)) {
        return Ok(Vec::new());
    }
    let wanted = profile.map_or("default", String::as_str);
    let file = |variable: &str, name: &str| {
        let path = environment.get(variable).cloned();
        let path = path.or_else(|| Some(format!("{}/.aws/{name}", environment.get("HOME")?)))?;
        std::fs::read_to_string(path).ok()
    };
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials").map(|text| section(&text, wanted));
    let config = file("AWS_CONFIG_FILE", "config")
        .map(|text| {
            section(&text, &if wanted == "default" { wanted.to_owned() } else { format!("profile {wanted}") })
        })
        .unwrap_or_default();
    let mut found = Found::new();
    if let Some(region) = config.get("region")
        && !environment.contains_key("AWS_REGION")
        && !environment.contains_key("AWS_DEFAULT_REGION")
    {
        found.push((AmazonS3ConfigKey::Region, region.clone()));
    }
    let mut keys = credentials.unwrap_or_default();
    if !keys.contains_key("aws_access_key_id") {
        keys = config.clone();
    }
    match (keys.get("aws_access_key_id"), keys.get("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            found.push((AmazonS3ConfigKey::AccessKeyId, id.clone()));
            found.push((AmazonS3ConfigKey::SecretAccessKey, secret.clone()));
            found
                .extend(keys.get("aws_session_token").map(|token| (AmazonS3ConfigKey::Token, token.clone())));
        }
        // Single sign-on, assumed roles and processes are the tool's own affair.
        _ if !config.is_empty() || profile.is_some() => found.extend(exported(wanted, environment)?),
        _ => {}
    }
    Ok(found)
}

/// What the tool of AWS says of a profile.
fn exported(profile: &str, environment: &Environment) -> Result<Found, StoreError> {
    let refused = |reason: String| StoreError::Access { reason };
    let output = Command::new("aws")
        .args(["configure", "export-credentials", "--format", "process", "--profile", profile])
        .env_clear()
        .envs(environment)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(_) => {
            let reason = format!(
                "the AWS profile {profile:?} holds no keys, and there is no `aws` command to get them"
            );
            return Err(refused(reason));
        }
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(format!(
            "`aws configure export-credentials --profile {profile}` says: {}",
            said.trim()
        )));
    }
    let Exported { access_key_id, secret_access_key, session_token } = serde_json::from_slice(&output.stdout)
        .map_err(|_| {
            refused("`aws configure export-credentials` printed what cannot be understood".to_owned())
        })?;
    let mut found = vec![
        (AmazonS3ConfigKey::AccessKeyId, access_key_id),
        (AmazonS3ConfigKey::SecretAccessKey, secret_access_key),
    ];
    found.extend(session_token.map(|token| (AmazonS3ConfigKey::Token, token)));
    Ok(found)
}

/// The settings of one section of a file of the AWS tools. Nested settings are passed over.
fn section(text: &str, wanted: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.split_whitespace().eq(wanted.split_whitespace());
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((name, value)) = trimmed.split_once('=')
        {
            settings.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    settings
}

/// The parts of a connection string of Azure.
pub(crate) fn connection_string(text: &str) -> BTreeMap<String, String> {
    let parts = text.split(';').filter_map(|part| part.split_once('='));
    parts.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Whether nothing but the sign-in of `az login` is left for Azure.
pub(crate) fn azure_cli_is_all(parts: &BTreeMap<String, String>, environment: &Environment) -> bool {
    let named = [
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_MASTER_KEY",
        "AZURE_STORAGE_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_TOKEN",
        "AZURE_STORAGE_USE_EMULATOR",
        "AZURE_SKIP_SIGNATURE",
        "AZURE_CLIENT_SECRET",
        "AZURE_CLIENT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_MSI_ENDPOINT",
        "IDENTITY_ENDPOINT",
    ];
    let in_path = |folder: &str| std::path::Path::new(folder).join("az").is_file();
    !parts.contains_key("AccountKey")
        && !parts.contains_key("SharedAccessSignature")
        && !named.iter().any(|name| environment.contains_key(*name))
        && environment.get("PATH").is_some_and(|path| path.split(':').any(in_path))
}

/// How one shows who one is to a `WebDAV` server: by a token, or by a name and a password. They are taken out of the address.
pub(crate) fn authorization(url: &mut Url, environment: &Environment) -> Option<String> {
    let (user, password) = (url.username().to_owned(), url.password().map(str::to_owned));
    // An address that holds no user has nothing to take out.
    url.set_username("").ok();
    url.set_password(None).ok();
    if let Some(token) = environment.get("TIDEMILL_STORE_TOKEN") {
        return Some(format!("Bearer {token}"));
    }
    let user = environment
        .get("TIDEMILL_STORE_USER")
        .cloned()
        .or_else(|| Some(user).filter(|user| !user.is_empty()))?;
    let password = environment.get("TIDEMILL_STORE_PASSWORD").cloned().or(password).unwrap_or_default();
    Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_keys_of_a_profile_are_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(".aws").join(name), text).unwrap();
        write(
            "credentials",
            "[default]\naws_access_key_id = D\naws_secret_access_key=d\n\n[ team ]\naws_access_key_id = T\naws_secret_access_key = t=1\naws_session_token = s\n",
        );
        write(
            "config",
            "[default]\nregion = eu-north-1\ns3 =\n  max_queue_size = 1\n[profile team]\nregion = eu-west-1\n",
        );
        let home = folder.path().to_str().unwrap();
        let default = aws(&environment(&[("HOME", home)])).unwrap();
        let expected = [
            (AmazonS3ConfigKey::Region, "eu-north-1"),
            (AmazonS3ConfigKey::AccessKeyId, "D"),
            (AmazonS3ConfigKey::SecretAccessKey, "d"),
        ];
        assert_eq!(default, expected.map(|(key, value)| (key, value.to_owned())));
        let team =
            aws(&environment(&[("HOME", home), ("AWS_PROFILE", "team"), ("AWS_REGION", "x")])).unwrap();
        let expected = [
            (AmazonS3ConfigKey::AccessKeyId, "T"),
            (AmazonS3ConfigKey::SecretAccessKey, "t=1"),
            (AmazonS3ConfigKey::Token, "s"),
        ];
        assert_eq!(team, expected.map(|(key, value)| (key, value.to_owned())));
        let by_variable = aws(&environment(&[("HOME", home), ("AWS_ACCESS_KEY_ID", "V")])).unwrap();
        assert_eq!(by_variable, []);
    }

    #[test]
    fn a_profile_without_keys_and_without_the_tool_is_told() {
        let error = aws(&environment(&[("HOME", "/nowhere"), ("AWS_PROFILE", "sso"), ("PATH", "/nowhere")]))
            .unwrap_err();
        assert!(error.to_string().contains("\"sso\""), "{error}");
    }

    #[test]
    fn a_connection_string_is_taken_apart() {
        let parts = connection_string("AccountName=dev;AccountKey=a==;BlobEndpoint=http://127.0.0.1:1/dev;");
        assert_eq!(parts["AccountKey"], "a==");
        assert_eq!(parts["BlobEndpoint"], "http://127.0.0.1:1/dev");
    }

    #[test]
    fn a_password_leaves_the_address() {
        let mut url = Url::parse("https://ada:pw@host/x").unwrap();
        assert_eq!(authorization(&mut url, &Environment::new()).unwrap(), "Basic YWRhOnB3");
        assert_eq!(url.as_str(), "https://host/x");
        let token = authorization(&mut url, &environment(&[("TIDEMILL_STORE_TOKEN", "t")]));
        assert_eq!(token.unwrap(), "Bearer t");
        assert_eq!(authorization(&mut url, &Environment::new()), None);
    }
}
