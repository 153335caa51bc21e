//! Faults of servers, of their disks and of the way to them, and what a run makes of them: it ends
//! right or with a clear error, and its report is true. Nothing is lost and nothing is there twice.
//! Most need servers, see [`sql_batcher_tests::servers`]; some start their own.

mod conflicts;
mod cuts_with_ledger;
mod disks;
mod mariadb;
mod network;
mod postgres;
mod restarts;
mod run;
mod sqlite;
mod stalls;
mod way;
