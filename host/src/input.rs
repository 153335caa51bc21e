//! The inputs of a run (files, mostly) and where each starts, so that an offset over all of them
//! becomes a name and an offset in it.

use std::sync::Arc;

use crate::{
    batch::{Batch, Place},
    error::Position,
};

/// The names of the inputs. One entry for each named input, none for each statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// In the order of their starts; what comes before the first has no name.
    starts: Vec<(u64, Option<Arc<str>>)>,
}

impl Sources {
    /// What follows byte `start` of all input belongs to this input.
    pub(crate) fn begin(&mut self, start: u64, name: Option<Arc<str>>) {
        let unnamed_before = self.starts.last().is_none_or(|(_, name)| name.is_none());
        if name.is_none() && unnamed_before {
            return;
        }
        self.starts.push((start, name));
    }

    /// The place, with the name of its input.
    pub(crate) fn position(&self, place: Place, batch: Option<u64>) -> Position {
        let after = self.starts.partition_point(|(start, _)| *start <= place.offset);
        let found = after.checked_sub(1).and_then(|index| self.starts.get(index));
        let (start, input) = match found {
            Some((start, name)) => (*start, name.clone()),
            None => (0, None),
        };
        Position {
            input,
            line: place.line,
            column: place.column,
            offset: place.offset - start,
            total_offset: place.offset,
            statement: place.statement,
            batch,
        }
    }

    /// Where each statement of a batch starts.
    pub(crate) fn of_statements(&self, batch: &Batch) -> impl Iterator<Item = Position> {
        batch.places().map(|place| self.position(place, Some(batch.id)))
    }

    /// Where the statement of this index (from 0) of a batch starts.
    pub(crate) fn of_statement(&self, batch: &Batch, index: usize) -> Option<Position> {
        Some(self.position(batch.place(index)?, Some(batch.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sources: &Sources, offset: u64) -> (Option<String>, u64) {
        let place = Place { statement: 1, offset, line: 1, column: 1 };
        let position = sources.position(place, None);
        (position.input.map(|name| name.to_string()), position.offset)
    }

    #[test]
    fn an_offset_belongs_to_the_last_input_that_starts_at_or_before_it() {
        let mut sources = Sources::default();
        sources.begin(10, Some("a.sql".into()));
        sources.begin(20, Some("b.sql".into()));
        assert_eq!(at(&sources, 9), (None, 9));
        assert_eq!(at(&sources, 10), (Some("a.sql".into()), 0));
        assert_eq!(at(&sources, 19), (Some("a.sql".into()), 9));
        assert_eq!(at(&sources, 20), (Some("b.sql".into()), 0));
    }

    #[test]
    fn an_empty_input_owns_nothing() {
        let mut sources = Sources::default();
        sources.begin(0, Some("empty.sql".into()));
        sources.begin(0, Some("full.sql".into()));
        assert_eq!(at(&sources, 0), (Some("full.sql".into()), 0));
    }

    #[test]
    fn unnamed_input_after_a_named_one_has_no_name_and_takes_one_entry() {
        let mut sources = Sources::default();
        sources.begin(0, Some("a.sql".into()));
        for start in 5..1000 {
            sources.begin(start, None);
        }
        assert_eq!(at(&sources, 600), (None, 595));
        assert_eq!(sources.starts.len(), 2);
    }
}
