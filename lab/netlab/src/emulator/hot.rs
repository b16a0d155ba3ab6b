//! The emulator's hot path: one thread takes frames, asks the model, waits, and sends, for one direction of all links.
//!
//! Decides when to sleep: in `ppoll` until a packet comes or is due, but while packets come, for a [`STRIDE`] without looking,
//! so that those of a stride cost one waking. Nothing is sent before its time, and little later than a stride after it. Shares
//! nothing with the other thread; orders from outside cost one relaxed load per round.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use tq_linkmodel::{Bottlenecks, Change, Delivery, Direction, Duration, Instant, Packet};
use tq_packet::{Batch, Frame, Receiver, Waiting, wait};
use tq_udp::Clock;

use super::books::LaneBooks;
use super::lane::{Fate, Lane, Plan};
use super::watch::{Stall, Times, Watch};

/// While packets come, the thread looks and sends so often: what a network card with interrupt moderation does. When a packet
/// came is known from the kernel, so that only what is due meanwhile is late.
pub const STRIDE: Duration = Duration::from_micros(100);
/// Of every [`PERIOD`] the thread is promised so much before anything else on the machine, for two labs on two processors, and may
/// have more. A thread that just comes before ordinary ones (`SCHED_FIFO`) the kernel stops for 50 ms once it has left them
/// nothing for a second: packets were 50 to 60 ms late then.
const SHARE: Duration = Duration::from_micros(400);
const PERIOD: Duration = Duration::from_millis(1);
/// Frames that are there from the beginning; more are made when they are needed.
const SPARE: usize = 4096;
/// No thread holds more packets than this (2 KiB each): a second of 400 Mbit/s, 600 ms of 800 Mbit/s.
pub const MOST_HELD: usize = 48 << 10;
/// Batches taken from one link before the others have their turn.
const ROUNDS: usize = 4;
/// No sleep is longer, so that orders are not missed for long should their wake-up get lost.
const LONGEST: Duration = Duration::from_millis(100);

/// What a thread is told.
#[derive(Debug)]
pub enum Order {
    /// Begin anew: everything under way is gone.
    Start {
        /// The moment zero of the model, on [`Clock`].
        epoch: Instant,
        /// For each lane of the thread, in order.
        plans: Vec<Plan>,
        /// The shared queues of its direction.
        shared: Bottlenecks,
    },
    /// Change a direction of a link from now on.
    Change(usize, Direction, Change),
    /// Tell.
    Tell(SyncSender<Told>),
    /// End.
    Stop,
}

/// What a thread tells.
#[derive(Debug)]
pub struct Told {
    /// Link, direction and books of each lane.
    pub lanes: Vec<(usize, Direction, LaneBooks)>,
    /// What the kernel says of the thread.
    pub times: Times,
    /// Why its latest packet was late.
    pub stall: Stall,
    /// Steps of the wall clock.
    pub clock_steps: u64,
}

/// Where orders are left for a thread.
#[derive(Debug)]
pub struct Mailbox {
    waiting: AtomicBool,
    orders: Mutex<Vec<Order>>,
    bell: UnixDatagram,
}

impl Mailbox {
    /// An empty one, and what rings in the thread.
    pub fn new() -> std::io::Result<(Self, UnixDatagram)> {
        let (bell, ring) = UnixDatagram::pair()?;
        bell.set_nonblocking(true)?;
        ring.set_nonblocking(true)?;
        Ok((Self { waiting: AtomicBool::new(false), orders: Mutex::default(), bell }, ring))
    }

    /// Leaves an order.
    pub fn leave(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.waiting.store(true, Ordering::Release);
        // A full pipe rings as well.
        let _ = self.bell.send(&[1]);
    }

    fn take(&self) -> Vec<Order> {
        if !self.waiting.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A packet on its way.
struct Held {
    frame: Frame,
    lane: usize,
    /// Whether it still arrives is asked of these; a second copy is not asked for.
    promise: Option<(Packet, Delivery)>,
}

/// A thread's belongings.
pub struct Hot {
    lanes: Vec<Lane>,
    shared: Bottlenecks,
    epoch: Instant,
    held: Vec<Option<Held>>,
    free: Vec<usize>,
    /// When a packet is due (ns), in which order it came, and its place in `held`.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    count: u64,
    spare: Vec<Frame>,
    batch: Batch,
    watch: Watch,
}

impl Hot {
    /// With these lanes, from `epoch` on.
    pub fn new(lanes: Vec<Lane>, shared: Bottlenecks, epoch: Instant) -> Self {
        Self {
            lanes,
            shared,
            epoch,
            held: Vec::with_capacity(MOST_HELD),
            free: Vec::with_capacity(MOST_HELD),
            heap: BinaryHeap::with_capacity(MOST_HELD),
            count: 0,
            spare: (0..SPARE).map(|_| Frame::new()).collect(),
            batch: Batch::new(),
            watch: Watch::of_this_thread(),
        }
    }

    /// Runs until it is told to stop. `from`: where the packets of each lane come from.
    pub fn run(mut self, from: &[Receiver], mailbox: &Mailbox, ring: &UnixDatagram) {
        // Where these fail, only lateness suffers, and that is counted.
        let _ = tq_udp::set_timer_slack(1);
        let _ = tq_packet::stay();
        let _ = tq_packet::reserve(SHARE, PERIOD).or_else(|_| tq_packet::hurry());
        self.watch = Watch::of_this_thread();
        let mut fds: Vec<_> = from.iter().map(|from| Waiting::new(from.as_fd())).collect();
        fds.push(Waiting::new(ring.as_fd()));
        let (mut came, mut wanted, mut before) = (true, Clock::now(), Duration::ZERO);
        loop {
            if mailbox.waiting.load(Ordering::Relaxed) {
                while ring.recv(&mut [0; 8]).is_ok() {}
                for order in mailbox.take() {
                    if !self.obey(order, from) {
                        return;
                    }
                }
            }
            let woke = Clock::now();
            // After a sleep without looking, nobody has said which lanes have something.
            let blind = std::mem::take(&mut came);
            for (lane, (fd, from)) in fds.iter().zip(from).enumerate() {
                if blind || fd.is_ready() {
                    came |= self.fetch(lane, from);
                }
            }
            let late = self.release();
            let sent = Clock::now();
            self.watch.round(wanted, woke, before, sent, late);
            before = sent - woke;
            let sleep = self.sleep(woke, sent, came);
            wanted = sent + sleep;
            // There is nobody to tell of an error, and no known one.
            let _ = wait(if came { &mut [] } else { &mut fds }, Some(sleep));
        }
    }

    /// How long to sleep from `now` on, having woken at `woke`.
    fn sleep(&self, woke: Instant, now: Instant, came: bool) -> Duration {
        let next = woke + STRIDE;
        let until = match self.heap.peek() {
            _ if came => next,
            Some(Reverse((due, ..))) => Instant::from_nanos(*due).max(next),
            None => now + LONGEST,
        };
        (until - now).min(LONGEST)
    }

    /// Takes what has come for a lane and asks the model; whether there was anything.
    fn fetch(&mut self, lane: usize, from: &Receiver) -> bool {
        let mut came = false;
        for _ in 0..ROUNDS {
            // Nothing there, or the interface went down: both are as good as empty.
            let Ok(count) = from.recv(&mut self.batch) else { break };
            came = true;
            for i in 0..count {
                let own = &mut self.lanes[lane];
                let frame = &mut self.batch.frames()[i];
                let at = Instant::from_nanos((frame.at() - self.epoch).as_nanos() as u64);
                match own.offer(at, frame, &mut self.shared) {
                    Fate::Gone => {}
                    Fate::Through => {
                        let due = frame.at().as_nanos();
                        let empty = self.spare.pop().unwrap_or_default();
                        own.queue(std::mem::replace(frame, empty), due);
                    }
                    Fate::Held(..) if self.heap.len() >= MOST_HELD => own.no_room(),
                    Fate::Held(packet, delivery) => {
                        let empty = self.spare.pop().unwrap_or_default();
                        let frame = std::mem::replace(frame, empty);
                        let due = self.moment(delivery.at);
                        self.hold(due, Held { frame, lane, promise: Some((packet, delivery)) });
                    }
                }
            }
            if count < Batch::FRAMES {
                break;
            }
        }
        came
    }

    /// A moment of the model's time, in ns of the clock.
    fn moment(&self, at: Instant) -> u64 {
        self.epoch.as_nanos().saturating_add(at.as_nanos())
    }

    fn hold(&mut self, due: u64, held: Held) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            self.held.len() - 1
        });
        self.held[place] = Some(held);
        self.heap.push(Reverse((due, self.count, place)));
        self.count += 1;
    }

    /// Sends what is due; how late the latest of it was, ns.
    fn release(&mut self) -> u64 {
        let now = Clock::now().as_nanos();
        let mut left = Batch::FRAMES * self.lanes.len();
        while left > 0
            && let Some(Reverse((due, _, place))) = self.heap.peek().copied()
            && due <= now
        {
            self.heap.pop();
            self.free.push(place);
            left -= 1;
            if let Some(held) = self.held[place].take() {
                self.hand_on(held, due);
            }
        }
        let busy = self.lanes.iter_mut().filter(|lane| !lane.is_idle());
        busy.map(|lane| lane.flush(Clock::now, &mut self.spare)).max().unwrap_or(0)
    }

    /// A packet has come to the end of its link, unless that broke meanwhile.
    fn hand_on(&mut self, Held { frame, lane, promise }: Held, due: u64) {
        let own = &mut self.lanes[lane];
        if let Some((packet, delivery)) = promise {
            let direction = own.direction;
            if !own.link().arrives(direction, packet, &delivery) {
                self.spare.push(frame);
                return;
            }
            if let Some(again) = delivery.duplicate {
                let mut copy = self.spare.pop().unwrap_or_default();
                copy.write(frame.bytes());
                let due = self.moment(again);
                self.hold(due, Held { frame: copy, lane, promise: None });
            }
        }
        self.lanes[lane].queue(frame, due);
    }

    /// Does what it is told; whether to go on.
    fn obey(&mut self, order: Order, from: &[Receiver]) -> bool {
        match order {
            Order::Stop => return false,
            Order::Change(index, direction, change) => {
                let at = Instant::from_nanos((Clock::now() - self.epoch).as_nanos() as u64);
                for lane in &mut self.lanes {
                    if (lane.index, lane.direction) == (index, direction) {
                        lane.link().set_direction(at, direction, change.clone());
                    }
                }
            }
            Order::Start { epoch, plans, shared } => {
                self.heap.clear();
                self.free.clear();
                self.free.extend(0..self.held.len());
                self.spare.extend(self.held.iter_mut().filter_map(|held| Some(held.take()?.frame)));
                (self.epoch, self.shared) = (epoch, shared);
                self.watch.forget();
                for ((lane, plan), from) in self.lanes.iter_mut().zip(plans).zip(from) {
                    lane.clear(&mut self.spare);
                    lane.restart(plan, from);
                }
            }
            Order::Tell(to) => {
                let (times, stall) = (self.watch.times(), self.watch.worst());
                let mut told = Told { lanes: Vec::new(), times, stall, clock_steps: 0 };
                for (lane, from) in self.lanes.iter().zip(from) {
                    let (books, steps) = lane.books(from);
                    told.clock_steps = told.clock_steps.max(steps);
                    told.lanes.push((lane.index, lane.direction, books));
                }
                // Who asked may have given up.
                let _ = to.try_send(told);
            }
        }
        true
    }
}
