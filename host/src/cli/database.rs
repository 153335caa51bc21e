//! The database that a run is for: its URL, the password that belongs to it, and how both are kept
//! out of everything that is printed.

use sql_batcher::Dialect;
use url::Url;

use super::Usage;

/// Where a run goes unless the user says so.
const DEFAULT_URL: &str = "sqlite://sql-batcher.db";

/// Where a password is looked for if the URL has none, and for which schemes.
const PASSWORDS: &[(&str, &[&str])] = &[
    ("SQL_BATCHER_PASSWORD", WITH_PASSWORD),
    ("PGPASSWORD", &["postgres", "postgresql"]),
    ("MYSQL_PWD", &["mysql", "mariadb"]),
    ("TRINO_PASSWORD", &["trinos"]),
    ("SNOWFLAKE_PASSWORD", &["snowflake"]),
];

/// Schemes whose URLs have a place for a password.
const WITH_PASSWORD: &[&str] =
    &["postgres", "postgresql", "mysql", "mariadb", "trinos", "snowflake"];

/// Options of URLs that are secrets themselves.
const SECRETS: &[&str] = &["password=", "access-token=", "extra-credential="];

/// What a run is connected to. Has no `Debug`: the URL may hold a password.
pub(super) struct Database {
    url: String,
    is_default: bool,
}

impl Database {
    /// The database of this URL, or the default one; the password may come from the environment,
    /// which is an argument here.
    ///
    /// # Errors
    /// Where there is a password that the URL has no place for.
    pub(super) fn choose(
        url: Option<String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Usage> {
        let Some(url) = url else {
            return Ok(Self { url: DEFAULT_URL.into(), is_default: true });
        };
        let scheme = scheme(&url);
        let password = PASSWORDS
            .iter()
            .filter(|(_, schemes)| schemes.contains(&scheme))
            .find_map(|(variable, _)| environment(variable).filter(|value| !value.is_empty()));
        let url = match password {
            Some(password) => with_password(url, &password)?,
            None => url,
        };
        Ok(Self { url, is_default: false })
    }

    /// The URL with its password: only for connecting.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What the user should know who named no database.
    pub(super) fn note(&self) -> Option<String> {
        self.is_default.then(|| {
            let file = DEFAULT_URL.trim_start_matches("sqlite://");
            format!("no --database was given: this is the SQLite file {file} in this folder")
        })
    }

    /// What a summary may say of it.
    pub(super) fn shown(&self) -> String {
        redact(&self.url)
    }

    /// Whose client's rules split a script for it, as its scheme says.
    ///
    /// # Errors
    /// Where no adapter has this scheme.
    pub(super) fn dialect(&self) -> Result<Dialect, Usage> {
        match scheme(&self.url) {
            "sqlite" => Ok(Dialect::Sqlite),
            "postgres" | "postgresql" => Ok(Dialect::PostgreSql),
            "mysql" | "mariadb" => Ok(Dialect::MySql),
            "trino" | "trinos" => Ok(Dialect::Trino),
            "snowflake" => Ok(Dialect::Snowflake),
            _ => Err(Usage(
                "the database url does not start with sqlite:, postgres:, postgresql:, mysql:, \
                 mariadb:, trino:, trinos: or snowflake:"
                    .into(),
            )),
        }
    }
}

fn scheme(url: &str) -> &str {
    url.split_once(':').map_or("", |(scheme, _)| scheme)
}

/// A URL that cannot be read stays as it is: connecting says what is wrong with it.
fn with_password(text: String, password: &str) -> Result<String, Usage> {
    let Ok(mut url) = Url::parse(&text) else { return Ok(text) };
    let is_proof = |key: &str| matches!(key, "password" | "access-token");
    if url.password().is_some() || url.query_pairs().any(|(key, _)| is_proof(&key)) {
        return Ok(text);
    }
    if url.set_password(Some(password)).is_ok() {
        return Ok(url.into());
    }
    if matches!(url.scheme(), "postgres" | "postgresql") {
        url.query_pairs_mut().append_pair("password", password);
        return Ok(url.into());
    }
    Err(Usage("the password from the environment needs a url with a host to belong to".into()))
}

/// The text with the passwords of the URLs in it replaced: between `://user:` and the last `@` of
/// the line, and after options that are secrets.
pub(super) fn redact(text: &str) -> String {
    text.split_inclusive('\n').map(redact_line).collect()
}

fn redact_line(line: &str) -> String {
    let line = match user_info(line) {
        Some((start, end)) => format!("{}***{}", &line[..start], &line[end..]),
        None => line.to_owned(),
    };
    SECRETS.iter().fold(line, |line, name| without_values_of(&line, name))
}

/// The text without what follows an option, each time that it comes.
fn without_values_of(text: &str, option: &str) -> String {
    let mut parts = text.split(option);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['&', ' ', '\'', '"', '\n']).unwrap_or(part.len());
        shown = format!("{shown}{option}***{}", &part[end..]);
    }
    shown
}

/// Where the password of a URL in the line starts and ends.
fn user_info(line: &str) -> Option<(usize, usize)> {
    let after_scheme = line.find("://")? + "://".len();
    let end = line.rfind('@').filter(|end| *end > after_scheme)?;
    let colon = line[after_scheme..end].find(':')?;
    Some((after_scheme + colon + 1, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variable: &str) -> String {
        let environment = |name: &str| (name == variable).then(|| "p@ss/word".to_owned());
        Database::choose(Some(url.into()), environment).unwrap().url
    }

    #[test]
    fn a_password_comes_from_the_environment_where_the_url_has_none() {
        let variable = "SQL_BATCHER_PASSWORD";
        for (url, expected) in [
            ("postgres://u@h/d", "postgres://u:p%40ss%2Fword@h/d"),
            ("mysql://u@h:3307/d", "mysql://u:p%40ss%2Fword@h:3307/d"),
            ("postgres://u:own@h/d", "postgres://u:own@h/d"),
            ("postgres://u@h/d?password=own", "postgres://u@h/d?password=own"),
            ("postgres:///d?host=/run", "postgres:///d?host=%2Frun&password=p%40ss%2Fword"),
            ("sqlite://a.db", "sqlite://a.db"),
            ("snowflake://u@org-a/D/S?role=r", "snowflake://u:p%40ss%2Fword@org-a/D/S?role=r"),
            ("trinos://u@h/c", "trinos://u:p%40ss%2Fword@h/c"),
            ("trinos://u@h/c?access-token=t", "trinos://u@h/c?access-token=t"),
            ("trino://u@h/c", "trino://u@h/c"),
        ] {
            let chosen = chosen(url, variable);
            assert_eq!(chosen.replace("host=/run", "host=%2Frun"), expected);
        }
    }

    #[test]
    fn the_variables_of_other_clients_are_for_their_own_databases() {
        assert!(chosen("postgres://u@h/d", "PGPASSWORD").contains("p%40ss"));
        assert!(chosen("mariadb://u@h/d", "MYSQL_PWD").contains("p%40ss"));
        assert!(chosen("snowflake://u@a/d", "SNOWFLAKE_PASSWORD").contains("p%40ss"));
        assert!(chosen("trinos://u@h/d", "TRINO_PASSWORD").contains("p%40ss"));
        assert_eq!(chosen("postgres://u@h/d", "MYSQL_PWD"), "postgres://u@h/d");
        assert_eq!(chosen("mysql://u@h/d", "PGPASSWORD"), "mysql://u@h/d");
    }

    #[test]
    fn the_default_is_a_file_and_says_so() {
        let database = Database::choose(None, |_| None).unwrap();
        assert_eq!(database.url(), "sqlite://sql-batcher.db");
        assert!(database.note().unwrap().contains("SQLite file sql-batcher.db"));
        assert_eq!(database.dialect().unwrap(), Dialect::Sqlite);
    }

    #[test]
    fn no_password_is_left_in_a_text() {
        for (text, expected) in [
            ("at postgres://u:pw@h/d", "at postgres://u:***@h/d"),
            ("'mysql://u:p w/@@h/d' x\nsqlite://a", "'mysql://u:***@h/d' x\nsqlite://a"),
            ("postgres://h/d?password=pw&sslmode=off", "postgres://h/d?password=***&sslmode=off"),
            ("postgres://u@h:5432/d", "postgres://u@h:5432/d"),
            (
                "trinos://u@h/c?access-token=s3&source=x&extra-credential=a:s3 & more",
                "trinos://u@h/c?access-token=***&source=x&extra-credential=*** & more",
            ),
            ("nothing: to @ hide", "nothing: to @ hide"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
