//! Requests for a tunnel, and everything else.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{reply, request};
use crate::{Status, Target};

async fn ask(said: &[u8]) -> (Option<Target>, String, Vec<u8>) {
    let (mut program, mut here) = duplex(64 * 1024);
    program.write_all(said).await.unwrap();
    program.shutdown().await.unwrap();
    let target = request(&mut here).await.ok();
    let mut rest = Vec::new();
    here.read_to_end(&mut rest).await.unwrap();
    drop(here);
    let mut told = String::new();
    program.read_to_string(&mut told).await.unwrap();
    (target, told, rest)
}

#[tokio::test]
async fn a_request_is_read_and_nothing_behind_it() {
    let (target, told, rest) =
        ask(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nA: b\r\n\r\nhello").await;
    assert_eq!(target, Some(Target::parse("example.org:443").unwrap()));
    assert_eq!((told.as_str(), &rest[..]), ("", &b"hello"[..]));
    let (target, ..) = ask(b"CONNECT [2001:db8::1]:22 HTTP/1.0\r\n\r\n").await;
    assert_eq!(target, Some(Target::parse("[2001:db8::1]:22").unwrap()));
}

#[tokio::test]
async fn everything_else_is_refused() {
    for (said, code) in [
        (&b"GET http://example.org/ HTTP/1.1\r\n\r\n"[..], "405"),
        (b"CONNECT example.org HTTP/1.1\r\n\r\n", "400"),
        (b"CONNECT example.org:0 HTTP/1.1\r\n\r\n", "400"),
        (b"CONNECT example.org:80\r\n\r\n", "400"),
        (b"CONNECT  example.org:80 HTTP/1.1\r\n\r\n", "400"),
        (b"\xff\xfe\r\n\r\n", "400"),
        (b"\r\n\r\n", "400"),
    ] {
        let (target, told, _) = ask(said).await;
        assert_eq!(target, None);
        assert!(told.starts_with(&format!("HTTP/1.1 {code} ")), "{told}");
    }
    assert_eq!(ask(b"CONNECT example.org:80 HTTP/1.1\r\n").await.1, "");
}

#[tokio::test]
async fn a_request_without_end_is_cut() {
    let (target, told, _) = ask(&[b'x'; 9000]).await;
    assert!(target.is_none() && told.starts_with("HTTP/1.1 431 "), "{told}");
}

#[tokio::test]
async fn statuses_have_their_codes() {
    for (status, start) in
        [(Status::Ok, "HTTP/1.1 200 "), (Status::Denied, "HTTP/1.1 403 "), (Status::Timeout, "HTTP/1.1 504 ")]
    {
        let (mut program, mut here) = duplex(1024);
        reply(&mut here, status).await.unwrap();
        drop(here);
        let mut told = String::new();
        program.read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with(start) && told.ends_with("\r\n\r\n"), "{told}");
    }
}
