//! The scripts that are measured, as the tools that people have would write them.

use std::io::{self, Write};

use sql_batcher::Dialect;

/// What the INSERT statements of [`inserts`] need.
pub const CREATE_TABLE: &str = "CREATE TABLE bench_rows (id BIGINT, name VARCHAR(1000));\n";

/// A script, and how many statements it has.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script.
    pub text: String,
    /// How many statements it has.
    pub statements: u64,
}

/// Repeats what `statements` gives until the script has `bytes`, without cutting a statement.
fn filled(bytes: usize, mut statements: impl FnMut(u64, &mut String) -> u64) -> Script {
    let mut script = Script { text: String::with_capacity(bytes + 4096), statements: 0 };
    while script.text.len() < bytes {
        script.statements += statements(script.statements, &mut script.text);
    }
    script
}

/// A script of at least `bytes` of INSERT statements, each of `statement_bytes` (at least 60) with
/// its newline: one row of a number and a text.
///
/// # Panics
/// If `statement_bytes` is below 60.
#[must_use]
pub fn inserts(bytes: usize, statement_bytes: usize) -> Script {
    const AROUND: usize = "INSERT INTO bench_rows VALUES (0000000000, '');\n".len();
    let name = "Anna Maria Schmidt ".repeat(statement_bytes / 19 + 1);
    let name = &name[..statement_bytes.checked_sub(AROUND).expect("at least 60 bytes")];
    filled(bytes, |number, text| {
        text.push_str(&format!("INSERT INTO bench_rows VALUES ({number:010}, '{name}');\n"));
        1
    })
}

/// A script of at least `bytes` of UPDATE statements: what nobody merges.
#[must_use]
pub fn updates(bytes: usize) -> Script {
    filled(bytes, |number, text| {
        text.push_str(&format!("UPDATE bench_rows SET name = 'Anna' WHERE id = {number:010};\n"));
        1
    })
}

/// A script of at least `bytes` of INSERT statements that go to two tables by turns, so many at a time
/// (at least 1).
#[must_use]
pub fn by_turns(bytes: usize, at_a_time: u64) -> Script {
    filled(bytes, |number, text| {
        let table = ["orders", "order_lines"][(number / at_a_time % 2) as usize];
        text.push_str(&format!("INSERT INTO {table} (id, note) VALUES ({number:010}, 'paid');\n"));
        1
    })
}

/// A script of at least `bytes` of INSERT statements that cannot be merged, as each calls a function.
#[must_use]
pub fn with_function(bytes: usize) -> Script {
    filled(bytes, |number, text| {
        text.push_str(&format!("INSERT INTO orders (id, paid) VALUES ({number:010}, now());\n"));
        1
    })
}

/// A script of at least `bytes` that has what dumps have: comments, definitions, names in quotes,
/// texts with quotes and semicolons in them, rows of several lengths, letters beyond ASCII.
#[must_use]
pub fn dump(bytes: usize, dialect: Dialect) -> Script {
    let quote = if dialect == Dialect::MySql { '`' } else { '"' };
    filled(bytes, |number, text| {
        text.push_str(&format!(
            "--\n-- Table structure for table {quote}orders_{number}{quote}; 3 columns\n--\n\n\
             CREATE TABLE {quote}orders_{number}{quote} (\n  id integer NOT NULL,\n  \
             note varchar(200) DEFAULT 'none; yet', -- free text\n  total numeric(10, 2)\n);\n\n"
        ));
        for row in 0..20 {
            let note = match row % 4 {
                0 => "it''s paid; thanks",
                1 => "",
                2 => "Größe 42 – ✓ geprüft, zurück an /* Lager */ 7",
                _ => "please call before delivery -- the bell is broken, and the dog is not",
            };
            text.push_str(&format!(
                "INSERT INTO {quote}orders_{number}{quote} (id, note, total) \
                 VALUES ({row}, '{note}', {}.50);\n",
                row * 7
            ));
        }
        21
    })
}

/// Writes a script of at least `bytes` that needs no memory and little room in a database: INSERT
/// statements of 60 bytes, and now and then one that deletes their rows.
///
/// # Errors
/// If it cannot be written.
pub fn stream(mut to: impl Write, bytes: u64) -> io::Result<u64> {
    let mut block = inserts(1 << 20, 60).text;
    block.push_str("DELETE FROM bench_rows;\n");
    to.write_all(CREATE_TABLE.as_bytes())?;
    let mut written = CREATE_TABLE.len() as u64;
    while written < bytes {
        to.write_all(block.as_bytes())?;
        written += block.len() as u64;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_the_length_that_was_asked_for() {
        for length in [60, 600] {
            let script = inserts(10_000, length);
            assert!(script.text.lines().all(|line| line.len() + 1 == length));
            assert_eq!(script.text.lines().count() as u64, script.statements);
        }
    }
}
