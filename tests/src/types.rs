//! The types of each database, and literals of every kind, each of which fits some of them.

pub mod mariadb;
pub mod postgres;
pub mod sqlite;
