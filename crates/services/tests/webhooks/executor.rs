//! Runs invocations concurrently in virtual time, and interrupts some of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// An invocation: whether it succeeded.
pub(crate) type Invocation = Pin<Box<dyn Future<Output = bool>>>;

/// The invocations in progress.
pub(crate) struct Executor<Message> {
    running: Vec<Running<Message>>,
}

struct Running<Message> {
    invocation: Invocation,
    message: Message,
    /// The number of polls after which the function is interrupted.
    polls_left: Option<usize>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<Message> Default for Executor<Message> {
    fn default() -> Self {
        Self { running: Vec::new() }
    }
}

impl<Message> Executor<Message> {
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Starts an invocation. After `polls_left` polls it is dropped: the function is interrupted between two awaits.
    pub(crate) fn start(&mut self, message: Message, invocation: Invocation, polls_left: Option<usize>) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.running.push(Running { invocation, message, polls_left, woken });
    }

    /// Polls each invocation that can continue once, in the order of `rank`, and returns the messages of those that ended, each with
    /// whether it succeeded. `None` if no invocation can continue at this time.
    pub(crate) fn step(&mut self, rank: impl Fn(usize) -> u64) -> Option<Vec<(Message, bool)>> {
        let mut order: Vec<usize> =
            (0..self.running.len()).filter(|index| self.running[*index].woken.0.load(Ordering::Relaxed)).collect();
        if order.is_empty() {
            return None;
        }
        order.sort_by_key(|index| rank(*index));
        let mut ended: Vec<(usize, bool)> = Vec::new();
        for index in order {
            let running = &mut self.running[index];
            if running.polls_left == Some(0) {
                ended.push((index, false));
                continue;
            }
            running.polls_left = running.polls_left.map(|left| left - 1);
            running.woken.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&running.woken));
            if let Poll::Ready(succeeded) = running.invocation.as_mut().poll(&mut Context::from_waker(&waker)) {
                ended.push((index, succeeded));
            }
        }
        ended.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        Some(ended.into_iter().map(|(index, succeeded)| (self.running.swap_remove(index).message, succeeded)).collect())
    }

    /// Lets every invocation continue: the clock was advanced.
    pub(crate) fn wake_all(&self) {
        for running in &self.running {
            running.woken.0.store(true, Ordering::Relaxed);
        }
    }
}
