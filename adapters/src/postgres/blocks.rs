//! `COPY … FROM stdin` blocks of a session, in one request or in several.
//!
//! To the server a block is one statement, however long its data is on its way. So the limit on the
//! time of a statement is lifted while a block in several parts is under way: one query before it
//! and one behind it. A block in one part has the limit, and costs nothing more.

use std::mem;

use crate::{CopyPart, Effects, Fault, Problem, Request, body::Body};

use super::{
    copy::{self, Copying},
    execute::{Link, Session},
    problem::{is_lost, problem},
    settings::replace_limit,
};

/// A limit on the time of a statement that is none.
const NO_LIMIT: u32 = 0;

impl Session {
    /// A part of a copy block.
    pub(super) async fn copy(
        &mut self,
        request: Request<'_>,
        part: CopyPart,
    ) -> Result<Effects, Problem> {
        let result = match part {
            CopyPart::Whole | CopyPart::First => {
                let end = request.ends.first().map_or(0, |end| *end as usize);
                let Some((statement, data)) = request.body.split_at_checked(end) else {
                    let said = format!("a statement ends at {end} in {}", request.body.len());
                    return Err(Problem::new(Fault::Unsupported, said));
                };
                let statement = Body::new(statement, &request.ends[..1])?;
                statement.without_zero()?;
                let statement = statement.text()?;
                if part == CopyPart::First {
                    self.lift_limit().await?;
                }
                let lease = self.take()?;
                let copying = Copying::start(lease, statement.to_owned()).await;
                self.go_on(copying, data, part).await
            }
            CopyPart::Middle | CopyPart::Last => {
                let copying = match mem::replace(&mut self.link, Link::Busy) {
                    Link::Copying(copying) => copying,
                    Link::Busy => return Err(Problem::left()),
                    other => {
                        self.link = other;
                        let said = "no copy block is under way: it failed, or was not begun";
                        return Err(Problem::new(Fault::Unsupported, said));
                    }
                };
                self.go_on(copying, request.body, part).await
            }
        };
        result.map_err(|mut problem| {
            problem.statement = matches!(part, CopyPart::Whole | CopyPart::First).then_some(0);
            problem
        })
    }

    /// Sends data, and ends the block with its last part.
    async fn go_on(
        &mut self,
        mut copying: Copying,
        data: &[u8],
        part: CopyPart,
    ) -> Result<Effects, Problem> {
        let sent = copying.send(data).await;
        if sent && matches!(part, CopyPart::First | CopyPart::Middle) {
            self.link = Link::Copying(copying);
            return Ok(Effects::default());
        }
        let copy::Ended { lease, done } = copying.finish().await;
        match done {
            Ok(rows) => {
                self.link = lease.map_or(Link::Lost, Link::Ready);
                self.set_limit_again().await;
                Ok(Effects { rows: Some(rows) })
            }
            Err(failed) => {
                self.link = match lease {
                    Some(lease) if !is_lost(&failed.error) => Link::Ready(lease),
                    _ => Link::Lost,
                };
                let mut problem = problem(failed.error, "");
                problem.offset = None;
                problem.outcome_unknown &= failed.finishing;
                self.look_at_transaction(&mut problem).await;
                Err(problem)
            }
        }
    }

    /// Takes the limit on the time of a statement away, if it is the one that was set for a caller:
    /// another one is the script's.
    async fn lift_limit(&mut self) -> Result<(), Problem> {
        let Some(limit_ms) = self.limit_ms else { return Ok(()) };
        match self.command(&replace_limit(limit_ms, NO_LIMIT)).await {
            Ok(lifted) => {
                self.is_limit_lifted = lifted > 0;
                Ok(())
            }
            Err(problem) => {
                let mut problem = Problem { statement: Some(0), ..problem.known() };
                self.look_at_transaction(&mut problem).await;
                Err(problem)
            }
        }
    }

    /// What sets the limit again, if it is lifted. A rollback of the transaction that lifted it
    /// does so, too, and then this changes nothing.
    pub(super) fn limit_again(&mut self) -> Option<String> {
        let lifted = mem::take(&mut self.is_limit_lifted);
        self.limit_ms.filter(|_| lifted).map(|limit_ms| replace_limit(NO_LIMIT, limit_ms))
    }

    /// Sets the limit again behind a block that was copied. A session that cannot have it any more
    /// is given up, which takes back nothing but what an open transaction has done.
    async fn set_limit_again(&mut self) {
        if let Some(limit_again) = self.limit_again()
            && self.command(&limit_again).await.is_err()
        {
            self.link = Link::Lost;
        }
    }
}
