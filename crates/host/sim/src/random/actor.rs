//! The program of one end: it carries out the operations of a plan, fills and reads streams, and writes down what it did
//! and saw. It waits for the events the core promises and for nothing else, so that an event that is missing is a
//! stream that stands still.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tq_quic::{Event, ReadError, StreamEvent, WriteError};
use tq_time::Instant;
use tq_wire::{Dir, StreamId};

use super::board::{Board, Number};
use super::plan::{Item, Verb};
use super::stage::ReadHook;
use crate::app::{App, AppContext};
use crate::ledger::Ledger;

const SLOW: Duration = Duration::from_millis(5);
const CHUNK: usize = 32 << 10;
/// Messages of one end are one flow of the books.
pub(super) const MESSAGES: u64 = 1 << 40;

/// Reading one stream.
#[derive(Debug, Default)]
struct Reader {
    readable: bool,
    slow: Option<usize>,
    next: Option<Instant>,
}

/// One stream at this end.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    /// A write was refused and no event came since.
    blocked: bool,
    reader: Reader,
}

pub(super) struct Actor {
    pub(super) side: usize,
    ops: VecDeque<(Instant, Item)>,
    /// From here on all is read at once and what is open is ended.
    winds_up: Instant,
    wound_up: bool,
    streams: BTreeMap<Number, Stream>,
    /// Streams to open, and whether an event has to come first.
    unopened: [(VecDeque<Number>, bool); 2],
    /// Operations on streams that are not known here yet.
    early: BTreeMap<Number, Vec<Item>>,
    /// Messages that wait for room: bytes and how many.
    messages: VecDeque<(usize, u64)>,
    messages_blocked: bool,
    over: bool,
    /// Multipath is wanted.
    multipath: bool,
    pub(super) board: Rc<RefCell<Board>>,
    ledger: Ledger,
    hook: Rc<RefCell<Option<ReadHook>>>,
}

const fn slot(dir: Dir) -> usize {
    match dir {
        Dir::Bi => 0,
        Dir::Uni => 1,
    }
}

impl Actor {
    pub(super) fn new(
        side: usize,
        multipath: bool,
        ops: Vec<(Instant, Item)>,
        winds_up: Instant,
        board: &Rc<RefCell<Board>>,
        ledger: &Ledger,
        hook: &Rc<RefCell<Option<ReadHook>>>,
    ) -> Self {
        Self {
            side,
            ops: ops.into(),
            winds_up,
            wound_up: false,
            streams: BTreeMap::new(),
            unopened: Default::default(),
            early: BTreeMap::new(),
            messages: VecDeque::new(),
            messages_blocked: false,
            over: false,
            multipath,
            board: Rc::clone(board),
            ledger: ledger.clone(),
            hook: Rc::clone(hook),
        }
    }

    fn sends(&self, id: StreamId) -> bool {
        id.dir() == Dir::Bi || (id.initiator() as usize) == self.side
    }

    fn receives(&self, id: StreamId) -> bool {
        id.dir() == Dir::Bi || (id.initiator() as usize) != self.side
    }

    /// A stream is there: opened by us or accepted.
    fn begin(&mut self, cx: &mut AppContext<'_>, number: Number, id: StreamId, ours: bool) {
        if ours {
            let mut board = self.board.borrow_mut();
            board.ids.insert(id, number);
            board.unopened[self.side] -= 1;
            for sender in (0..2).filter(|sender| id.dir() == Dir::Bi || *sender == self.side) {
                board.flow(number, sender);
                self.ledger.open(cx.now(), Board::flow_number(number, sender), None);
            }
        }
        self.streams.insert(number, Stream { id, blocked: false, reader: Reader::default() });
        for item in self.early.remove(&number).unwrap_or_default() {
            self.on_stream(cx, number, &item);
        }
        if self.wound_up {
            self.finish(cx, number);
        }
    }

    fn open_more(&mut self, cx: &mut AppContext<'_>) {
        for dir in [Dir::Bi, Dir::Uni] {
            while let (queue, false) = &mut self.unopened[slot(dir)]
                && let Some(number) = queue.front().copied()
            {
                let Some(id) = cx.connection().open(dir) else {
                    self.unopened[slot(dir)].1 = true;
                    break;
                };
                queue.pop_front();
                self.begin(cx, number, id, true);
            }
        }
    }

    fn accept(&mut self, cx: &mut AppContext<'_>, dir: Dir) {
        while let Some(id) = cx.connection().accept(dir) {
            let number = self.board.borrow().ids.get(&id).copied();
            match number {
                Some(number) if !self.streams.contains_key(&number) => self.begin(cx, number, id, false),
                _ => self.board.borrow_mut().wrong(format!("stream {id:?} came from nowhere")),
            }
        }
    }

    fn operate(&mut self, cx: &mut AppContext<'_>, item: Item) {
        let number = item.size(0);
        self.board.borrow_mut().acted = cx.now();
        match item.verb {
            Verb::Open => {
                let dir = if item.number(1) == 1 { Dir::Bi } else { Dir::Uni };
                let known = self.streams.contains_key(&number)
                    || self.unopened.iter().any(|(queue, _)| queue.contains(&number));
                if number % 2 == self.side as u64 && !known {
                    let mut board = self.board.borrow_mut();
                    board.unopened[self.side] += 1;
                    board.touch();
                    self.unopened[slot(dir)].0.push_back(number);
                }
            }
            Verb::Message => self.messages.push_back((item.size(0) as usize, item.size(1))),
            Verb::Ping => cx.connection().ping(),
            Verb::OpenPath | Verb::ClosePath | Verb::Standby | Verb::Knock => {
                if self.multipath {
                    self.on_path(cx, &item);
                }
            }
            Verb::Close => {
                self.board.borrow_mut().closes[self.side].get_or_insert((cx.now(), item.size(0)));
                cx.close(item.size(0));
            }
            _ if self.streams.contains_key(&number) => self.on_stream(cx, number, &item),
            _ => self.early.entry(number).or_default().push(item),
        }
    }

    fn on_stream(&mut self, cx: &mut AppContext<'_>, number: Number, item: &Item) {
        let (side, now) = (self.side, cx.now());
        let Some(id) = self.streams.get(&number).map(|stream| stream.id) else { return };
        let (sends, receives) = (self.sends(id), self.receives(id));
        match item.verb {
            Verb::Write if sends => {
                let mut board = self.board.borrow_mut();
                let flow = board.flow(number, side);
                if !flow.finished && !flow.sender_done() {
                    flow.wanted += item.size(1);
                }
                drop(board);
                self.pump(cx, number);
            }
            Verb::Fin if sends => self.finish(cx, number),
            Verb::Reset if sends && cx.connection().reset(id, item.size(1)).is_ok() => {
                let mut board = self.board.borrow_mut();
                let flow = board.flow(number, side);
                flow.reset.get_or_insert(item.size(1));
                flow.wanted = 0;
            }
            Verb::Stop if receives && cx.connection().stop(id, item.size(1)).is_ok() => {
                self.board.borrow_mut().flow(number, 1 - side).stop.get_or_insert(item.size(1));
            }
            Verb::Pause if receives && !self.wound_up => {
                let until = now + Duration::from_millis(item.size(1));
                self.board.borrow_mut().flow(number, 1 - side).paused = Some(until.min(self.winds_up));
                self.drain(cx, number);
            }
            Verb::Slow if receives && !self.wound_up => {
                if let Some(stream) = self.streams.get_mut(&number) {
                    stream.reader.slow = Some(item.size(1) as usize);
                }
            }
            Verb::Prio if sends => {
                let priority = item.number(1).clamp(-1000, 1000) as i32;
                let _ = cx.connection().set_priority(id, priority);
            }
            _ => {}
        }
    }

    /// Ends what we send, once all that is wanted is written.
    fn finish(&mut self, cx: &mut AppContext<'_>, number: Number) {
        let Some(stream) = self.streams.get(&number).filter(|stream| self.sends(stream.id)) else { return };
        let id = stream.id;
        let mut board = self.board.borrow_mut();
        let flow = board.flow(number, self.side);
        if flow.finished || flow.sender_done() {
            return;
        }
        flow.finished = true;
        let ready = flow.wanted == 0;
        drop(board);
        if ready {
            self.end(cx, number, id);
        } else {
            self.pump(cx, number);
        }
    }

    fn end(&mut self, cx: &mut AppContext<'_>, number: Number, id: StreamId) {
        self.ledger.finished(Board::flow_number(number, self.side));
        // refused if the peer stopped it a moment ago: the event that says so is still to come, and is waited for
        let _ = cx.connection().finish(id);
    }

    /// Writes what is wanted, as far as there is room.
    fn pump(&mut self, cx: &mut AppContext<'_>, number: Number) {
        let (side, ledger) = (self.side, self.ledger.clone());
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let (id, name) = (stream.id, Board::flow_number(number, side));
        let mut board = self.board.borrow_mut();
        while !stream.blocked {
            let flow = board.flow(number, side);
            if flow.wanted == 0 || flow.sender_done() {
                return;
            }
            let mut chunk = vec![0; flow.wanted.min(CHUNK as u64) as usize];
            ledger.pattern(name).fill(flow.written, &mut chunk);
            let connection = cx.connection();
            let taken = match number & 2 {
                0 => connection.write(id, &mut Bytes::from(chunk)),
                _ => connection.write_slice(id, &chunk),
            };
            match taken {
                Ok(taken) => {
                    ledger.handed_in(name, flow.written, taken as u64);
                    flow.written += taken as u64;
                    flow.wanted -= taken as u64;
                    let ends = flow.wanted == 0 && flow.finished;
                    let (held, most) = (board.in_pipe(side), board.pipe[side]);
                    if held > most {
                        board.wrong(format!("{held} bytes are in the pipe, more than {most}"));
                    }
                    if ends {
                        drop(board);
                        return self.end(cx, number, id);
                    }
                }
                Err(WriteError::Blocked) => stream.blocked = true,
                Err(WriteError::Stopped(code)) => flow.stopped = Some(code),
                Err(WriteError::Closed) => {
                    if !connection.is_closed() {
                        board.wrong(format!("stream {number} is closed for writing and nobody closed it"));
                    }
                    return;
                }
            }
        }
    }

    /// Reads a stream as far as it may be.
    fn drain(&mut self, cx: &mut AppContext<'_>, number: Number) {
        let (side, now, wound_up) = (self.side, cx.now(), self.wound_up);
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let (id, reader, name) = (stream.id, &mut stream.reader, Board::flow_number(number, 1 - side));
        let mut board = self.board.borrow_mut();
        while reader.readable {
            let flow = board.flow(number, 1 - side);
            let waits = [flow.paused, reader.next].into_iter().flatten().max().filter(|at| *at > now);
            if let Some(at) = waits.filter(|_| !wound_up && !flow.receiver_done()) {
                reader.next = Some(at);
                return;
            }
            let most = reader.slow.filter(|_| !wound_up).unwrap_or(CHUNK);
            let mut room = vec![0; most.min(CHUNK)];
            let connection = cx.connection();
            let read = match number & 2 {
                0 => connection.read(id, most),
                _ => {
                    connection.read_into(id, &mut room).map(|n| n.map(|n| Bytes::copy_from_slice(&room[..n])))
                }
            };
            match read {
                Ok(Some(bytes)) => {
                    let bytes = match &mut *self.hook.borrow_mut() {
                        Some(hook) => hook(number, flow.read, bytes),
                        None => bytes,
                    };
                    self.ledger.came_out(now, name, flow.read, &bytes);
                    flow.read += bytes.len() as u64;
                    reader.next = reader.slow.map(|_| now + SLOW);
                }
                Ok(None) => {
                    reader.readable = false;
                    self.ledger.ended(now, name);
                    flow.ended = true;
                }
                Err(ReadError::Blocked) => reader.readable = false,
                Err(ReadError::Reset(code)) => {
                    reader.readable = false;
                    flow.reset_seen = Some(code);
                }
                Err(ReadError::Closed) => {
                    reader.readable = false;
                    if !flow.receiver_done() && !connection.is_closed() {
                        board.wrong(format!("stream {number} is closed for reading and nobody closed it"));
                    }
                }
            }
        }
    }

    fn send_messages(&mut self, cx: &mut AppContext<'_>) {
        let flow = MESSAGES + self.side as u64;
        while !self.messages_blocked
            && let Some((size, count)) = self.messages.front_mut()
        {
            if *count == 0 {
                self.messages.pop_front();
                continue;
            }
            let message = self.ledger.message(cx.now(), flow, *size);
            let sent = cx.connection().send_datagram(message);
            self.ledger.message_in(cx.now(), flow, sent.is_ok());
            match sent {
                Err(tq_quic::SendDatagramError::Blocked) => self.messages_blocked = true,
                _ => *count -= 1,
            }
        }
    }

    fn hear(&mut self, cx: &mut AppContext<'_>, event: StreamEvent) {
        let number_of = |id: &StreamId| self.board.borrow().ids.get(id).copied();
        match event {
            StreamEvent::Opened(dir) => self.accept(cx, dir),
            StreamEvent::Available(dir) => self.unopened[slot(dir)].1 = false,
            StreamEvent::Readable(id) => {
                if let Some(number) = number_of(&id)
                    && let Some(stream) = self.streams.get_mut(&number)
                {
                    stream.reader.readable = true;
                    self.drain(cx, number);
                } else {
                    self.board.borrow_mut().wrong(format!("{id:?} is readable before it was accepted"));
                }
            }
            StreamEvent::Writable(id) => {
                if let Some(number) = number_of(&id)
                    && let Some(stream) = self.streams.get_mut(&number)
                {
                    stream.blocked = false;
                    self.pump(cx, number);
                }
            }
            StreamEvent::Finished(id) => {
                if let Some(number) = number_of(&id) {
                    let side = self.side;
                    self.board.borrow_mut().flow(number, side).arrived = true;
                }
            }
            StreamEvent::Stopped { id, code } => {
                if let Some(number) = number_of(&id) {
                    let side = self.side;
                    let mut board = self.board.borrow_mut();
                    let flow = board.flow(number, side);
                    flow.stopped = Some(code);
                    flow.wanted = 0;
                }
            }
        }
    }

    fn work(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        if self.over {
            return cx.wake_at(None);
        }
        while let Some((_, item)) = self.ops.pop_front_if(|(at, _)| *at <= now) {
            self.operate(cx, item);
        }
        self.open_more(cx);
        self.send_messages(cx);
        let numbers: Vec<Number> = self.streams.keys().copied().collect();
        if now >= self.winds_up && !self.wound_up {
            self.wound_up = true;
            let side = self.side;
            let mut board = self.board.borrow_mut();
            board.wound_up[side] = true;
            board.acted = now;
            board.touch();
            drop(board);
            numbers.iter().for_each(|number| self.finish(cx, *number));
        }
        for number in numbers {
            let reader = self.streams.get(&number).map(|stream| &stream.reader);
            let due = |reader: &Reader| {
                reader.readable && (self.wound_up || reader.next.is_none_or(|at| at <= now))
            };
            if reader.is_some_and(due) {
                self.drain(cx, number);
            }
        }
        let waiting = self.streams.values().filter(|stream| stream.reader.readable);
        let reading = waiting.filter_map(|stream| stream.reader.next);
        let next = self.ops.front().map(|(at, _)| *at);
        let last = Some(self.winds_up).filter(|_| !self.wound_up);
        cx.wake_at(reading.chain(next).chain(last).min());
    }
}

impl App for Actor {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        let side = self.side;
        self.board.borrow_mut().born[side] = true;
        self.work(cx);
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        let side = self.side;
        match event {
            Event::Connected => self.board.borrow_mut().connected[side] = true,
            Event::Closed(error) => {
                self.over = true;
                self.board.borrow_mut().die(side, cx.now(), error.clone());
            }
            Event::Stream(event) => self.hear(cx, *event),
            Event::DatagramReceived => {
                while let Some(message) = cx.connection().read_datagram() {
                    self.ledger.message_out(cx.now(), &message);
                    self.board.borrow_mut().messages[side] += 1;
                }
            }
            Event::DatagramSpace => self.messages_blocked = false,
            Event::Path(event) => self.hear_path(cx, *event),
            _ => {}
        }
        self.work(cx);
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        self.work(cx);
    }
}
