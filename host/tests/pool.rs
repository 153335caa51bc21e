//! What happens when no sandbox is free. Alone in its process, because it takes all of them.

use sql_batcher::{Core, ErrorKind, Options, Splitter};

#[test]
fn when_no_sandbox_is_free_the_error_says_how_many_there_are() {
    let core = Core::embedded().unwrap();
    let open = || Splitter::with_core(core, Options::default());
    let mut splitters = Vec::new();
    let error = loop {
        match open() {
            Ok(splitter) => splitters.push(splitter),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Sandbox);
    assert!(error.to_string().contains(&format!("limit of {}", splitters.len())), "{error}");
    splitters.pop();
    assert!(open().is_ok());
}
