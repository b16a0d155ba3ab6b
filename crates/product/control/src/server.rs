//! Listens: for tools on a local socket, for scrapers on a TCP address.
//!
//! Who may open the socket may do everything: root, the daemon's user and the group `tquic`.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::http::{Api, Method, Reply, ReplyBody, Request, stream};

/// Largest body read.
const BODY: usize = 64 * 1024;
/// Clients at a time.
const CLIENTS: usize = 64;
/// A request's head comes within this time.
const HEAD: Duration = Duration::from_secs(10);
const GROUP: &str = "tquic";

/// A listening control socket. Its file goes with it.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listens at `path`; folders above are made if need be, and a socket that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// Another process listens there, something else is there, or it may not be made.
    pub async fn bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is a file that is no socket",
                ));
            }
            Ok(_) if UnixStream::connect(path).await.is_ok() => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"));
            }
            Ok(_) => fs::remove_file(path)?,
            Err(_) => {}
        }
        // Between these two steps nobody answers, so that a stranger who gets in early gets nothing.
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o660))?;
        if let Some(group) = group() {
            // Without it, the tools need to be root.
            let _ = chown(path, None, Some(group));
        }
        Ok(Self { listener, path: path.into() })
    }

    /// Serves until dropped.
    pub async fn serve(self, api: Arc<impl Api>) {
        let room = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((client, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let api = Arc::clone(&api);
            tokio::spawn(async move {
                let answer = move |request: hyper::Request<Incoming>| {
                    let api = Arc::clone(&api);
                    async move {
                        match read(request).await {
                            Ok(request) => api.call(request).await,
                            Err(reply) => reply,
                        }
                    }
                };
                converse(client, answer).await;
                drop(permit);
            });
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves `text` at `/metrics` until dropped.
pub async fn serve_metrics(listener: TcpListener, text: Arc<dyn Fn() -> String + Send + Sync>) {
    let room = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let text = Arc::clone(&text);
        tokio::spawn(async move {
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let found = request.method() == hyper::Method::GET && request.uri().path() == "/metrics";
                let (code, body) = if found { (200, text()) } else { (404, "see /metrics\n".to_owned()) };
                let reply = response(code, "text/plain; version=0.0.4", ReplyBody::Whole(Some(body.into())));
                async move { Ok::<_, Infallible>(reply) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let _ = http.serve_connection(TokioIo::new(client), service).await;
            drop(permit);
        });
    }
}

async fn converse<S, F>(client: S, answer: impl Fn(hyper::Request<Incoming>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Reply>,
{
    let service = service_fn(|request| {
        let reply = answer(request);
        async move {
            Ok::<_, Infallible>(match reply.await {
                Reply::Json(code, body) => {
                    response(code, "application/json", ReplyBody::Whole(Some(body.into())))
                }
                Reply::Events(events) => response(200, "text/event-stream", stream(events)),
            })
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let _ = http.serve_connection(TokioIo::new(client), service).await;
}

fn response(code: u16, kind: &'static str, body: ReplyBody) -> hyper::Response<ReplyBody> {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Reply> {
    let method =
        Method::of(request.method()).ok_or_else(|| Reply::failed(405, "GET, POST, PATCH or DELETE"))?;
    let unknown = || Reply::unknown(format_args!("{}", request.uri().path()));
    let path = request.uri().path().strip_prefix("/v1/").ok_or_else(unknown)?;
    let parts = path.split('/').map(str::to_owned).collect();
    let body = Limited::new(request.into_body(), BODY).collect().await;
    let body: Bytes = body.map_err(|_| Reply::failed(413, "the body is too long"))?.to_bytes();
    Ok(Request { method, parts, body: body.to_vec() })
}

/// The number of the group that may open control sockets, if this host has it.
pub fn group() -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(GROUP)).then(|| fields.nth(1)?.parse().ok())?
    })
}
