//! How a field's type is written, and the groups of fields several events share.
//! It decides the JSON of quic-events-13's data types (§8 there), never which event has them.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::json::{self, Object};
use crate::{CloseCode, FrameInfo, Parameter, ParameterValue, Space, TimerChange};

/// A value that can be a field. `None` and empty lists are left out.
pub(crate) trait Field {
    fn put(&self, key: &str, o: &mut Object<'_>);
}

impl<T: Field> Field for Option<T> {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        if let Some(value) = self {
            value.put(key, o);
        }
    }
}

impl Field for u16 {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.number(key, u64::from(*self));
    }
}

impl Field for u32 {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.number(key, u64::from(*self));
    }
}

impl Field for u64 {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.number(key, *self);
    }
}

impl Field for usize {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.number(key, *self as u64);
    }
}

impl Field for bool {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.flag(key, *self);
    }
}

impl Field for &str {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.text(key, self);
    }
}

/// Milliseconds.
impl Field for Duration {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        json::duration(o.key(key), *self);
    }
}

/// Hexadecimal, except for a reason phrase, which is meant to be read.
impl Field for &[u8] {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        match key {
            "reason" => json::lossy(o.key(key), self),
            _ => o.hex(key, self),
        }
    }
}

/// Application protocols.
impl Field for &[&[u8]] {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        if !self.is_empty() {
            o.array(key, *self, |out, alpn| Object::write(out, |o| put_alpn(o, alpn)));
        }
    }
}

impl Field for &[FrameInfo<'_>] {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        if !self.is_empty() {
            o.array(key, *self, |out, frame| Object::write(out, |o| frame.put(o)));
        }
    }
}

/// `TupleEndpointInfo`.
impl Field for SocketAddr {
    fn put(&self, key: &str, o: &mut Object<'_>) {
        o.object(key, |o| put_address(o, *self));
    }
}

/// Chooses its keys itself: the two code spaces have different ones.
impl Field for CloseCode {
    fn put(&self, _: &str, o: &mut Object<'_>) {
        match self {
            Self::Transport(_) => put_code(o, "connection_error", *self),
            Self::Application(_) => put_code(o, "application_error", *self),
        }
    }
}

fn put_address(o: &mut Object<'_>, address: SocketAddr) {
    let (ip, port) = match address.ip().to_canonical() {
        IpAddr::V4(_) => ("ip_v4", "port_v4"),
        IpAddr::V6(_) => ("ip_v6", "port_v6"),
    };
    json::quoted(o.key(ip), format_args!("{}", address.ip().to_canonical()));
    address.port().put(port, o);
}

/// Transport error names (RFC 9000 §20.1) by code.
const TRANSPORT_ERRORS: [&str; 17] = [
    "no_error",
    "internal_error",
    "connection_refused",
    "flow_control_error",
    "stream_limit_error",
    "stream_state_error",
    "final_size_error",
    "frame_encoding_error",
    "transport_parameter_error",
    "connection_id_limit_error",
    "protocol_violation",
    "invalid_token",
    "application_error",
    "crypto_buffer_exceeded",
    "key_update_error",
    "aead_limit_reached",
    "no_viable_path",
];

/// An error by name, or `unknown` with the number beside it.
pub(crate) fn put_code(o: &mut Object<'_>, key: &str, code: CloseCode) {
    let known = |code| usize::try_from(code).ok().and_then(|i: usize| TRANSPORT_ERRORS.get(i));
    match code {
        CloseCode::Transport(code) if known(code).is_some() => {
            o.text(key, known(code).unwrap_or(&"unknown"));
        }
        CloseCode::Transport(code @ 0x100..=0x1ff) => {
            json::quoted(o.key(key), format_args!("crypto_error_0x{code:03x}"));
        }
        CloseCode::Transport(code) | CloseCode::Application(code) => {
            o.text(key, "unknown");
            o.number("error_code", code);
        }
    }
}

pub(crate) fn put_alpn(o: &mut Object<'_>, alpn: &[u8]) {
    o.hex("byte_value", alpn);
    if let Ok(text) = core::str::from_utf8(alpn) {
        o.text("string_value", text);
    }
}

pub(crate) fn put_versions(o: &mut Object<'_>, key: &str, versions: &[u32]) {
    if !versions.is_empty() {
        o.array(key, versions, |out, version| json::hex(out, &version.to_be_bytes()));
    }
}

/// `header`: packet type and number.
pub(crate) fn put_space(o: &mut Object<'_>, space: Space, pn: Option<u64>) {
    o.object("header", |o| {
        o.text("packet_type", space.name());
        if space.is_numbered() {
            pn.put("packet_number", o);
        }
    });
}

pub(crate) fn put_timer(o: &mut Object<'_>, space: Option<Space>, change: TimerChange) {
    if let Some(name) = space.and_then(Space::number_space) {
        o.text("packet_number_space", name);
    }
    match change {
        TimerChange::Set(after) => {
            o.text("event_type", "set");
            after.put("delta", o);
        }
        TimerChange::Expired => o.text("event_type", "expired"),
        TimerChange::Cancelled => o.text("event_type", "cancelled"),
    }
}

pub(crate) fn put_parameters(o: &mut Object<'_>, list: &[Parameter<'_>]) {
    for parameter in list {
        match parameter.value {
            ParameterValue::Number(value) => o.number(parameter.name, value),
            ParameterValue::Flag(value) => o.flag(parameter.name, value),
            ParameterValue::Bytes(value) => o.hex(parameter.name, value),
            ParameterValue::Preferred { v4, v6, cid } => o.object(parameter.name, |o| {
                if let Some(address) = v4 {
                    put_address(o, address.into());
                }
                if let Some(address) = v6 {
                    put_address(o, address.into());
                }
                o.hex("connection_id", cid);
            }),
            ParameterValue::Unknown { .. } => {}
        }
    }
    let unknown = || {
        list.iter().filter_map(|parameter| match parameter.value {
            ParameterValue::Unknown { id, value } => Some((id, value)),
            _ => None,
        })
    };
    if unknown().next().is_some() {
        o.array("unknown_parameters", unknown(), |out, (id, value)| {
            Object::write(out, |o| {
                o.number("id", id);
                o.hex("value", value);
            });
        });
    }
}
