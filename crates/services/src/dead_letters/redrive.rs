//! Sends dead letters again to where they failed.
//!
//! A redrive has an id, which its caller chooses, and a record of its progress. Each letter is claimed, sent and marked. What
//! is sent may be sent again without further effect: events have ids, and imports have checkpoints. So a redrive that was
//! interrupted continues when it is requested again, and repeated after its end it only returns its record.

mod redelivery;
mod request;
mod send;
mod stream_records;
mod webhooks;

use roadcast_domain::dead_letter::{
    ClaimOutcome, DeadLetter, Redrive, RedriveClaim, RedriveFailure, RedriveId, RedriveMark, RedriveRequest,
};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::dead_letters::{DeadLetters as _, LetterListing, Redrives as _};
use roadcast_ports::port_set::PortSet;

use crate::ServiceError;
use crate::authz::Admin;

pub use request::{MAX_LETTERS, new_request};
pub use send::LetterSender;

/// The number of letters that are listed at a time.
const PAGE_LETTERS: usize = 25;

/// Sends dead letters again.
pub struct Redriver<Ports: PortSet> {
    /// The dead letters.
    pub letters: Ports::DeadLetters,
    /// The records of redrives.
    pub redrives: Ports::Redrives,
    /// Sends a letter to where it failed.
    pub sender: LetterSender<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

/// What happened to a letter.
enum LetterOutcome {
    Redriven,
    Skipped,
    Failed(RedriveFailure),
    /// Another request of the same redrive is sending the letter, or was interrupted while it did.
    InProgress,
}

/// The next letters of a redrive.
struct NextLetters {
    ids: Vec<DeadLetterId>,
    /// The position after them, and whether none follow.
    end: Option<DeadLetterId>,
    is_last: bool,
}

impl<Ports: PortSet> Redriver<Ports> {
    /// Starts the redrive with this id, or continues it, for `time_ms`, and returns its record. Fails with `Conflict` if the id
    /// has another request. A letter that is started is sent to its end, also after that time.
    pub async fn run(
        &self,
        admin: &Admin,
        id: &RedriveId,
        request: RedriveRequest,
        time_ms: i64,
    ) -> Result<Redrive, ServiceError> {
        let until = self.clock.now().plus_ms(time_ms);
        let mut redrive = self.start(admin, id, request).await?;
        while !redrive.finished && self.clock.now() < until {
            let next = self.next_letters(&redrive).await?;
            for letter in next.ids {
                if self.clock.now() >= until {
                    return Ok(redrive);
                }
                let outcome = self.redrive_letter(&redrive, letter).await?;
                if matches!(outcome, LetterOutcome::InProgress) {
                    return Ok(redrive);
                }
                count(&mut redrive, outcome);
                redrive.position = Some(letter);
                if !self.save(&mut redrive).await? {
                    return self.get(admin, id).await;
                }
            }
            redrive.position = next.end.or(redrive.position);
            redrive.finished = next.is_last;
            if !self.save(&mut redrive).await? {
                return self.get(admin, id).await;
            }
        }
        Ok(redrive)
    }

    /// Returns the record of a redrive.
    pub async fn get(&self, _: &Admin, id: &RedriveId) -> Result<Redrive, ServiceError> {
        self.redrives.get(id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns the stored record, or creates it.
    async fn start(&self, admin: &Admin, id: &RedriveId, request: RedriveRequest) -> Result<Redrive, ServiceError> {
        let now = self.clock.now();
        let new = Redrive {
            redrive_id: id.clone(),
            request,
            by: admin.client_id().clone(),
            created_at: now,
            updated_at: now,
            revision: 0,
            finished: false,
            position: None,
            redriven: 0,
            skipped: 0,
            failed: 0,
            failures: Vec::new(),
        };
        match self.redrives.create(&new).await {
            Ok(()) => Ok(new),
            Err(error) if error.kind() == PortErrorKind::Conflict => {
                let stored = self.get(admin, id).await?;
                if stored.request == new.request {
                    Ok(stored)
                } else {
                    Err(ServiceError::Conflict("the redrive id was used with another request; choose another id"))
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the letters after the position of the redrive. Those that failed after the redrive was created are not part of
    /// it, so that it ends.
    async fn next_letters(&self, redrive: &Redrive) -> Result<NextLetters, ServiceError> {
        match &redrive.request {
            RedriveRequest::Letters { dead_letter_ids, .. } => {
                let done = redrive.position.and_then(|last| dead_letter_ids.iter().position(|id| *id == last));
                let ids = dead_letter_ids.iter().skip(done.map_or(0, |index| index + 1)).copied().collect();
                Ok(NextLetters { ids, end: None, is_last: true })
            }
            RedriveRequest::Selection(selection) => {
                let mut filter = selection.clone();
                filter.until = Some(filter.until.map_or(redrive.created_at, |until| until.min(redrive.created_at)));
                let listing = LetterListing { filter, before: redrive.position, limit: PAGE_LETTERS };
                let page = self.letters.list(&listing).await?;
                let ids = page.letters.iter().map(|letter| letter.dead_letter_id).collect();
                Ok(NextLetters { ids, end: page.next, is_last: page.next.is_none() })
            }
        }
    }

    /// Claims a letter, sends it and marks it.
    async fn redrive_letter(&self, redrive: &Redrive, id: DeadLetterId) -> Result<LetterOutcome, ServiceError> {
        let again = matches!(redrive.request, RedriveRequest::Letters { again: true, .. });
        let mark = RedriveMark { redrive_id: redrive.redrive_id.clone(), at: self.clock.now() };
        let claim = RedriveClaim { mark: mark.clone(), again };
        match self.letters.claim(id, &claim).await? {
            ClaimOutcome::Granted(letter) => self.send(&letter, mark).await,
            ClaimOutcome::InProgress(held) if held.redrive_id == mark.redrive_id => Ok(LetterOutcome::InProgress),
            // This redrive sent it, and was interrupted before it counted that.
            ClaimOutcome::Redriven(sent) if sent.redrive_id == mark.redrive_id => Ok(LetterOutcome::Redriven),
            ClaimOutcome::InProgress(_) | ClaimOutcome::Redriven(_) => Ok(LetterOutcome::Skipped),
            ClaimOutcome::Absent => Ok(LetterOutcome::Failed(RedriveFailure {
                dead_letter_id: id,
                reason: "absent".to_owned(),
                detail: "no such letter is stored; it may have expired".to_owned(),
            })),
        }
    }

    /// Sends a claimed letter and marks it.
    async fn send(&self, letter: &DeadLetter, mark: RedriveMark) -> Result<LetterOutcome, ServiceError> {
        let sent = self.sender.send(letter, &mark).await;
        match self.letters.finish(letter.dead_letter_id, &mark, sent.is_ok()).await {
            // The claim was too old, and another redrive has the letter now.
            Err(error) if error.kind() == PortErrorKind::Conflict => return Ok(LetterOutcome::Skipped),
            finished => finished?,
        }
        Ok(match sent {
            Ok(()) => LetterOutcome::Redriven,
            Err(unsendable) => LetterOutcome::Failed(RedriveFailure {
                dead_letter_id: letter.dead_letter_id,
                reason: unsendable.reason.to_owned(),
                detail: unsendable.detail,
            }),
        })
    }

    /// Stores the progress. Returns false if another request of the same redrive stored its own progress meanwhile.
    async fn save(&self, redrive: &mut Redrive) -> Result<bool, ServiceError> {
        redrive.updated_at = self.clock.now();
        match self.redrives.replace(redrive).await {
            Ok(()) => {
                redrive.revision += 1;
                Ok(true)
            }
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn count(redrive: &mut Redrive, outcome: LetterOutcome) {
    match outcome {
        LetterOutcome::Redriven => redrive.redriven += 1,
        LetterOutcome::Skipped => redrive.skipped += 1,
        LetterOutcome::InProgress => {}
        LetterOutcome::Failed(failure) => {
            redrive.failed += 1;
            if redrive.failures.len() < Redrive::MAX_FAILURES {
                redrive.failures.push(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests;
