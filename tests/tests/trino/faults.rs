//! A way to the server that fails at each step of an exchange: no INSERT runs twice, and none is
//! lost without being reported.

use std::time::Duration;

use sql_batcher::{Batcher, ErrorKind, RetryOptions};
use sql_batcher_adapters::{PoolOptions, connect};
use sql_batcher_tests::{
    conformance::{bare, session},
    http_proxy::Deed,
};

use super::{counts, server, table, through_proxy};

const FAULTS: [Deed; 9] = [
    Deed::Answer(429, Some(1)),
    Deed::Answer(429, None),
    Deed::Answer(502, None),
    Deed::Answer(503, None),
    Deed::Answer(504, None),
    Deed::Answer(200, None),
    Deed::CutBefore,
    Deed::CutAfter,
    Deed::CutWithin,
];

#[tokio::test]
async fn a_fault_at_any_step_of_an_insert_neither_doubles_nor_loses_it() {
    let Some((url, direct)) = server().await else { return };
    let (proxy, through) = through_proxy(&url).await;
    let adapter = connect(&through, &PoolOptions::default()).await.expect("it is reached");
    let mut direct = session(&direct).await;
    let mut faulty = session(&*adapter).await;
    let mut struck = 0;
    for fault in FAULTS {
        let name = table(&mut *direct, "memory.default").await;
        let mut step = 0;
        loop {
            proxy.decide(move |number, _| if number == step { fault } else { Deed::Forward });
            let insert = format!("INSERT INTO {name} VALUES ({step}, 'x')");
            let effects = bare(&mut *faulty, &[&insert]).await;
            let effects = effects.unwrap_or_else(|p| panic!("{fault:?} at {step}: {p:?}"));
            assert_eq!(effects.rows, Some(1), "{fault:?} at {step}");
            step += 1;
            // The exchange had no such step.
            if proxy.recorded().len() < step {
                break;
            }
            struck += 1;
        }
        let rows = step as u64;
        assert!(rows > 3, "an exchange has a POST and some GETs");
        assert_eq!(counts(&mut *direct, &name).await, (rows, rows), "{fault:?}");
    }
    println!("{struck} faults, one at a time");
}

#[tokio::test]
async fn a_post_that_is_never_answered_has_a_known_outcome() {
    let Some((url, direct)) = server().await else { return };
    let (proxy, through) = through_proxy(&url).await;
    let adapter = connect(&through, &PoolOptions::default()).await.expect("it is reached");
    let mut direct = session(&direct).await;
    let name = table(&mut *direct, "memory.default").await;
    let insert = format!("INSERT INTO {name} VALUES (1, 'x')");
    // The server registers it each time, and nobody asks what became of it.
    proxy.decide(|_, _| Deed::CutAfter);
    let problem = bare(&mut *session(&*adapter).await, &[&insert]).await.expect_err("no answer");
    assert!(problem.transient && !problem.outcome_unknown, "{problem:?}");
    assert!(proxy.recorded().len() > 2, "it was sent again");
    assert_eq!(counts(&mut *direct, &name).await, (0, 0), "what is not fetched does not run");
}

#[tokio::test]
async fn an_insert_that_cannot_be_followed_is_reported_as_unknown_and_not_sent_again() {
    let Some((url, direct)) = server().await else { return };
    let (proxy, through) = through_proxy(&url).await;
    let mut direct = session(&direct).await;
    for fault in [Deed::CutBefore, Deed::CutAfter, Deed::Answer(503, None)] {
        let name = table(&mut *direct, "memory.default").await;
        proxy.decide(|_, _| Deed::Forward);
        let adapter = connect(&through, &PoolOptions::default()).await.expect("it is reached");
        proxy
            .decide(move |_, request| if request.method == "POST" { Deed::Forward } else { fault });
        let builder = Batcher::builder_boxed(adapter).attempt_timeout(Duration::from_secs(3));
        let retries = RetryOptions { delay: Duration::from_millis(1), ..RetryOptions::default() };
        let mut batcher = builder.retries(retries).build().await.expect("a run begins");
        let added = batcher.add(format!("INSERT INTO {name} VALUES (1, 'x')")).await;
        let error = match added {
            Ok(()) => batcher.finish().await.map(drop).expect_err("it cannot be followed"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{fault:?}: {error}");
        let posts = proxy.recorded().iter().filter(|request| request.method == "POST").count();
        assert_eq!(posts, 1, "{fault:?}: it may run, so it is not registered again");
        assert!(counts(&mut *direct, &name).await.0 <= 1);
    }
}

#[tokio::test]
async fn a_run_over_a_way_that_fails_now_and_then_applies_everything_once() {
    let Some((url, direct)) = server().await else { return };
    let (proxy, through) = through_proxy(&url).await;
    let mut direct = session(&direct).await;
    let name = table(&mut *direct, "memory.default").await;
    let adapter = connect(&through, &PoolOptions::default()).await.expect("it is reached");
    // One request in five, by a generator that is the same each time.
    let mut random = 1_u64;
    proxy.decide(move |_, _| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = (random >> 33) as usize;
        if roll.is_multiple_of(5) {
            FAULTS[1..][roll / 5 % (FAULTS.len() - 1)]
        } else {
            Deed::Forward
        }
    });
    let builder = Batcher::builder_boxed(adapter).in_flight(4);
    let mut batcher = builder.build().await.expect("a run begins");
    for id in 0..60 {
        batcher.add(format!("INSERT INTO {name} VALUES ({id}, 'x')")).await.expect("it is taken");
    }
    let report = batcher.finish().await.expect("all is applied");
    assert_eq!((report.applied, report.rows), (60, 60), "{report}");
    assert_eq!(counts(&mut *direct, &name).await, (60, 60));
}
