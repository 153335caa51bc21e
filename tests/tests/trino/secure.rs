//! TLS, passwords and tokens.

use std::env;

use sql_batcher_adapters::{AdapterError, Fault, PoolOptions, Trino};
use sql_batcher_tests::{conformance::session, servers::trino_url};

/// The variables with the server's address over TLS, and with the certificates to trust.
const ADDRESS: &str = "SQL_BATCHER_TEST_TRINO_TLS_ADDRESS";
const CA: &str = "SQL_BATCHER_TEST_TRINO_TLS_CA";
/// A token of the user `test`, signed with the key that the server is given for tests.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ0ZXN0In0.\
                     IB0mqcq_R2cSdLgr8xVLuG1okP4aI65A7mEZyaxXA3o";

async fn user(url: &str) -> Result<String, AdapterError> {
    let adapter = Trino::connect_with(url, &PoolOptions::default()).await?;
    let rows = session(&adapter).await.fetch("SELECT current_user").await;
    Ok(rows.expect("it is told")[0][0].clone().expect("a name"))
}

#[tokio::test]
async fn passwords_and_tokens_go_over_tls_and_are_checked() {
    if trino_url().is_none() {
        return;
    }
    let (Ok(at), Ok(ca)) = (env::var(ADDRESS), env::var(CA)) else {
        println!("not run: {ADDRESS} and {CA} name no server with TLS");
        return;
    };
    let password = format!("trinos://test:s3cret%20word@{at}/memory?ssl-ca={ca}");
    assert_eq!(user(&password).await.expect("it lets the user in"), "test");
    let token = format!("trinos://test@{at}/memory?ssl-ca={ca}&access-token={TOKEN}");
    assert_eq!(user(&token).await.expect("it lets the user in"), "test");

    for wrong in
        [password.replace("word", "sword"), token.replace("access-token=e", "access-token=f")]
    {
        let error = user(&wrong).await.expect_err("it does not know the user");
        assert_eq!(error.fault, Fault::Authentication, "{error:?}");
        let said = format!("{error} {error:?}");
        assert!(!said.contains("sword") && !said.contains("eyJzdWIi"), "{said}");
    }
    // Without the authority that signed the server's certificate nothing is said at all.
    let distrusting = password.split("?ssl-ca").next().expect("a url");
    let error = user(distrusting).await.expect_err("it is not trusted");
    assert!(matches!(error.fault, Fault::Connection | Fault::Options), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}
