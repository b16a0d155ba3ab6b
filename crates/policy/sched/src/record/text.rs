//! Fields as `name=value`, written if they differ from the default and read back in any order.

use core::fmt;

use tq_time::Instant;

use crate::demand::{Class, Demand, Outstanding, PathSet, Pick};
use crate::health::Health;
use crate::memory::Memory;
use crate::view::{CapacityState, PathView, Status};

/// A field's value in text.
trait Value: Copy + PartialEq {
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i64);

macro_rules! names {
    ($type:ty: $($variant:ident = $name:literal),*) => {
        impl Value for $type {
            fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
            fn read(text: &str) -> Option<Self> {
                match text { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
names!(Status: Available = "available", Backup = "backup");
names!(CapacityState: Unknown = "unknown", Measured = "measured", Growing = "growing", Stale = "stale");
names!(Class: Realtime = "realtime", Interactive = "interactive", Bulk = "bulk", Background = "background");

impl Value for Health {
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
    fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.name() == text)
    }
}

impl Value for bool {
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u8::from(self))
    }
    fn read(text: &str) -> Option<Self> {
        match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }
}

impl Value for Option<Instant> {
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map_or(Ok(()), |at| write!(f, "{}", at.as_nanos()))
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(|nanos| Some(Instant::from_nanos(nanos)))
    }
}

impl Value for Option<Outstanding> {
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map_or(Ok(()), |held| write!(f, "{}/{}/{}", held.path, held.sent_at.as_nanos(), held.bytes))
    }
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let path = parts.next()?.parse().ok()?;
        let sent_at = Instant::from_nanos(parts.next()?.parse().ok()?);
        let bytes = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Some(Outstanding { path, sent_at, bytes }))
    }
}

macro_rules! fields {
    ($type:ty, $write:ident, $read:ident: $($field:ident)*) => {
        pub(super) fn $write(f: &mut fmt::Formatter<'_>, it: &$type) -> fmt::Result {
            let usual = <$type>::default();
            $(if it.$field != usual.$field {
                f.write_str(concat!(" ", stringify!($field), "="))?;
                Value::show(it.$field, f)?;
            })*
            Ok(())
        }
        pub(super) fn $read(text: &str) -> Option<$type> {
            let mut it = <$type>::default();
            for field in text.split_ascii_whitespace() {
                let (name, value) = field.split_once('=')?;
                match name {
                    $(stringify!($field) => it.$field = Value::read(value)?,)*
                    _ => return None,
                }
            }
            Some(it)
        }
    };
}
fields!(PathView, write_view, read_view:
    id link group status health validated blocked degraded min_rtt srtt rttvar sigma rel_owd queue capacity
    capacity_state capacity_age capacity_cap r_measured cwnd in_flight pacing_rate next_departure ack_silence
    amplification_room mtu cost weight reserve loss_ppm);
fields!(Demand, write_demand, read_demand:
    backlog stream_backlog packet blocking resend_budget send_window final_known deadline class hold_budget);

pub(super) fn write_memory(f: &mut fmt::Formatter<'_>, memory: &Memory) -> fmt::Result {
    if memory.cursor != 0 {
        write!(f, " cursor={}", memory.cursor)?;
    }
    for (index, (id, value)) in memory.entries().iter().enumerate() {
        write!(f, "{}{id}:{value}", if index == 0 { " memory=" } else { "," })?;
    }
    Ok(())
}

/// Time and memory.
pub(super) fn read_head(text: &str) -> Option<(Instant, Memory)> {
    let (mut now, mut memory) = (None, Memory::default());
    for field in text.split_ascii_whitespace() {
        match field.split_once('=')? {
            ("now", value) => now = Some(Instant::from_nanos(value.parse().ok()?)),
            ("cursor", value) => memory.cursor = value.parse().ok()?,
            ("memory", list) => {
                for entry in list.split(',') {
                    let (id, value) = entry.split_once(':')?;
                    memory.set(id.parse().ok()?, value.parse().ok()?);
                }
            }
            _ => return None,
        }
    }
    Some((now?, memory))
}

pub(super) fn read_pick(text: &str) -> Option<Pick> {
    let mut words = text.split_ascii_whitespace();
    let verb = words.next()?;
    let mut number = || words.next().map(|word| word.parse::<u64>().ok());
    let id = |number: Option<Option<u64>>| u32::try_from(number??).ok();
    let pick = match verb {
        "send" => Pick::Send(id(number())?),
        "reinject" => Pick::Reinject { on: id(number())?, from: id(number())? },
        "wait" => Pick::WaitUntil(Instant::from_nanos(number()??)),
        "nothing" => Pick::Nothing,
        "duplicate" => {
            let mut set = PathSet::default();
            while let Some(next) = number() {
                if !set.insert(id(Some(next))?) {
                    return None;
                }
            }
            Pick::Duplicate(set)
        }
        _ => return None,
    };
    number().is_none().then_some(pick)
}
