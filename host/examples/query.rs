//! Prints the rows of a query on an SQLite database as a table:
//!
//! ```text
//! cargo run --example query -- sqlite://app.db 'SELECT id, name FROM foo'
//! ```

use std::{env, error::Error, process::ExitCode};

use sqlx::{Column, Row, SqlitePool, TypeInfo, ValueRef, sqlite::SqliteRow};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, sql] = arguments.as_slice() else {
        eprintln!("usage: query <database URL> <SQL>");
        return ExitCode::from(2);
    };
    match query(url, sql).await {
        Ok(lines) => {
            print(&lines);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The names of the columns, and below them the rows.
async fn query(url: &str, sql: &str) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let pool = SqlitePool::connect(url).await?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let mut lines = vec![first.columns().iter().map(|column| column.name().to_owned()).collect()];
    for row in &rows {
        let cells = (0..row.len()).map(|index| cell(row, index));
        lines.push(cells.collect::<Result<_, _>>()?);
    }
    pool.close().await;
    Ok(lines)
}

fn cell(row: &SqliteRow, index: usize) -> Result<String, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok("NULL".to_owned());
    }
    Ok(match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => row.try_get_unchecked::<i64, _>(index)?.to_string(),
        "REAL" => row.try_get_unchecked::<f64, _>(index)?.to_string(),
        "BLOB" => format!("{} bytes", row.try_get_unchecked::<Vec<u8>, _>(index)?.len()),
        _ => row.try_get_unchecked::<String, _>(index)?,
    })
}

fn print(lines: &[Vec<String>]) {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, line) in lines.iter().enumerate() {
        print_line(line, &widths);
        if number == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            print_line(&rule, &widths);
        }
    }
}

fn print_line(cells: &[String], widths: &[usize]) {
    let padded = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}"));
    println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
}
