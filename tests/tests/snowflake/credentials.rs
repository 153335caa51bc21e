//! Tokens and keys.

use sql_batcher_adapters::{Adapter, AdapterError, Fault, PoolOptions};
use sql_batcher_tests::{
    conformance::{bare, session},
    snowflake::{self, ACCOUNT, DATABASE, Double, SCHEMA, Setup, Step, TOKEN, USER, key_file},
};

const PASSPHRASE: &str = "it%20is%20%22for%22%20tests%20%26%20nothing%20else";

/// A URL with this user part and these options.
fn url(double: &Double, user: &str, options: &str) -> String {
    let address = double.address();
    format!(
        "snowflake://{user}@{ACCOUNT}/{DATABASE}/{SCHEMA}?warehouse=WH&base_url=http://{address}\
         {options}"
    )
}

async fn adapter(url: &str) -> Result<Box<dyn Adapter>, AdapterError> {
    sql_batcher_adapters::connect(url, &PoolOptions::default()).await
}

#[tokio::test]
async fn a_key_signs_tokens_encrypted_or_not() {
    let double = Double::start(Setup { wants_key: true, ..Setup::default() }).await;
    for (file, user) in [
        ("key.p8", USER.to_owned()),
        ("key.aes256.p8", format!("{USER}:{PASSPHRASE}")),
        ("key.des3.p8", format!("{USER}:{PASSPHRASE}")),
    ] {
        let option = format!("&private_key_file={}", key_file(file).display());
        adapter(&url(&double, &user, &option)).await.unwrap();
    }
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_named_and_its_passphrase_is_not() {
    let double = Double::start(Setup { wants_key: true, ..Setup::default() }).await;
    for (file, secret, said) in [
        ("key.aes256.p8", "", "is encrypted, and there is no passphrase"),
        ("key.aes256.p8", ":s3cret", "cannot be decrypted with the passphrase"),
        ("key.pkcs1.pem", ":s3cret", "is not PKCS#8"),
        ("public.der", ":s3cret", "cannot be read"),
        ("README.md", ":s3cret", "is not PEM"),
    ] {
        let option = format!("&private_key_file={}", key_file(file).display());
        let error =
            adapter(&url(&double, &format!("{USER}{secret}"), &option)).await.err().unwrap();
        assert_eq!(error.fault, Fault::Options, "{error}");
        assert!(error.message.contains(said) && !error.message.contains("s3cret"), "{error}");
    }
    assert_eq!(double.seen().len(), 0);
}

#[tokio::test]
async fn a_token_is_given_in_the_url_or_in_a_file() {
    let double = Double::start(Setup::default()).await;
    let user = format!("{USER}:{TOKEN}");
    adapter(&url(&double, &user, "")).await.unwrap();
    adapter(&url(&double, &user, "&authenticator=oauth")).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
    let option = format!("&token_file={}", file.path().display());
    let by_file = adapter(&url(&double, USER, &option)).await.unwrap();
    // What has expired is read anew.
    double.arm(Step::Submit, snowflake::Fault::Expired, 1);
    bare(&mut *session(&*by_file).await, &["SELECT 1;\n"]).await.unwrap();
    assert_eq!((double.armed(), double.refused()), (0, Vec::new()));
}

#[tokio::test]
async fn a_token_that_is_refused_is_an_error_without_the_token() {
    let double = Double::start(Setup::default()).await;
    let error = adapter(&url(&double, &format!("{USER}:s3cret-wrong"), "")).await.err().unwrap();
    assert_eq!(error.fault, Fault::Authentication, "{error:?}");
    assert!(error.message.contains("refused user \"loader\""), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret-wrong"), "{error:?}");
    assert_eq!(double.seen().len(), 1, "it is not tried again");
}

#[tokio::test]
async fn a_signed_token_that_has_expired_is_made_anew() {
    let double = Double::start(Setup { wants_key: true, ..Setup::default() }).await;
    let database = adapter(&double.url()).await.unwrap();
    let mut session = session(&*database).await;
    // The next token is of another second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    double.arm(Step::Submit, snowflake::Fault::Expired, 1);
    bare(&mut *session, &["SELECT 1;\n"]).await.unwrap();
    assert_eq!(double.tokens(), 2);
    double.arm(Step::Submit, snowflake::Fault::Expired, 2);
    let problem = bare(&mut *session, &["SELECT 1;\n"]).await.unwrap_err();
    assert_eq!((problem.fault, problem.outcome_unknown), (Fault::Authentication, false));
}
