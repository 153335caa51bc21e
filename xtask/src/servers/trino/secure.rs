//! TLS and authentication of a Trino server, with certificates of its own and secrets that are none.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process;
use crate::servers::folder::write;

/// The certificates that clients are to trust, in the server's folder.
pub(super) const CA: &str = "ca.pem";

/// The user `test` with the password `s3cret word`, as bcrypt has it.
const PASSWORDS: &str = "test:$2y$10$sqlbatchersqlbatcherseWGKfc0uYpFtEof5aES2XbyieE6RyMyG\n";
/// What tokens are signed with, in base64.
const TOKEN_KEY: &str = "c3FsLWJhdGNoZXItdGVzdHMtc3FsLWJhdGNoZXItdGVzdHMta2V5IQ==";

/// Makes what the server needs in its folder; gives its settings, for a port.
///
/// # Errors
///
/// If `openssl` is missing or fails, or a file cannot be written.
pub(super) fn settings(folder: &Path, port: u16) -> Result<String> {
    certify(folder)?;
    let file = |name: &str| folder.join(name).display().to_string();
    write(&folder.join("passwords"), PASSWORDS)?;
    write(&folder.join("token.key"), TOKEN_KEY)?;
    let authenticator =
        format!("password-authenticator.name=file\nfile.password-file={}\n", file("passwords"));
    write(&folder.join("authenticator.properties"), &authenticator)?;
    Ok(format!(
        "http-server.https.enabled=true\nhttp-server.https.port={port}\n\
         http-server.https.keystore.path={}\nhttp-server.authentication.type=PASSWORD,JWT\n\
         http-server.authentication.jwt.key-file={}\n\
         http-server.authentication.allow-insecure-over-http=true\n\
         internal-communication.shared-secret=sql-batcher-tests\n\
         password-authenticator.config-files={}\n",
        file("server.pem"),
        file("token.key"),
        file("authenticator.properties")
    ))
}

/// Makes an authority and a certificate of it for this machine's own address.
fn certify(folder: &Path) -> Result<()> {
    // Both steps make a key, too. An authority's own certificate is not taken for a server's.
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        command.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]);
        process::output(command.args(arguments).current_dir(folder)).map(drop)
    };
    openssl(&["-keyout", "ca.key", "-out", CA, "-subj", "/CN=sql-batcher-tests"])?;
    openssl(&[
        "-keyout",
        "server.key",
        "-out",
        "server.crt",
        "-subj",
        "/CN=localhost",
        "-CA",
        CA,
        "-CAkey",
        "ca.key",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ])?;
    let join = "cat server.key server.crt > server.pem";
    process::output(Command::new("sh").args(["-c", join]).current_dir(folder)).map(drop)
}
