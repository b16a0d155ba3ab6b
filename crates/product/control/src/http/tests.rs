//! A daemon that knows two words, and those who ask it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::broadcast;

use super::{Api, Method, Reply, Request};
use crate::model::{Event, SCHEMA};
use crate::{Client, ClientError, ControlSocket};

struct Echo(broadcast::Sender<Event>);

impl Api for Echo {
    async fn call(&self, request: Request) -> Reply {
        match (request.method, request.parts.join("/").as_str()) {
            (Method::Get, "events") => {
                let events = self.0.subscribe();
                let _ = self.0.send(event("first"));
                Reply::Events(events)
            }
            (Method::Post, "echo") => match request.json::<Value>() {
                Ok(value) => Reply::json(&value),
                Err(reply) => reply,
            },
            _ => Reply::unknown("such word"),
        }
    }
}

fn event(name: &str) -> Event {
    let [object, event, name] = ["link", "up", name].map(str::to_owned);
    Event { schema: SCHEMA, at_ms: 1, object, event, name, text: String::new() }
}

async fn daemon(name: &str) -> (PathBuf, broadcast::Sender<Event>) {
    let path = std::env::temp_dir().join(format!("tq-control-{}-{name}", std::process::id())).join("d.sock");
    let (events, _) = broadcast::channel(8);
    let socket = ControlSocket::bind(&path).await.unwrap();
    tokio::spawn(socket.serve(Arc::new(Echo(events.clone()))));
    (path, events)
}

#[tokio::test]
async fn questions_are_answered_and_refused() {
    let (path, _) = daemon("ask").await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let client = Client::new(&path);
    let said = json!({"a": [1, 2]});
    assert_eq!(client.ask::<Value>(Method::Post, "echo", &said).await.unwrap(), said);
    let error = client.get::<Value>("nothing").await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(404, why) if why == "there is no such word"), "{error}");
    let nobody = Client::new(&path.with_extension("not"));
    assert!(matches!(nobody.get::<Value>("echo").await, Err(ClientError::Unreachable(..))));
}

#[tokio::test]
async fn events_arrive_in_order() {
    let (path, events) = daemon("events").await;
    let mut heard = Client::new(&path).events().await.unwrap();
    assert_eq!(heard.next().await.unwrap(), Some(event("first")));
    events.send(event("second")).unwrap();
    assert_eq!(heard.next().await.unwrap(), Some(event("second")));
}

#[tokio::test]
async fn one_daemon_listens_and_what_a_dead_one_left_is_replaced() {
    let (path, _) = daemon("twice").await;
    assert_eq!(ControlSocket::bind(&path).await.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let left = path.with_file_name("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    let socket = ControlSocket::bind(&left).await.unwrap();
    drop(socket);
    assert!(!left.exists());
    fs::write(&left, "a file").unwrap();
    assert_eq!(ControlSocket::bind(&left).await.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_harms_nobody() {
    let (path, _) = daemon("bad").await;
    for (said, code) in [
        ("GET /v2/echo HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404"),
        ("PUT /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405"),
        ("POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{a}".to_owned(), "400"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (
            format!(
                "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n{}",
                "x".repeat(70_000)
            ),
            "413",
        ),
    ] {
        let mut socket = UnixStream::connect(&path).await.unwrap();
        // The daemon may have seen enough before all of it is written.
        let _ = socket.write_all(said.as_bytes()).await;
        let mut answer = vec![0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {code}"));
    }
    assert!(Client::new(&path).ask::<Value>(Method::Post, "echo", &json!({})).await.is_ok());
}
