//! From a URL to an adapter, and what is common to the URLs of servers.

use std::{fmt, io};

use url::Url;

use crate::{
    Adapter, AdapterError, Fault, MySql, PoolOptions, Postgres, Snowflake, Sqlite, Trino,
    failure::Said, pool::Unavailable,
};

/// Schemes, for people.
const SUPPORTED: &str = "sqlite, postgres, postgresql, mysql, mariadb, trino, trinos, snowflake";

/// Connects to the database that a URL names: `sqlite://file.db`, `sqlite::memory:`,
/// `postgres://user@host/database`, `mysql://user@host/database`, `trino://user@host/catalog/schema`,
/// `snowflake://user@account/database/schema`; `postgresql:` and `mariadb:` are the same as the
/// shorter ones, `trinos:` is Trino over TLS.
///
/// # Errors
/// [`Fault::Options`] for a URL that cannot be read or that names something unknown,
/// [`Fault::Connection`] where the server cannot be reached, [`Fault::Authentication`] where it
/// refuses the user. No message repeats a password.
pub async fn connect(url: &str, pool: &PoolOptions) -> Result<Box<dyn Adapter>, AdapterError> {
    match scheme(url)? {
        "sqlite" => Ok(Box::new(Sqlite::connect_with(url, pool).await?)),
        "postgres" | "postgresql" => Ok(Box::new(Postgres::connect_with(url, pool).await?)),
        "mysql" | "mariadb" => Ok(Box::new(MySql::connect_with(url, pool).await?)),
        "snowflake" => Ok(Box::new(Snowflake::connect_with(url, pool).await?)),
        "trino" | "trinos" => Ok(Box::new(Trino::connect_with(url, pool).await?)),
        other => Err(unsupported(other)),
    }
}

/// The scheme of a URL.
pub(crate) fn scheme(url: &str) -> Result<&str, AdapterError> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let known = |scheme: &&str| {
        !scheme.is_empty()
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    scheme.filter(known).ok_or_else(|| {
        AdapterError::new(
            Fault::Options,
            format!("the database url has no scheme; supported are {SUPPORTED}"),
        )
    })
}

/// A scheme that no adapter has.
pub(crate) fn unsupported(scheme: &str) -> AdapterError {
    AdapterError::new(
        Fault::Options,
        format!("no adapter for the url scheme {scheme:?}; supported are {SUPPORTED}"),
    )
}

/// A URL that the driver cannot read.
pub(crate) fn unreadable(error: sqlx::Error) -> AdapterError {
    let said = match error {
        sqlx::Error::Configuration(inner) => inner.to_string(),
        other => other.to_string(),
    };
    AdapterError::new(Fault::Options, format!("the database url cannot be read: {said}"))
}

/// Reads the URL of a server, and refuses options that the driver would ignore.
///
/// A password with a bare `/`, `?` or `#` would end the host part early, and messages about the
/// host or the database would then show the rest of it: such URLs are refused.
pub(crate) fn server_url(url: &str, known: &[&str]) -> Result<Url, AdapterError> {
    let refuse = |message: String| AdapterError::new(Fault::Options, message);
    const ENCODE: &str =
        "characters such as / ? # @ in a user name or password must be percent-encoded";
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority_ends = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (authority, rest) = after_scheme.split_at(authority_ends);
    if rest.contains('#') || (rest.contains('@') && !authority.contains('@')) {
        return Err(refuse(format!("the database url cannot be read: {ENCODE}")));
    }
    let parsed = Url::parse(url)
        .map_err(|error| refuse(format!("the database url cannot be read: {error}; {ENCODE}")))?;
    for (key, _) in parsed.query_pairs() {
        let name = key.split('[').next().unwrap_or(&key);
        if !known.contains(&name) {
            let known = known.join(", ");
            return Err(refuse(format!("unknown option {key:?} in the url; known are {known}")));
        }
    }
    Ok(parsed)
}

/// What is connected to, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Name of the database system.
    pub(crate) system: &'static str,
    /// Host and port, or path.
    pub(crate) place: String,
    /// Name of the user.
    pub(crate) user: String,
    /// Name of the database.
    pub(crate) database: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.system, self.place)
    }
}

impl Target {
    /// Says why no session was to be had. `code` is what the server said, with its fault.
    pub(crate) fn unavailable(
        &self,
        why: Unavailable,
        classify: impl Fn(&sqlx::Error) -> Said,
    ) -> AdapterError {
        match why {
            Unavailable::Closed => {
                AdapterError::new(Fault::Connection, format!("the adapter for {self} is closed"))
            }
            Unavailable::NoneFree { max, waited } => passing(
                Fault::Resources,
                format!(
                    "no session with {self} became free within {} ms; sessions at most {max}",
                    waited.as_millis()
                ),
            ),
            Unavailable::TooSlow { waited } => passing(
                Fault::Timeout,
                format!("no answer from {self} within {} ms", waited.as_millis()),
            ),
            Unavailable::Refused(error) => {
                let Said { fault, code, message, transient, .. } = classify(&error);
                let message = self.refused(fault, &message);
                AdapterError { fault, message, code, transient, source: Some(Box::new(error)) }
            }
        }
    }

    /// Why the server has refused, in the words of messages.
    pub(crate) fn refused(&self, fault: Fault, said: &str) -> String {
        match (fault, &self.database) {
            (Fault::Authentication, _) => format!("{self} refused user {:?}: {said}", self.user),
            (Fault::Options, Some(database)) => {
                format!("{self} cannot open database {database:?}: {said}")
            }
            (Fault::Connection, _) => format!("cannot reach {self}: {said}"),
            _ => format!("{self} refused the connection: {said}"),
        }
    }
}

/// An error that may be gone a moment later.
fn passing(fault: Fault, message: String) -> AdapterError {
    AdapterError { transient: true, ..AdapterError::new(fault, message) }
}

/// Whether an input or output error may be gone a moment later: a server that restarts refuses
/// connections, resets them, or has no socket file yet.
pub(crate) fn io_passes(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::Unsupported
    )
}

/// What an input or output error says, without the driver's words around it.
pub(crate) fn io_words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "the server closed the connection".to_owned();
    }
    let mut said = error.to_string();
    if let Some(first) = said.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(url: &str) -> AdapterError {
        match connect(url, &PoolOptions::default()).await {
            Ok(_) => panic!("{url} was connected"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn an_unknown_scheme_names_those_that_are_known() {
        let error = refused("oracle://host/db").await;
        assert_eq!(error.fault, Fault::Options);
        assert_eq!(
            error.message,
            "no adapter for the url scheme \"oracle\"; \
             supported are sqlite, postgres, postgresql, mysql, mariadb, trino, trinos, snowflake"
        );
        for url in ["", "app.db", "/tmp/app.db", "://x", "a b:c"] {
            assert!(refused(url).await.message.contains("has no scheme"), "{url}");
        }
    }

    #[tokio::test]
    async fn no_message_repeats_a_password() {
        for rest in [
            "u:s3cret@127.0.0.1:1/db",
            "u:s3cret@127.0.0.1:port/db",
            "u:7#s3cret@127.0.0.1/db",
            "u:7/s3cret@127.0.0.1/db",
            "u:7?s3cret@127.0.0.1/db",
            "u:%ffs3cret@127.0.0.1/db",
            "u:s3cret@127.0.0.1:1/db?sslmode=maybe",
            "u@127.0.0.1:1/db?passwd=s3cret",
        ] {
            for scheme in ["postgres", "mysql"] {
                let error = refused(&format!("{scheme}://{rest}")).await;
                let said = format!("{error} {error:?}");
                assert!(!said.contains("s3cret"), "{scheme}://{rest}: {said}");
            }
        }
    }

    #[tokio::test]
    async fn an_unreachable_server_is_named_at_once() {
        for (scheme, name) in [("postgres", "postgresql"), ("mariadb", "mysql")] {
            let error = refused(&format!("{scheme}://u:p@127.0.0.1:1/db")).await;
            assert_eq!(error.fault, Fault::Connection, "{error:?}");
            let start = format!("cannot reach {name} at 127.0.0.1:1: connection refused");
            assert!(error.message.starts_with(&start), "{}", error.message);
        }
    }
}
