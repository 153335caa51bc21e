//! `COPY … FROM stdin` blocks of a session, in one request or in several.

use std::mem;

use crate::{CopyPart, Effects, Fault, Problem, Request, body::Body};

use super::{
    copy::{self, Copying},
    execute::{Link, Session},
    problem::{is_lost, problem},
};

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
}
