//! Real object stores on loopback: an S3 server, a server for Azure's blobs and a `WebDAV` server. They go away with the story.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Project, until};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// The account of every Azurite; its key is no secret.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server that goes away with the story.
pub(crate) struct ObjectStore {
    child: Child,
    /// The address of a store there.
    pub(crate) url: String,
    /// What whoever uses it has in his environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Its port.
    pub(crate) port: u16,
}

impl ObjectStore {
    /// An S3 server with one bucket, whose files lie below this folder.
    pub(crate) fn s3(folder: &Path) -> Self {
        let program = setup("setup-stores", &[]);
        fs::create_dir_all(folder.join("bucket")).unwrap();
        let port = free_port();
        let child = quiet(Command::new(program.trim()))
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", "story", "--secret-key", "the-secret-of-the-story"])
            .arg(folder)
            .spawn()
            .unwrap();
        let variables = vec![
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ACCESS_KEY_ID", "story".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-story".to_owned()),
        ];
        Self { child, url: "s3://bucket/team".to_owned(), variables, port }.ready()
    }

    /// A server for Azure's blobs with one container, whose files lie below this folder.
    pub(crate) fn azure(folder: &Path) -> Self {
        let node = PathBuf::from(setup("setup-node", &[]).trim());
        let port = free_port();
        let child = quiet(Command::new("node"))
            .arg(node.join("node_modules/azurite/dist/src/blob/main.js"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent"])
            .args(["--disableTelemetry", "--skipApiVersionCheck", "--location"])
            .arg(folder)
            .spawn()
            .unwrap();
        let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
        let connection = format!("AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={endpoint};");
        let variables = vec![("AZURE_STORAGE_CONNECTION_STRING", connection)];
        let store = Self { child, url: "az://container/team".to_owned(), variables, port }.ready();
        let made = Command::new("node")
            .arg(Path::new(TESTS).join("node/make-container.js"))
            .args([&endpoint, ACCOUNT, ACCOUNT_KEY, "container"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        store
    }

    /// A `WebDAV` server, whose files lie below this folder. The folders of the address are not there.
    pub(crate) fn webdav(folder: &Path) -> Self {
        let python = setup("setup", &["webdav"]);
        let (files, settings) = (folder.join("files"), folder.join("settings.json"));
        fs::create_dir_all(&files).unwrap();
        let port = free_port();
        let said = serde_json::json!({
            "host": "127.0.0.1",
            "port": port,
            "provider_mapping": { "/": files },
            "simple_dc": { "user_mapping": { "*": { "story": { "password": "the-secret-of-the-story" } } } },
            "http_authenticator": { "accept_basic": true, "accept_digest": false, "default_to_digest": false },
        });
        fs::write(&settings, said.to_string()).unwrap();
        let child = quiet(Command::new(python.trim()))
            .args(["-m", "wsgidav.server.server_cli", "--quiet", "--config"])
            .arg(&settings)
            .spawn()
            .unwrap();
        let variables = vec![
            ("TIDEMILL_STORE_USER", "story".to_owned()),
            ("TIDEMILL_STORE_PASSWORD", "the-secret-of-the-story".to_owned()),
        ];
        Self { child, url: format!("http://127.0.0.1:{port}/team/store"), variables, port }.ready()
    }

    /// Makes it the store of a project.
    pub(crate) fn serve(&self, project: &mut Project) {
        self.serve_through(project, self.port);
    }

    /// The same, but whoever talks to it goes through this port.
    pub(crate) fn serve_through(&self, project: &mut Project, port: u16) {
        let through = |text: &str| text.replace(&format!(":{}", self.port), &format!(":{port}"));
        project.file("tidemill.toml", format!("[store]\nurl = \"{}\"\n", through(&self.url)));
        for (name, value) in &self.variables {
            project.variable(name, &through(value));
        }
    }

    fn ready(self) -> Self {
        until("the server listens", || TcpStream::connect(("127.0.0.1", self.port)).ok());
        self
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a script that sets something up prints.
fn setup(script: &str, arguments: &[&str]) -> String {
    let output = Command::new(Path::new(TESTS).join(script)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A port that nobody listens at, most probably also in a moment.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
