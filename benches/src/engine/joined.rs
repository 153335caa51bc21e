//! INSERTs that a batch wants to be sent as one, made one: what the contract says of `join`.

use sql_batcher::adapters::InsertRows;

/// Which statements are sent as one, and where their rows are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Join {
    pub(super) first: u32,
    pub(super) statements: u32,
    pub(super) prefix: u32,
    pub(super) tail: u32,
}

/// Statements of a batch: their texts, and where each ends with its separator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statements<'a> {
    pub(super) body: &'a [u8],
    pub(super) ends: &'a [u32],
    /// From which statement on, and how many bytes a terminator has without the newline behind it.
    pub(super) terminators: &'a [(u32, u32)],
}

/// What is sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) body: Vec<u8>,
    pub(super) ends: Vec<u32>,
    pub(super) inserts: Vec<InsertRows>,
}

/// Makes one of each run of statements that a join names; the others stay as they are.
pub(super) fn joined(statements: Statements<'_>, joins: impl Iterator<Item = Join>) -> Joined {
    let mut to = Joined::default();
    let mut next = 0;
    for join in joins {
        for index in next..join.first as usize {
            to.body.extend_from_slice(statements.whole(index));
            to.end();
        }
        next = (join.first + join.statements) as usize;
        to.join(statements, join);
    }
    for index in next..statements.ends.len() {
        to.body.extend_from_slice(statements.whole(index));
        to.end();
    }
    to
}

impl<'a> Statements<'a> {
    /// A statement with its separator.
    fn whole(self, index: usize) -> &'a [u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.body[start..self.ends[index] as usize]
    }

    /// A statement up to its last row, and what is behind that.
    fn parted(self, index: usize, tail: u32) -> (&'a [u8], &'a [u8]) {
        let whole = self.whole(index);
        let known = self.terminators.partition_point(|(first, _)| *first as usize <= index) - 1;
        let newline = usize::from(index + 1 < self.ends.len());
        whole.split_at(whole.len() - (self.terminators[known].1 + tail) as usize - newline)
    }
}

impl Joined {
    fn join(&mut self, statements: Statements<'_>, join: Join) {
        let Join { first, prefix, tail, .. } = join;
        let statement = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.inserts.push(InsertRows { statement, prefix, tail });
        let first = first as usize;
        let last = first + join.statements as usize - 1;
        for index in first..=last {
            let (text, _) = statements.parted(index, tail);
            match index == first {
                true => self.body.extend_from_slice(text),
                false => {
                    self.body.push(b',');
                    self.body.extend_from_slice(&text[prefix as usize..]);
                }
            }
        }
        self.body.extend_from_slice(statements.parted(last, tail).1);
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_one_another_and_the_rest_stays() {
        let texts = ["SELECT 1;\n", "I V (1) X;\n", "I V (2) X;\n", "I V (3), (4) X;\n", "COMMIT;"];
        let mut end = 0;
        let ends = texts.map(|text| {
            end += u32::try_from(text.len()).unwrap();
            end
        });
        let body = texts.concat();
        let statements = Statements { body: body.as_bytes(), ends: &ends, terminators: &[(0, 1)] };
        let join = Join { first: 1, statements: 3, prefix: 4, tail: 2 };
        let Joined { body, ends, inserts } = joined(statements, [join].into_iter());
        let expected = "SELECT 1;\nI V (1),(2),(3), (4) X;\nCOMMIT;";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        assert_eq!(ends, [10, 34, 41]);
        assert_eq!(inserts, [InsertRows { statement: 1, prefix: 4, tail: 2 }]);
    }
}
