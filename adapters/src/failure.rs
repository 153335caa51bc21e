//! What can go wrong with a database, in the terms that a batcher needs.

use crate::values;

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The database refused the statement: syntax, constraint, permission.
    Statement,
    /// The connection could not be made, or was lost.
    Connection,
    /// The user name or the password was refused.
    Authentication,
    /// A limit on time was reached.
    Timeout,
    /// The statement was cancelled.
    Cancelled,
    /// The database has no room or no resources left: disk, memory, connections.
    Resources,
    /// It collided with another session: deadlock, serialization failure, lock wait.
    Conflict,
    /// The URL or an option of it is wrong.
    Options,
    /// The database cannot do what was asked of it.
    Unsupported,
}

/// An error of an adapter that is not about a statement of the user's.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AdapterError {
    /// What kind of fault it is.
    pub fault: Fault,
    /// One line, lower case; no password in it.
    pub message: String,
    /// SQLSTATE or vendor code, where there is one.
    pub code: Option<String>,
    /// Whether the same may succeed a moment later, with nothing changed.
    pub transient: bool,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What kind of fault it is.
    pub fault: Fault,
    /// What the database said, in its own words.
    pub message: String,
    /// The part of the message that quotes the statement or the data, with its quotation marks:
    /// not to be shown unless somebody asks for it. None where it has but names.
    pub quoted: Option<String>,
    /// SQLSTATE (`23505`) or vendor code (`1062`), where there is one.
    pub code: Option<String>,
    /// Index of the statement at fault in the request, where it is known.
    pub statement: Option<u32>,
    /// Bytes of the body before the place of the error, where the database says it.
    pub offset: Option<u32>,
    /// Statements of the request, from the first on, that stay applied all the same; 0 for
    /// [`crate::Scope::Atomic`].
    pub kept: u32,
    /// Whether it cannot be known if the request was applied: the connection was lost while its
    /// end was under way.
    pub outcome_unknown: bool,
    /// Whether the same request may succeed a moment later, with nothing changed: a deadlock, a
    /// lock wait, a lost connection. It does not say that the request may be sent once more: that
    /// takes a known outcome, too.
    pub transient: bool,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl AdapterError {
    /// An error of a kind, with a message and nothing else.
    #[must_use]
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), code: None, transient: false, source: None }
    }
}

impl Problem {
    /// A problem of a kind, with a message and nothing else: no statement, nothing kept, and the
    /// outcome is known.
    #[must_use]
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            message: message.into(),
            quoted: None,
            code: None,
            statement: None,
            offset: None,
            kept: 0,
            outcome_unknown: false,
            transient: false,
            source: None,
        }
    }

    /// The same without what its message quotes, and then without its source, which has the
    /// message, too.
    #[must_use]
    pub fn without_values(self) -> Self {
        let Some(quoted) = &self.quoted else { return self };
        let message = values::without(&self.message, quoted);
        Self { message, quoted: None, source: None, ..self }
    }

    /// The session was left while it ran a request, so nothing is known about it any more.
    pub(crate) fn left() -> Self {
        Self::new(Fault::Connection, "the session was left in the middle of a request")
    }

    /// A value that was asked for is not text.
    pub(crate) fn not_text(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let problem = Self::new(Fault::Unsupported, "a value of the answer is not UTF-8");
        Self { source: Some(source.into()), ..problem }
    }

    /// The same for something that applies nothing, so that no outcome can be unknown.
    pub(crate) fn known(self) -> Self {
        Self { outcome_unknown: false, ..self }
    }

    /// The session lost its connection with an earlier request.
    pub(crate) fn lost() -> Self {
        let problem = Self::new(Fault::Connection, "the session has lost its connection");
        Self { transient: true, ..problem }
    }
}

/// What an error of a driver says, in a batcher's terms.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) fault: Fault,
    /// SQLSTATE or vendor code, where there is one.
    pub(crate) code: Option<String>,
    /// One line.
    pub(crate) message: String,
    /// See [`Problem::quoted`].
    pub(crate) quoted: Option<String>,
    /// See [`Problem::transient`].
    pub(crate) transient: bool,
}

impl Said {
    /// Something without a code that stays as it is.
    pub(crate) fn lasting(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, code: None, message: message.into(), quoted: None, transient: false }
    }
}

/// The errors behind an error, itself the first.
pub(crate) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
