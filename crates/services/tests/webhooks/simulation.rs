//! The functions of webhooks on their queues, in virtual time.

use std::sync::Arc;

use roadcast_domain::Timestamp;
use roadcast_domain::trace::EventSampling;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::webhooks::DeliveryTask;
use roadcast_services::cache::{CachedEndpoints, CachedEntitlements, OpenedTexts};
use roadcast_services::webhooks::QueueKind;
use roadcast_services::webhooks::dispatcher::Dispatcher;
use roadcast_services::webhooks::fan_out::WebhookFanOut;
use roadcast_services::webhooks::scheduler::LineScheduler;
use roadcast_testbed::{
    FaultPlan, Faulty, ManualClock, Memory, MemoryQueue, QueueConfig, SeededRandomness, WebhookReceiver,
};

use crate::executor::{Executor, Invocation};
use crate::ports::{Simulated, SlowReceiver};

/// The dispatcher's and the fan-out's concurrent invocations.
const CONCURRENCY: usize = 8;
const MINUTE_MS: i64 = 60_000;

/// Half of the events are traced.
pub(crate) fn sampling() -> EventSampling {
    EventSampling::per_million(500_000).expect("a rate")
}

/// How much goes wrong.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// The percentage of calls of ports that fail.
    pub(crate) faults: u8,
    /// The percentage of invocations that are interrupted.
    pub(crate) interruptions: u64,
    /// The percentage of messages that are received again although they were processed.
    pub(crate) repetitions: u64,
}

/// Where a message came from.
enum Source {
    Events(String),
    Standard(String),
    Ordered(String),
}

pub(crate) struct Simulation {
    pub(crate) clock: ManualClock,
    pub(crate) memory: Memory,
    pub(crate) receiver: Arc<WebhookReceiver>,
    pub(crate) events: MemoryQueue,
    plan: FaultPlan,
    trouble: Trouble,
    random: Arc<SeededRandomness>,
    dispatchers: Vec<Arc<Dispatcher<Simulated>>>,
    fan_outs: Vec<Arc<WebhookFanOut<Simulated>>>,
    executor: Executor<Source>,
    next_schedule: Timestamp,
}

impl Simulation {
    pub(crate) fn new(seed: u64, trouble: Trouble) -> Self {
        Self::with_plan(seed, trouble, FaultPlan::seeded(seed, trouble.faults))
    }

    /// Functions whose ports fail by `plan`.
    pub(crate) fn with_plan(seed: u64, trouble: Trouble, plan: FaultPlan) -> Self {
        let clock = ManualClock::at(roadcast_testbed::fixtures::at(0));
        let memory = Memory::new(clock.clone());
        let config = QueueConfig { visibility_timeout_ms: 90_000, ..QueueConfig::default() };
        let mut simulation = Self {
            events: MemoryQueue::new(config, clock.clone()),
            receiver: Arc::new(WebhookReceiver::new(clock.clone())),
            plan: plan.yielding(),
            trouble,
            random: Arc::new(SeededRandomness::new(seed)),
            dispatchers: Vec::new(),
            fan_outs: Vec::new(),
            executor: Executor::default(),
            next_schedule: clock.now(),
            clock,
            memory,
        };
        // Warm environments, each with caches of its own.
        simulation.dispatchers = (0..3).map(|n| Arc::new(simulation.dispatcher(seed ^ n))).collect();
        simulation.fan_outs = (0..2).map(|_| Arc::new(simulation.fan_out())).collect();
        simulation
    }

    fn port(&self) -> Faulty<Memory> {
        Faulty::new(self.memory.clone(), self.plan.clone())
    }

    fn dispatcher(&self, seed: u64) -> Dispatcher<Simulated> {
        let (port, clock) = (|| self.port(), || self.clock.clone());
        Dispatcher {
            endpoints: CachedEndpoints::new(port(), clock()),
            stored_endpoints: port(),
            opened: OpenedTexts::new(port(), clock()),
            entitlements: CachedEntitlements::new(port(), clock()),
            deliveries: port(),
            attempts: port(),
            health: port(),
            waiting: port(),
            queue: port(),
            failed: port(),
            sender: SlowReceiver { clock: clock(), receiver: Arc::clone(&self.receiver) },
            clock: clock(),
            randomness: SeededRandomness::new(seed),
            sampling: sampling(),
        }
    }

    fn fan_out(&self) -> WebhookFanOut<Simulated> {
        let (port, clock) = (|| self.port(), || self.clock.clone());
        WebhookFanOut {
            endpoints: CachedEndpoints::new(port(), clock()),
            entitlements: CachedEntitlements::new(port(), clock()),
            deliveries: port(),
            queue: port(),
            failed: port(),
            clock: clock(),
        }
    }

    /// Returns a random number less than `end`.
    fn index(&self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.random.bits64() % bound
    }

    fn happens(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// No call fails and no invocation is interrupted from now on.
    pub(crate) fn heal(&mut self) {
        self.plan.heal();
        self.trouble = Trouble::default();
    }

    /// Runs the functions until `end`.
    pub(crate) fn run_until(&mut self, end: Timestamp) {
        loop {
            self.start_invocations();
            let random = Arc::clone(&self.random);
            if let Some(ended) = self.executor.step(|_| random.bits64()) {
                for (source, succeeded) in ended {
                    // A message that is not deleted is received again after its visibility timeout.
                    if succeeded && !self.happens(self.trouble.repetitions) {
                        match source {
                            Source::Events(handle) => self.events.delete(&handle),
                            Source::Standard(handle) => self.memory.delivery_queue().delete(&handle),
                            Source::Ordered(handle) => self.memory.ordered_queue().delete(&handle),
                        }
                    }
                }
                continue;
            }
            let now = self.clock.now();
            if now >= end {
                return;
            }
            self.clock.set(self.next_change(now).min(end));
            self.executor.wake_all();
            if self.clock.now() >= self.next_schedule {
                self.schedule();
            }
        }
    }

    /// Returns the next time at which something may happen.
    fn next_change(&self, now: Timestamp) -> Timestamp {
        // Requests end at multiples of this time, which is fine enough: the shortest takes 5 ms.
        let next_response = (self.executor.len() > 0).then(|| now.plus_ms(5));
        let has_room = self.executor.len() < CONCURRENCY;
        let queues = [
            self.events.next_visible(),
            self.memory.delivery_queue().next_visible(),
            self.memory.ordered_queue().next_visible(),
        ];
        let next_message = queues.into_iter().flatten().filter(|_| has_room).min().map(|at| at.max(now.plus_ms(1)));
        [next_response, next_message, Some(self.next_schedule)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now)
            .max(now.plus_ms(1))
    }

    fn start_invocations(&mut self) {
        while self.executor.len() < CONCURRENCY {
            let Some((source, invocation)) = self.next_invocation() else { return };
            let polls_left = self.happens(self.trouble.interruptions).then(|| self.index(40));
            self.executor.start(source, invocation, polls_left);
        }
    }

    fn next_invocation(&self) -> Option<(Source, Invocation)> {
        let first = self.below(3);
        (0..3).find_map(|n| match (first + n) % 3 {
            0 => {
                let message = self.events.receive(1).pop()?;
                let fan_out = Arc::clone(&self.fan_outs[self.index(self.fan_outs.len())]);
                let invocation = async move { fan_out.fan_out(&message.body).await.is_ok() };
                Some((Source::Events(message.receipt_handle), Box::pin(invocation) as Invocation))
            }
            1 => {
                let message = self.memory.delivery_queue().receive(1).pop()?;
                Some((Source::Standard(message.receipt_handle), self.dispatch(&message.body, QueueKind::Standard)))
            }
            _ => {
                let message = self.memory.ordered_queue().receive(1).pop()?;
                Some((Source::Ordered(message.receipt_handle), self.dispatch(&message.body, QueueKind::Ordered)))
            }
        })
    }

    fn dispatch(&self, body: &str, queue: QueueKind) -> Invocation {
        let task: DeliveryTask = serde_json::from_str(body).unwrap();
        let dispatcher = Arc::clone(&self.dispatchers[self.index(self.dispatchers.len())]);
        Box::pin(async move { dispatcher.handle(&task, queue).await.is_ok() })
    }

    /// Runs the scheduler, which may be interrupted like the others.
    fn schedule(&mut self) {
        self.next_schedule = self.clock.now().plus_ms(MINUTE_MS);
        let (waiting, queue, clock) = (self.port(), self.port(), self.clock.clone());
        let scheduler = LineScheduler::<Simulated> { waiting, queue, clock };
        let mut executor = Executor::default();
        let polls_left = self.happens(self.trouble.interruptions).then(|| self.index(20));
        executor.start((), Box::pin(async move { scheduler.run(MINUTE_MS).await.is_ok() }), polls_left);
        while executor.step(|_| 0).is_some() {}
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_idle(&self) -> bool {
        let queued = self.events.backlog() + self.memory.delivery_queue().backlog() + self.memory.ordered_queue().backlog();
        queued == 0 && self.executor.len() == 0 && self.memory.waiting_deliveries() == 0
    }
}
