//! A way to a server that leads through a proxy.

use std::net::{SocketAddr, ToSocketAddrs as _};

use sql_batcher_tests::{
    direct::Direct,
    proxy::Proxy,
    servers::{mysql_url, postgres_url},
};

/// Rows of the batch, one for each statement.
pub(crate) const ROWS: i64 = 2;

/// A way to a server that leads through a proxy, with a user and a table of the test's own.
pub(crate) struct Way {
    pub(crate) proxy: Proxy,
    pub(crate) url: String,
    pub(crate) direct: Direct,
    pub(crate) name: String,
    server: String,
}

impl Way {
    pub(crate) async fn to_postgres(name: &str) -> Option<Self> {
        Some(Self::to(postgres_url()?, name).await)
    }

    pub(crate) async fn to_mysql(name: &str) -> Option<Self> {
        Some(Self::to(mysql_url()?, name).await)
    }

    /// One more way to the same server.
    pub(crate) async fn another(&self, number: usize) -> Self {
        Self::to(self.server.clone(), &format!("{}_{number}", self.name)).await
    }

    /// One more session of the test's own.
    pub(crate) async fn another_session(&self) -> Direct {
        Direct::to(&self.server).await
    }

    async fn to(server: String, name: &str) -> Self {
        let mut direct = Direct::to(&server).await;
        direct.run(&[&format!("DROP TABLE IF EXISTS {name}, {name}_ledger")]).await;
        let statements = match is_postgres(&server) {
            true => [
                format!("DROP ROLE IF EXISTS {name}"),
                format!("CREATE ROLE {name} LOGIN"),
                format!("ALTER ROLE {name} SUPERUSER"),
                format!("CREATE TABLE {name} (id int)"),
            ],
            false => [
                format!("DROP USER IF EXISTS {name}"),
                format!("CREATE USER {name}"),
                format!("GRANT ALL ON *.* TO {name}"),
                format!("CREATE TABLE {name} (id int) ENGINE=InnoDB"),
            ],
        };
        direct.run(&statements.each_ref().map(String::as_str)).await;
        let proxy = Proxy::start(address_in(&server)).expect("a port is free");
        let (scheme, rest) = server.split_once("://").expect("it is a URL");
        let (_, database) = rest.rsplit_once('/').expect("it names a database");
        let url = format!("{scheme}://{name}@{}/{database}", proxy.address());
        Self { proxy, url, direct, name: name.to_owned(), server }
    }

    /// What gives the ids of the sessions of the test.
    fn sessions(&self) -> String {
        let name = &self.name;
        match is_postgres(&self.server) {
            true => format!("SELECT pid AS id FROM pg_stat_activity WHERE usename = '{name}'"),
            false => {
                format!("SELECT id FROM information_schema.processlist WHERE user = '{name}'")
            }
        }
    }

    /// Ends all sessions of the test on the server, as an administrator does.
    pub(crate) async fn end_sessions(&mut self) {
        for id in self.direct.numbers(&self.sessions()).await {
            let end = match is_postgres(&self.server) {
                true => format!("SELECT pg_terminate_backend({id})"),
                false => format!("KILL CONNECTION {id}"),
            };
            // It may have ended by itself.
            self.direct.try_run(&end).await.ok();
        }
    }

    /// Waits until the server has ended all sessions of the test, so that nothing of theirs can
    /// still come.
    pub(crate) async fn gone(&mut self) {
        let count = format!("SELECT count(*) FROM ({}) AS sessions", self.sessions());
        self.direct.until(&count, 0).await;
    }

    /// How many rows there are in the end. They are removed.
    pub(crate) async fn take_rows(&mut self) -> i64 {
        self.gone().await;
        let rows = self.direct.number(&format!("SELECT count(*) FROM {}", self.name)).await;
        self.direct.run(&[&format!("DELETE FROM {}", self.name)]).await;
        rows
    }

    /// A batch of [`ROWS`] statements.
    pub(crate) fn batch(&self) -> String {
        (0..ROWS).map(|id| format!("INSERT INTO {} VALUES ({id});\n", self.name)).collect()
    }

    pub(crate) async fn drop(mut self) {
        self.gone().await;
        let name = &self.name;
        let user = if is_postgres(&self.server) { "ROLE" } else { "USER" };
        let user = format!("DROP {user} {name}");
        let ledger = format!("DROP TABLE IF EXISTS {name}_ledger");
        self.direct.run(&[&format!("DROP TABLE {name}"), &ledger, &user]).await;
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres")
}

fn address_in(url: &str) -> SocketAddr {
    let (_, rest) = url.split_once("://").expect("it is a URL");
    let (place, _) = rest.rsplit_once('/').expect("it names a database");
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let mut found = place.to_socket_addrs().expect("the server has an address and a port");
    found.next().expect("it has an address")
}
